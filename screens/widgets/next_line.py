"""The line at the bottom of an order: what happens next, and which key does what, with its consequence in a few words."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from engine.views import Consequence, OrderView
from screens import words
from screens.paint import Paint, paint_of
from screens.translate import _, tr
from screens.words import Tone


class NextLine(Static):
    """The expected act stands first and whole; others follow as long as they fit whole."""

    def __init__(self) -> None:
        super().__init__("", markup=False, id="next")
        self._order: OrderView | None = None

    def show(self, order: OrderView) -> None:
        self._order = order
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        if self._order is None or not self.size.width:
            return
        paint, width = paint_of(self.app), self.size.width
        text = Text(_("next: "), style=paint.strong).append(tr(self._order.next))
        if not self._order.engine_alive and not self._order.state.complete:
            text.append(f"  {_('No engine is alive: nothing moves until one is started.')}", paint.tone(Tone.FAIL))
        row = Text("")
        for number, act in enumerate(act for act in self._order.acts if act.allowed):
            item = _item(act, paint)
            if number and row.cell_len + 3 + item.cell_len > width:
                break
            row.append("   " if number else "").append_text(item)
        self.update(text.append("\n").append_text(row) if row.cell_len else text)


def _item(act: Consequence, paint: Paint) -> Text:
    summary = tr(act.summary) or words.act_word(act.act)
    return Text(words.ACT_KEYS[act.act], style=paint.tone(Tone.WAIT) + paint.strong).append(f" {summary}")
