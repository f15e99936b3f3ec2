"""The logs of one host: all of its attempts, one shown at a time, with a line above that says which and whether it follows.

It searches, wraps and saves; it reads only files, and no key in it acts on an order. It shows the merged log of a whole group
as well, when it is asked to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message

from engine.domain.problem import ProblemError
from engine.domain.states import Direction
from engine.views.orders import AttemptView
from screens.asking import in_worker
from screens.attempts import first_to_read
from screens.log_files import save_log
from screens.log_finding import find
from screens.paint import Paint, paint_of
from screens.translate import N_, _, ngettext, tr
from screens.widgets.lines import Lines
from screens.widgets.log_view import LogView
from screens.widgets.search_line import SearchLine
from screens.words import Tone

_END = 1 << 62  # behind the end of any file


class LogPane(Vertical):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", N_("search"), key_display="/"),
        Binding("a", "attempt(-1)", N_("earlier")),
        Binding("A", "attempt(1)", N_("next attempt"), show=False),
        Binding("s", "save", N_("save")),
        Binding("n", "find(True)", N_("older match"), show=False),
        Binding("N", "find(False)", N_("newer match"), show=False),
    ]

    class Said(Message):
        """Something the operator should know: saved, or not found."""

        def __init__(self, sentence: str, *, good: bool) -> None:
            super().__init__()
            self.sentence = sentence
            self.good = good

    def __init__(self) -> None:
        super().__init__(id="log")
        self._heading = Lines()
        self._search = SearchLine()
        self.view = LogView()
        self._attempts: tuple[AttemptView, ...] = ()
        self._of_group = ""  # what the merged log that is shown is of; empty: it is one host's
        self._shown: AttemptView | None = None
        self._wanted = ""

    def compose(self) -> ComposeResult:
        yield self._heading
        yield self.view
        yield self._search

    def show(self, attempts: Sequence[AttemptView]) -> None:
        """All attempts of one host, oldest first. The one that is shown stays while it is there and nothing newer began."""
        self._of_group = ""
        newest = self._attempts[-1].log_path if self._attempts else ""
        same = bool(attempts) and attempts[-1].log_path == newest
        self._attempts = tuple(attempts)
        shown = self._shown.log_path if self._shown else ""
        kept = next((one for one in self._attempts if one.log_path == shown), None) if same else None
        self._open(kept or first_to_read(self._attempts))

    def show_group(self, path: str, what: str) -> None:
        """A file that the lines of several hosts are merged into. `what` says whose."""
        self._of_group, self._shown, self._attempts = what, None, ()
        self.view.open(path)
        self._draw()

    def _open(self, attempt: AttemptView | None) -> None:
        self._shown = attempt
        self.view.open(attempt.log_path if attempt else "")
        self._draw()

    # ---- keys

    def action_search(self) -> None:
        self._search.open()

    def on_search_line_wanted(self, event: SearchLine.Wanted) -> None:
        event.stop()
        self._wanted = event.wanted
        self.view.mark(event.wanted)
        self.screen.set_focus(self.view)
        self._draw()
        if event.wanted:
            self.action_find(True)

    def action_find(self, older: bool) -> None:
        if not self._wanted:
            self.post_message(self.Said(_("No search yet: / searches the log."), good=False))
            return
        in_worker(self, self._find, older, group="find", exclusive=True)

    async def _find(self, older: bool) -> None:
        """The next one in that direction, and from the other end when there is none."""
        path, wanted, here = self.view.path, self._wanted, self.view.search_from
        try:
            found = await find(path, wanted, older=older, at=here if older else here + 1)
            if found is None:
                found = await find(path, wanted, older=older, at=_END if older else 0)
                if found is not None:
                    said = (
                        _("Nothing older: searching from the end again.")
                        if older
                        else _("Nothing newer: searching from the beginning again.")
                    )
                    self.post_message(self.Said(said, good=True))
        except ProblemError as error:
            self.post_message(self.Said(f"{tr(error.problem.what)} {tr(error.problem.remedy)}", good=False))
            return
        if path != self.view.path or wanted != self._wanted:
            return
        if found is None:
            self.post_message(self.Said(_("“{wanted}” is not in the log.").format(wanted=wanted), good=False))
        else:
            self.view.show_find(found)

    def action_attempt(self, by: int) -> None:
        """Another attempt, and round again."""
        if self._of_group:
            self.post_message(self.Said(_("All attempts of these hosts are here already."), good=True))
            return
        if len(self._attempts) < 2 or self._shown is None:
            self.post_message(self.Said(_("This host had only one attempt."), good=False))
            return
        at = self._attempts.index(self._shown)
        self._open(self._attempts[(at + by) % len(self._attempts)])

    def action_save(self) -> None:
        if self.view.path:
            in_worker(self, self._save, Path(self.view.path), group="save", exclusive=True)

    async def _save(self, path: Path) -> None:
        try:
            saved = await asyncio.to_thread(save_log, path, Path.home())
        except OSError as error:
            self.post_message(self.Said(_("The log could not be saved: {error}.").format(error=error), good=False))
        else:
            self.post_message(self.Said(_("Saved as {path}.").format(path=saved), good=True))

    # ---- the line above

    def on_log_view_changed(self) -> None:
        self._draw()

    def _draw(self) -> None:
        paint = paint_of(self.app)
        text = Text(no_wrap=True, overflow="ellipsis").append(_("log") + " ", paint.dim)
        if self._shown is not None:
            text.append_text(_whose(self._shown, paint)).append("  ")
        if self._of_group:
            text.append(self._of_group, paint.strong).append("  ")
        if len(self._attempts) > 1 and self._shown is not None:
            number = self._attempts.index(self._shown) + 1
            counted = _("{number} of {count}, a: others").format(number=number, count=len(self._attempts))
            text.append(f"{counted}  ", paint.tone(Tone.WAIT))
        if self._wanted:
            text.append(f"/{self._wanted} " + _("n older, N newer") + "  ", paint.tone(Tone.WAIT))
        text.append_text(self._standing(paint))
        self._heading.draw(text)

    def _standing(self, paint: Paint) -> Text:
        if not self.view.lines:
            return Text(_("nothing written yet"), paint.dim)
        if self.view.following:
            over = self._shown is not None and self._shown.state.complete
            text = Text(_("the end") if over else _("follows"), paint.dim)
            if self.view.hidden_mb:
                hidden = _("{mb} MB above, Home shows more").format(mb=self.view.hidden_mb)
                text.append(f" · {hidden}", paint.dim)
            return text
        if self.view.unseen:
            new = ngettext("{count} new line", "{count} new lines", self.view.unseen).format(count=self.view.unseen)
            return Text("▼ " + new + " · " + _("End follows again"), paint.tone(Tone.WAIT))
        if self._shown is not None and self._shown.state.complete:
            return Text(_("End: to the end"), paint.dim)
        return Text(_("stands still, End follows again"), paint.dim)


def _whose(attempt: AttemptView, paint: Paint) -> Text:
    text = Text(attempt.host, paint.strong).append("  ")
    label = _("attempt {number}") if attempt.direction is Direction.FORWARD else _("way back, attempt {number}")
    text.append(label.format(number=attempt.number) + " ", paint.strong)
    return text.append_text(paint.glyph_and_word(attempt.state))
