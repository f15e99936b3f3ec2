"""A problem in full sentences: what happened, what was seen, what to do next. Calm, and never a traceback."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.text import Text
from textual.app import App, ComposeResult
from textual.containers import VerticalScroll

from engine.domain.problem import Problem
from engine.domain.states import Act
from engine.views.orders import RemedyView
from screens.filters import without_hostile_text
from screens.paint import Paint, paint_of
from screens.translate import _, tr
from screens.widgets.key_button import key_name
from screens.widgets.prose import Prose, wrapped
from screens.words import Tone, act_key, helped

_DATED = re.compile(r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\S* ")


def problem_text(
    problem: Problem,
    app: App[object],
    *,
    about: str = "",
    more: str = "",
    evidence_lines: int = 6,
    cut: int | None = None,
    step: RemedyView | None = None,
) -> Text:
    """`about` is the host or app it happened to, where the sentence does not say so; `more` which key shows more. Evidence is
    remote text: its last lines, as they are, or each without its date and `cut` to so many cells. `step` is what a key does about
    it."""
    paint = paint_of(app)
    text = Text().append("✗ ", paint.tone(Tone.FAIL))
    what = tr(problem.what)
    if about and about not in what:
        text.append(f"{about}: ", "bold")
    text.append(what, paint.tone(Tone.FAIL))
    if more:
        text.append(f" {more}", "bold")
    for line in problem.evidence.splitlines()[-evidence_lines:] if evidence_lines else []:
        seen = Text(f"  │ {without_hostile_text(line if cut is None else _DATED.sub('', line))}", paint.dim)
        seen.truncate(cut or seen.cell_len, overflow="ellipsis")
        text.append("\n").append_text(seen)
    remedy = tr(problem.remedy)
    if remedy:
        text.append(f"\n  → {remedy}")
    if step is not None:
        text.append("\n  ").append_text(remedy_text(step, app))
    return text


def remedy_text(step: RemedyView, app: App[object]) -> Text:
    """`r restart the agent, then try again (helped 3 of 4 times here)`"""
    paint = paint_of(app)
    text = Text().append(f" {key_name(act_key(Act.REMEDY), app)} ", paint.strong)
    what = _("{remedy}, then try again ({how_often})")
    return text.append(what.format(remedy=tr(step.word), how_often=helped(step)), "bold")


class Trouble(Prose):
    """Takes the whole width in place of the screen's body while the store can't be read."""

    def __init__(self) -> None:
        super().__init__()
        self.display = False

    def show(self, problem: Problem) -> None:
        paint = paint_of(self.app)
        text = Text().append(_("The cockpit can't read its store just now."), "bold").append("\n\n")
        text.append_text(problem_text(problem, self.app)).append("\n\n")
        text.append(_("What is running goes on. The cockpit keeps trying by itself; q leaves."), paint.dim)
        self.say(text)
        self.display = True

    def clear(self) -> None:
        self.display = False


class Problems(VerticalScroll, can_focus=True):
    """Every problem at once, each with its host: scrolls when they are many. Takes no room when there are none.

    Where room is short, evidence goes before what happened and what to do about it, its last line last, and cut. `more` (a msgid)
    says which key shows more of what happened to a host."""

    def __init__(self, *, id: str | None = None, evidence_lines: int = 6, more: str = "") -> None:
        super().__init__(id=id)
        self._evidence_lines = evidence_lines
        self._more = more
        self._text = Prose()
        self._shown: tuple[tuple[str, Problem], ...] = ()
        self._remedies: tuple[RemedyView, ...] = ()
        self._paint: Paint | None = None
        self._room: int | None = None
        self.display = False

    def compose(self) -> ComposeResult:
        yield self._text

    def on_resize(self) -> None:
        self._say()

    def show(self, problems: Sequence[tuple[str, Problem]], remedies: Sequence[RemedyView] = ()) -> None:
        """(host or "", problem) each; `remedies` are those that a key does."""
        paint = paint_of(self.app)
        if (paint, tuple(problems), tuple(remedies)) == (self._paint, self._shown, self._remedies):
            return
        self._paint, self._shown, self._remedies = paint, tuple(problems), tuple(remedies)
        self.display = bool(problems)
        self._say()

    def retell(self) -> None:
        self._paint = None

    def fit(self, rows: int) -> None:
        """Take at most so many rows."""
        if rows != self._room:
            self._room = rows
            self.styles.max_height = rows
            self._say()

    def _say(self) -> None:
        """With as much evidence as there is room for, its last lines."""
        width = self._text.content_size.width
        tried = [*((lines, None) for lines in range(self._evidence_lines, 0, -1)), (1, width), (0, None)]
        for lines, cut in tried:
            text = self._with_evidence(lines, cut)
            if self._room is None or not width or wrapped(text, width).plain.count("\n") < self._room:
                break
        self._text.say(text)

    def _with_evidence(self, lines: int, cut: int | None) -> Text:
        steps = {(step.host, step.code): step for step in self._remedies}
        more = _(self._more)
        return Text("\n").join(
            problem_text(
                problem,
                self.app,
                about=about,
                more=more if about else "",
                evidence_lines=lines,
                cut=cut,
                step=steps.get((about, problem.code)),
            )
            for about, problem in self._shown
        )
