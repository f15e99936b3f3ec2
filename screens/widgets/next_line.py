"""The panel at the bottom of an order: what happens next, and everything that can be done now, each a button with its key.

What is expected stands first, marked and with its consequence; the others follow with theirs where there is room, else in a word
each. None of them is ever left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from engine.domain.states import Act
from engine.views.acts import Consequence
from engine.views.orders import OrderView
from screens import words
from screens.paint import paint_of
from screens.translate import _, tr
from screens.widgets.key_button import KeyButton, key_name
from screens.widgets.prose import Prose
from screens.words import Tone

ROWS = 3
PER_ROW = 6
LOW = 30  # a terminal with fewer rows needs them for hosts
VERY_LOW = 16  # and one with fewer than these has none for a whole sentence


class NextLine(Vertical):
    def __init__(self) -> None:
        super().__init__(id="next")
        self._order: OrderView | None = None
        self._at_slider = False

    def compose(self) -> ComposeResult:
        yield Prose(id="says")
        yield KeyButton(id="expected")
        for _row in range(ROWS):
            with Horizontal(classes="acts"):
                for _place in range(PER_ROW):
                    yield KeyButton()

    def show(self, order: OrderView, *, at_slider: bool = False) -> None:
        """`at_slider`: the weights are being moved; the slider says by itself which keys do that."""
        self._order, self._at_slider = order, at_slider
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        order, width = self._order, self.content_size.width
        if order is None or not width:
            return
        paint = paint_of(self.app)
        text = Text().append(_("next: "), paint.strong).append(tr(order.next))
        if not order.engine_alive and not order.state.complete:
            text.append("  " + _("No engine is alive: nothing moves until one is started."), paint.tone(Tone.FAIL))
        self.query_one("#says", Prose).say(text)
        acts = [act for act in order.acts if act.allowed]
        first = acts[0] if acts and order.state.halts and not self._at_slider else None
        expected = self.query_one("#expected", KeyButton)
        expected.keep(first is not None)
        if first is not None:
            low = self.app.size.height < VERY_LOW
            self._say(expected, first, words.act_word(first.act) if low else _expected(first, order), marked=True)
        self._place([act for act in acts if act is not first], width)

    def _place(self, acts: Sequence[Consequence], width: int) -> None:
        whole = self._rows(acts, [words_of(act) for act in acts], width)
        short = self._rows(acts, [words.act_word(act.act) for act in acts], width)
        rows = whole if len(whole) <= (1 if self.app.size.height < LOW else 2) else short
        for at, row in enumerate(self.query(Horizontal)):
            row.display = at < len(rows)
            for place, button in enumerate(row.query(KeyButton)):
                there = at < len(rows) and place < len(rows[at])
                button.keep(there)
                if there:
                    self._say(button, *rows[at][place])

    def _rows(
        self, acts: Sequence[Consequence], said: Sequence[str], width: int
    ) -> list[list[tuple[Consequence, str]]]:
        """As many in a row as fit whole."""
        rows: list[list[tuple[Consequence, str]]] = []
        room = 0
        for act, what in zip(acts, said, strict=True):
            cells = cell_len(key_name(words.act_key(act.act), self.app)) + cell_len(what) + 5
            if not rows or cells > room or len(rows[-1]) == PER_ROW:
                rows.append([])
                room = width
            rows[-1].append((act, what))
            room -= cells
        return rows

    def _say(self, button: KeyButton, act: Consequence, what: str, *, marked: bool = False) -> None:
        button.say(words.act_key(act.act), what, marked=marked)
        button.action = words.act_action(act.act)


def _expected(act: Consequence, order: OrderView) -> str:
    """A gate that waits for weights says so: they are what leads to it."""
    if act.act is Act.SET_WEIGHTS and any(other.weights_first for other in order.acts):
        return _("move the weights first: {hosts}").format(hosts=" ".join(act.hosts))
    return words_of(act)


def words_of(act: Consequence) -> str:
    return tr(act.summary) or words.act_word(act.act)
