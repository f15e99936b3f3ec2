"""The log of one host: a file with an offset index, of which only the lines in sight are read.

It follows the end until the operator scrolls up; then it stands still and says how many lines came since. It never holds the
log in memory and never reads more than a bounded piece in one go.
"""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Static

from screens.filters import without_hostile_text
from screens.paint import paint_of, strip_of
from screens.translate import N_, _, ngettext
from screens.words import Tone

READ_AT_ONCE = 4 * 1024 * 1024  # bytes indexed in one tick
LONGEST_LINE = 4096  # bytes of a line that are shown
_ALARMING = re.compile(r"\b(ERROR|FATAL|SEVERE|Exception|Traceback)\b|No space left|Not Found|timed? ?out")


class LogFile:
    """A growing text file and where its lines begin. Opened anew for every read, so that a rotated file is noticed."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._starts = array("Q", [0])
        self._end = 0
        self.widest = 0

    @property
    def lines(self) -> int:
        return len(self._starts) - (1 if self._end == self._starts[-1] else 0)

    def grow(self) -> bool:
        """Index what was appended, at most `READ_AT_ONCE` bytes of it. Returns whether there are other lines than before."""
        with self._open() as file:
            if file is None:
                return False
            size = os.fstat(file).st_size
            if size < self._end:
                self.__init__(self.path)  # type: ignore[misc]  # cut off or replaced: begin again
            if size == self._end:
                return False
            data = os.pread(file, READ_AT_ONCE, self._end)
        at = data.find(b"\n")
        while at >= 0:
            start = self._end + at + 1
            self.widest = max(self.widest, min(LONGEST_LINE, start - self._starts[-1]))
            self._starts.append(start)
            at = data.find(b"\n", at + 1)
        self._end += len(data)
        return bool(data)

    def read(self, first: int, count: int) -> list[str]:
        """Up to `count` lines from line `first` on, without their ends; overlong lines are cut."""
        last = min(first + count, self.lines)
        with self._open() as file:
            if file is None:
                return []
            return [self._line(file, at) for at in range(first, last)]

    def _line(self, file: int, at: int) -> str:
        start = self._starts[at]
        end = self._starts[at + 1] - 1 if at + 1 < len(self._starts) else self._end
        return os.pread(file, min(LONGEST_LINE, end - start), start).decode("utf-8", "replace")

    @contextmanager
    def _open(self) -> Iterator[int | None]:
        try:
            file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            yield None  # not written yet, or already cleared away: there is nothing to show
            return
        try:
            yield file
        finally:
            os.close(file)


class LogView(ScrollView, can_focus=True):
    POLL_S: ClassVar[float] = 0.2
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "scroll_down", N_("line down"), show=False),
        Binding("up,k", "scroll_up", N_("line up"), show=False),
        Binding("home", "scroll_home", N_("first line"), show=False),
        Binding("end,G,f", "follow", N_("follow the end"), show=False),
        Binding("right", "aside(8)", N_("to the right"), show=False),
        Binding("left", "aside(-8)", N_("to the left"), show=False),
    ]

    class Changed(Message):
        """It follows or stands still, or lines came."""

    def __init__(self) -> None:
        super().__init__()
        self._file: LogFile | None = None
        self.following = True
        self.unseen = 0

    @property
    def lines(self) -> int:
        return self._file.lines if self._file else 0

    @property
    def path(self) -> str:
        return self._file.path if self._file else ""

    def open(self, path: str) -> None:
        """Show this file from its end on; it may not exist yet."""
        if path == self.path:
            return
        self._file = LogFile(path) if path else None
        self.following, self.unseen = True, 0
        self.virtual_size = Size(0, 0)
        self.read_more()
        self.refresh()
        self.post_message(self.Changed())

    def on_mount(self) -> None:
        self.set_interval(self.POLL_S, self.read_more)

    def on_resize(self) -> None:
        if self.following:
            self.action_follow()

    def read_more(self) -> None:
        """Take in what was appended; paint only if that is in sight."""
        before = self.lines
        if self._file is None or not self.display or not self._file.grow():
            return
        added = self.lines - before
        self.virtual_size = Size(max(self.size.width, self._file.widest), self.lines)
        if self.following:
            self.action_follow()
            self.refresh()
        elif added > 0:
            self.unseen += added
        self.post_message(self.Changed())

    def action_follow(self) -> None:
        self.following, self.unseen = True, 0
        self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
        self.post_message(self.Changed())

    def action_aside(self, by: int) -> None:
        self.scroll_to(x=max(0, self.scroll_offset.x + by), animate=False, force=True)

    def action_scroll_down(self) -> None:
        self.scroll_to(y=self.scroll_offset.y + 1, animate=False, force=True)

    def action_scroll_up(self) -> None:
        self.scroll_to(y=self.scroll_offset.y - 1, animate=False, force=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if new_value < old_value and new_value < self.max_scroll_y:
            self.following = False
        elif new_value >= self.max_scroll_y:
            self.following, self.unseen = True, 0
        self.post_message(self.Changed())

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        at = y + self.scroll_offset.y
        if self._file is None or at >= self._file.lines:
            return Strip.blank(width, base)
        found = self._file.read(at, 1)
        text = self._styled(found[0] if found else "")
        left = self.scroll_offset.x
        return strip_of(text, self.app).apply_style(base).crop_extend(left, left + width, base)

    def _styled(self, line: str) -> Text:
        paint = paint_of(self.app)
        text = Text(without_hostile_text(line.rstrip("\r").replace("\t", "    ")), end="")
        if line.startswith("── "):
            text.stylize(paint.tone(Tone.RUN) + paint.strong)
        elif _ALARMING.search(line):
            text.stylize(paint.tone(Tone.FAIL))
        return text


class LogPane(Vertical):
    """The log with a line above it that says whose it is and whether it follows."""

    def __init__(self) -> None:
        super().__init__(id="log")
        self._heading = Static("", markup=False)
        self.view = LogView()
        self._whose = ""

    def compose(self) -> ComposeResult:
        yield self._heading
        yield self.view

    def show(self, whose: str, path: str) -> None:
        """`whose` is the host and its attempt, as shown."""
        self._whose = whose
        self.view.open(path)
        self._draw()

    def on_log_view_changed(self) -> None:
        self._draw()

    def _draw(self) -> None:
        paint = paint_of(self.app)
        text = Text().append(_("log"), paint.dim).append(f" {self._whose}  ", paint.strong)
        if not self.view.lines:
            text.append(_("nothing written yet"), paint.dim)
        elif self.view.following:
            text.append(_("follows"), paint.dim)
        elif self.view.unseen:
            new = ngettext("{count} new line", "{count} new lines", self.view.unseen).format(count=self.view.unseen)
            text.append("▼ " + new + " · " + _("End follows again"), paint.tone(Tone.WAIT))
        else:
            text.append(_("stands still, End follows again"), paint.dim)
        self._heading.update(text)
