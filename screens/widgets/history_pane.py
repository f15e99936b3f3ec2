"""The history of an order: who did what, when and why, and what was refused. Newest last, as it is in sight when it is opened."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll

from engine.domain.problem import Problem
from engine.views.acts import HistoryView, Outcome
from screens import words
from screens.paint import Paint, paint_of
from screens.translate import _, tr
from screens.widgets.prose import Prose
from screens.widgets.trouble import problem_text
from screens.words import Tone

_TONES = {Outcome.ASKED: Tone.RUN, Outcome.AT_WORK: Tone.RUN, Outcome.DONE: Tone.OK, Outcome.REFUSED: Tone.FAIL}
_GLYPHS = {Outcome.ASKED: "…", Outcome.AT_WORK: "▶", Outcome.DONE: "✔", Outcome.REFUSED: "✗"}


class HistoryPane(VerticalScroll, can_focus=True):
    def __init__(self) -> None:
        super().__init__(id="history")
        self._shown: tuple[HistoryView, ...] | None = None

    def compose(self) -> ComposeResult:
        yield Prose(id="history-text")

    def on_mount(self) -> None:
        self.retell()

    def retell(self) -> None:
        self.border_title = _("history")
        self._shown = None

    def show(self, entries: Sequence[HistoryView]) -> None:
        if self._shown == tuple(entries):
            return
        self._shown = tuple(entries)
        paint = paint_of(self.app)
        lines = [_entry(each, paint) for each in entries]
        nothing = Text(_("Nobody has done anything to this order yet."), paint.dim)
        self.query_one(Prose).say(Text("\n").join(lines) if lines else nothing)
        self.call_after_refresh(self.scroll_end, animate=False)

    def tell(self, problem: Problem) -> None:
        """It could not be read."""
        self._shown = None
        self.query_one(Prose).say(problem_text(problem, self.app))


def _entry(each: HistoryView, paint: Paint) -> Text:
    """`12:20:04 alice  rolls back 5 hosts: 2.0.0 → 1.0.0  ✔ done`, and below it the reason, and why it was refused or halted."""
    text = Text().append(_clock(each.at), paint.dim).append(f" {words.who(each)}  ", paint.strong).append(tr(each.said))
    tone = paint.tone(_TONES.get(each.outcome, Tone.FAIL))
    if each.outcome in _GLYPHS:
        text.append(f"  {_GLYPHS[each.outcome]} {words.outcome_word(each.outcome)}", tone)
    if each.reason:
        text.append("\n  ").append(each.reason, paint.dim)
    if each.problem is not None:
        text.append("\n  ").append(tr(each.problem.what), tone)
    return text


def _clock(time_s: float) -> str:
    """With its date: an ended order is looked at days later."""
    return datetime.fromtimestamp(time_s).astimezone().strftime("%m-%d %H:%M:%S")
