"""The line at the bottom of an order: what happens next, and which key does what, with its consequence in a few words."""

from __future__ import annotations

from rich.text import Text

from engine.views import Consequence, OrderView
from screens import words
from screens.paint import Paint, paint_of
from screens.translate import _, tr
from screens.widgets.lines import Lines
from screens.widgets.prose import wrapped
from screens.words import Tone

MOST_ROWS = 2


class NextLine(Lines):
    """The expected act stands first and whole; others follow as long as they fit whole."""

    def __init__(self) -> None:
        super().__init__(id="next")
        self._order: OrderView | None = None

    def show(self, order: OrderView) -> None:
        self._order = order
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        if self._order is None or not self.size.width:
            return
        paint, width = paint_of(self.app), self.content_size.width
        text = Text().append(_("next: "), paint.strong).append(tr(self._order.next))
        if not self._order.engine_alive and not self._order.state.complete:
            text.append("  " + _("No engine is alive: nothing moves until one is started."), paint.tone(Tone.FAIL))
        rows: list[Text] = []
        for act in self._order.acts:
            if act.allowed and not _placed(rows, _item(words.act_key(act.act), act, paint), width):
                break
        self.draw(Text("\n").join([wrapped(text, self.content_size.width), *rows]))


def _placed(rows: list[Text], item: Text, width: int) -> bool:
    """Put the item behind the last one, or on a new row while there may be one."""
    if rows and rows[-1].cell_len + 3 + item.cell_len <= width:
        rows[-1].append("   ").append_text(item)
        return True
    if len(rows) == MOST_ROWS:
        return False
    rows.append(item)
    return True


def _item(key: str, act: Consequence, paint: Paint) -> Text:
    summary = tr(act.summary) or words.act_word(act.act)
    return Text().append(key, paint.tone(Tone.WAIT) + paint.strong).append(f" {summary}")
