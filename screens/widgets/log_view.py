"""The log of one host: a file with an offset index, of which only the lines in sight are read.

It follows the end until the operator scrolls up; then it stands still and says how many lines came since. It never holds the
log in memory, knows only a piece of a big one, and never reads more than a bounded piece in one go.
"""

from __future__ import annotations

import os
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from screens.filters import without_hostile_text
from screens.paint import paint_of, strip_of
from screens.translate import N_, _, ngettext
from screens.widgets.lines import Lines
from screens.words import Tone

READ_AT_ONCE = 1024 * 1024  # bytes indexed in one go
LEAP = 8 * READ_AT_ONCE  # what came since the last look and is more than that is left out: only the end is followed
KEPT = 16 * READ_AT_ONCE  # bytes whose lines are known at most, a piece more or less
KEPT_LINES = 1_000_000
LONGEST_LINE = 4096  # bytes of a line that are shown
_NEWLINE = re.compile(b"\n")
_ALARMING = re.compile(r"\b(ERROR|FATAL|SEVERE|Exception|Traceback)\b|No space left|Not Found|timed? ?out")


class LogFile:
    """A growing text file, of which a piece is known line by line. It is opened anew for every read, so that a rotated file is
    noticed. `begin` and `end` are the piece's bytes; a big file is known from its end, and piece by piece from there."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.begin = 0
        self.end = 0
        self.widest = 0
        self._starts = array("Q", [0])
        self._new = True

    @property
    def lines(self) -> int:
        return len(self._starts) - (1 if self.end == self._starts[-1] else 0)

    @property
    def at_begin(self) -> bool:
        return self.begin == 0

    def grow(self, *, keep: bool = False) -> bool:
        """Index what was appended, at most `READ_AT_ONCE` bytes of it; of a file that is met first, or that grew by far more, only
        its end. With `keep` no line that is known is let go: it stops when the piece is full. Returns whether there are other
        lines than before."""
        with self._open() as file:
            if file is None:
                return False
            size = os.fstat(file).st_size
            if size < self.end:
                self._forget(0)  # cut off or replaced: begin again
                self._new = True
            if size == self.end or (keep and self._full()):
                return False
            if not keep and size - self.end > (READ_AT_ONCE if self._new else LEAP):
                self._forget(_line_behind(file, size - READ_AT_ONCE))
            self._new = False
            data = os.pread(file, READ_AT_ONCE, self.end)
        self._append(data)
        if not keep and self._full():
            self._drop_before()
        return bool(data)

    def earlier(self) -> int:
        """Index up to `READ_AT_ONCE` bytes in front of the piece; returns how many lines came. Its end is let go when the piece
        gets too big; `grow` goes on from there."""
        if self.at_begin:
            return 0
        with self._open() as file:
            if file is None:
                return 0
            wanted = max(0, self.begin - READ_AT_ONCE)
            start = _line_behind(file, wanted) if wanted else 0
            if start >= self.begin:
                start = wanted  # one line longer than that: its parts stand as lines
            data = os.pread(file, self.begin - start, start)
        starts = array("Q", [start])
        starts.extend(start + found.end() for found in _NEWLINE.finditer(data))
        if starts[-1] == self.begin:
            starts.pop()
        self._widen(starts, self.begin)
        self._starts = starts + self._starts
        self.begin = start
        if self._full():
            self._drop_behind()
        return len(starts)

    def _full(self) -> bool:
        return self.end - self.begin >= KEPT or len(self._starts) >= KEPT_LINES

    def _forget(self, begin: int) -> None:
        self.begin = self.end = begin
        self._starts = array("Q", [begin])

    def _append(self, data: bytes) -> None:
        first = len(self._starts) - 1
        self._starts.extend(self.end + found.end() for found in _NEWLINE.finditer(data))
        self.end += len(data)
        self._widen(self._starts[first:], self.end)

    def _widen(self, starts: array[int], end: int) -> None:
        longest = max((b - a for a, b in pairwise((*starts, end))), default=0)
        self.widest = max(self.widest, min(LONGEST_LINE, longest))

    def _drop_before(self) -> None:
        at = max(bisect_left(self._starts, self.end - KEPT // 2), len(self._starts) - KEPT_LINES // 2)
        del self._starts[: min(at, len(self._starts) - 1)]
        self.begin = self._starts[0]

    def _drop_behind(self) -> None:
        at = min(bisect_left(self._starts, self.begin + KEPT), KEPT_LINES)
        if 0 < at < len(self._starts):
            self.end = self._starts[at]
            del self._starts[at + 1 :]

    def read(self, first: int, count: int) -> list[str]:
        """Up to `count` lines from line `first` on, without their ends; overlong lines are cut."""
        last = min(first + count, self.lines)
        with self._open() as file:
            if file is None:
                return []
            return [self._line(file, at) for at in range(first, last)]

    def _line(self, file: int, at: int) -> str:
        start = self._starts[at]
        end = self._starts[at + 1] - 1 if at + 1 < len(self._starts) else self.end
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


def _line_behind(file: int, at: int) -> int:
    """Where the first line behind `at` begins; `at` itself when there is none near."""
    near = os.pread(file, READ_AT_ONCE // 4, at)
    found = near.find(b"\n")
    return at + found + 1 if found >= 0 else at


class LogView(ScrollView, can_focus=True):
    POLL_S: ClassVar[float] = 0.2
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "scroll_down", N_("line down"), show=False),
        Binding("up,k", "scroll_up", N_("line up"), show=False),
        Binding("home", "first", N_("first line"), show=False),
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
        self._window: tuple[int, list[str]] = (0, [])  # lines read together, and the number of the first

    @property
    def lines(self) -> int:
        return self._file.lines if self._file else 0

    @property
    def hidden_mb(self) -> int:
        """Of the file, before the first line that is known."""
        return -(-self._file.begin // 1_000_000) if self._file else 0

    @property
    def path(self) -> str:
        return self._file.path if self._file else ""

    def open(self, path: str) -> None:
        """Show this file from its end on; it may not exist yet."""
        if path == self.path:
            return
        self._file = LogFile(path) if path else None
        if self._file is not None:
            self._file.grow()
        self._fit()
        self.action_follow()
        self.refresh()

    def on_mount(self) -> None:
        self.set_interval(self.POLL_S, self.read_more)

    def on_resize(self) -> None:
        if self.following:
            self.action_follow()

    def read_more(self) -> None:
        """Take in what was appended; paint only if that is in sight."""
        before = self.lines
        if self._file is None or not self.display or not self._file.grow(keep=not self.following):
            return
        added = self.lines - before
        self._fit()
        if self.following:
            self.action_follow()
            self.refresh()
        elif added > 0:
            self.unseen += added
        self.post_message(self.Changed())

    def _fit(self) -> None:
        """Scroll over as many lines as there are now. The screen is laid out again only when a scrollbar comes or goes: a log that
        grows is painted several times a second."""
        self._window = (0, [])
        size = Size(max(self.size.width, self._file.widest), self.lines) if self._file else Size(0, 0)
        too_wide = size.width > self.container_size.width and self.styles.overflow_x != "hidden"
        too_long = size.height > self.container_size.height
        if (self.show_horizontal_scrollbar, self.show_vertical_scrollbar) != (too_wide, too_long):
            self.virtual_size = size
            return
        self.set_reactive(LogView.virtual_size, size)
        if self.show_horizontal_scrollbar:
            self.horizontal_scrollbar.window_virtual_size = size.width
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.window_virtual_size = size.height

    def action_follow(self) -> None:
        self.following, self.unseen = True, 0
        self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
        self.post_message(self.Changed())

    def action_first(self) -> None:
        """To the first line that is known; from there a piece further back each time."""
        if self.scroll_offset.y == 0:
            self._read_earlier()
        self.scroll_to(y=0, animate=False, force=True)

    def _read_earlier(self) -> None:
        if self._file is None:
            return
        came = self._file.earlier()
        if came:
            self._fit()
            self.scroll_to(y=self.scroll_offset.y + came, animate=False, force=True)
            self.following = False
            self.post_message(self.Changed())

    def action_aside(self, by: int) -> None:
        self.scroll_to(x=max(0, self.scroll_offset.x + by), animate=False, force=True)

    def action_scroll_down(self) -> None:
        self.scroll_to(y=self.scroll_offset.y + 1, animate=False, force=True)

    def action_scroll_up(self) -> None:
        if self.scroll_offset.y == 0:
            self._read_earlier()
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
        text = self._styled(self._line(at))
        left = self.scroll_offset.x
        return strip_of(text, self.app).apply_style(base).crop_extend(left, left + width, base)

    def _line(self, at: int) -> str:
        """A line in sight; all that are in sight are read at once."""
        first, found = self._window
        if self._file is not None and not first <= at < first + len(found):
            first = min(at, self.scroll_offset.y)
            found = self._file.read(first, max(self.size.height, at - first + 1))
            self._window = (first, found)
        return found[at - first] if at - first < len(found) else ""

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
        self._heading = Lines()
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
            if self.view.hidden_mb:
                hidden = _("{mb} MB above, Home shows more").format(mb=self.view.hidden_mb)
                text.append(f" · {hidden}", paint.dim)
        elif self.view.unseen:
            new = ngettext("{count} new line", "{count} new lines", self.view.unseen).format(count=self.view.unseen)
            text.append("▼ " + new + " · " + _("End follows again"), paint.tone(Tone.WAIT))
        else:
            text.append(_("stands still, End follows again"), paint.dim)
        self._heading.draw(text)
