"""A growing text file, of which a piece is known line by line: what the log of a host is read through.

It never holds the file in memory, and never reads more than a bounded piece in one go.
"""

from __future__ import annotations

import os
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

from screens.widgets.log_search import READ_AT_ONCE

# what came since the last look and is more than that is left out: only the end is followed
LEAP = 8 * READ_AT_ONCE
# bytes whose lines are known at most, a piece more or less
KEPT = 16 * READ_AT_ONCE
KEPT_LINES = 1_000_000
# bytes of a line that are shown
LONGEST_LINE = 4096
_NEWLINE = re.compile(b"\n")


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
        with self.open() as file:
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
        with self.open() as file:
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

    def line_at(self, offset: int) -> int:
        """The line that holds byte `offset`; when the piece does not reach there, another piece is made known, around it."""
        if not self.begin <= offset < self.end:
            self._read_around(offset)
        return max(0, min(bisect_right(self._starts, offset) - 1, self.lines - 1))

    def offset_of(self, line: int) -> int:
        """Where a known line begins in the file, in bytes; behind the last line the piece's end."""
        return self._starts[line] if line < len(self._starts) else self.end

    def _read_around(self, offset: int) -> None:
        with self.open() as file:
            if file is None:
                return
            wanted = max(0, offset - READ_AT_ONCE // 2)
            self._forget(_line_behind(file, wanted) if wanted else 0)
            self._new = False
            data = os.pread(file, READ_AT_ONCE, self.begin)
        self._append(data)

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
        with self.open() as file:
            if file is None:
                return []
            return [self._line(file, at) for at in range(first, last)]

    def _line(self, file: int, at: int) -> str:
        start = self._starts[at]
        end = self._starts[at + 1] - 1 if at + 1 < len(self._starts) else self.end
        return os.pread(file, min(LONGEST_LINE, end - start), start).decode("utf-8", "replace")

    @contextmanager
    def open(self) -> Iterator[int | None]:
        """The file's descriptor; nothing while there is no such file."""
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
