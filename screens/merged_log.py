"""The logs of several hosts as one: every line with its host, in the order in which they were written.

When a line was written is known from the small file beside each log (`times_path`), to a tenth of a second; where there is none,
from the engine's own lines between the steps (`── 12:11:20 deploy`). Lines that come later stand behind those given already.
"""

from __future__ import annotations

import heapq
import os
import re
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.cells import cell_len

from engine.domain.log_path import times_path
from engine.views.orders import AttemptView

CHUNK = 256 * 1024
LONGEST_LINE = 64 * 1024
_DAY_S = 86_400
_OURS = re.compile(rb"\xe2\x94\x80\xe2\x94\x80 (\d\d):(\d\d):(\d\d) ")


@dataclass(frozen=True, slots=True)
class LogLine:
    """`at` is in epoch seconds."""

    at: float
    host: str
    text: str


class TimedTail:
    """The lines of one attempt's log that have not been given yet. Files are opened for each read only: hosts may be many."""

    def __init__(self, attempt: AttemptView, *, most: int | None = None) -> None:
        """`most`: begin so many bytes in front of the end, at a whole line."""
        self.host = attempt.host
        self._path = Path(attempt.log_path)
        self._at = attempt.started_at or 0.0
        self._offset = 0
        self._skips = False
        size = _size(self._path)
        if most is not None and size > most:
            self._offset, self._skips = size - most, True
        self.cut_off = self._offset

    def lines(self, *, last: bool) -> Iterator[LogLine]:
        """`last`: nothing more is coming, so give the unfinished line too."""
        sizes, times = _times(times_path(self._path))
        rest, size = b"", _size(self._path)
        while self._offset + len(rest) < size:
            data = rest + _read(self._path, self._offset + len(rest), size)
            if len(data) == len(rest):
                break
            *whole, rest = data.split(b"\n")
            for line in whole:
                begins, self._offset = self._offset, self._offset + len(line) + 1
                if not self._skips:
                    yield self._line(line, begins, sizes, times)
                self._skips = False
            if len(rest) > LONGEST_LINE:
                begins, self._offset = self._offset, self._offset + len(rest)
                yield self._line(rest, begins, sizes, times)
                rest = b""
        if last and rest:
            begins, self._offset = self._offset, self._offset + len(rest)
            yield self._line(rest, begins, sizes, times)

    def _line(self, line: bytes, begins: int, sizes: Sequence[int], times: Sequence[float]) -> LogLine:
        """Never earlier than the one before it."""
        known = bisect_right(sizes, begins)
        if known:
            self._at = max(self._at, times[known - 1])
        elif ours := _OURS.match(line):
            self._at = _at_that_time(self._at, *(int(part) for part in ours.groups()))
        return LogLine(self._at, self.host, line.decode("utf-8", "replace"))


def merged(tails: Sequence[TimedTail], *, last: bool) -> Iterator[LogLine]:
    """What they have not given yet, by time; lines of one moment stay in the order of the hosts."""
    return heapq.merge(*(tail.lines(last=last) for tail in tails), key=lambda line: line.at)


class MergedLog:
    """A file of merged lines that grows with the logs of the hosts, for a view that shows a file. Not for use by two at once."""

    def __init__(self, target: Path, attempts: Sequence[AttemptView], *, most: int, note: str) -> None:
        """Of logs that are bigger together only the ends are taken, `most` bytes in all; `note` is the first line then."""
        self.target = target
        self._known: set[str] = set()
        self._tails: list[TimedTail] = []
        self._width = 0
        self._most = max(CHUNK, most // max(1, len(attempts)))
        self._take_in(attempts)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            if any(tail.cut_off for tail in self._tails):
                file.write(f"{note}\n")

    def more(self, attempts: Sequence[AttemptView], *, last: bool) -> None:
        """Append what came. Blocks; raises OSError."""
        self._take_in(attempts)
        with self.target.open("a", encoding="utf-8") as file:
            for line in merged(self._tails, last=last):
                file.write(shown(line, self._width) + "\n")

    def _take_in(self, attempts: Sequence[AttemptView]) -> None:
        for attempt in attempts:
            if attempt.log_path not in self._known:
                self._known.add(attempt.log_path)
                self._tails.append(TimedTail(attempt, most=self._most))
                self._width = max(self._width, cell_len(attempt.host))


def shown(line: LogLine, width: int) -> str:
    """`12:11:20 hz-01 │ installing …`; `width`: cells of the longest host's name."""
    clock = time.strftime("%H:%M:%S", time.localtime(line.at))
    return f"{clock} {line.host}{' ' * (width - cell_len(line.host))} │ {line.text}"


def _at_that_time(before: float, hour: int, minute: int, second: int) -> float:
    """The next moment from `before` on at which the clock shows that; the engine's clock may be a little behind."""
    day = time.localtime(before)
    at = time.mktime((day.tm_year, day.tm_mon, day.tm_mday, hour, minute, second, 0, 0, -1))
    if at >= before:
        return at
    return before if before - at < _DAY_S / 2 else at + _DAY_S


def _times(path: Path) -> tuple[list[int], list[float]]:
    """(sizes, times). What was written again after the machine lost it counts as it was written last."""
    sizes: list[int] = []
    times: list[float] = []
    for line in _read_all(path).split(b"\n"):
        size, _space, at = line.partition(b" ")
        if not (size.isdigit() and at.replace(b".", b"", 1).isdigit()):
            continue
        while sizes and sizes[-1] >= int(size):
            sizes.pop()
            times.pop()
        sizes.append(int(size))
        times.append(float(at))
    return sizes, times


def _read_all(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        # an older engine wrote none, or it is cleared away
        return b""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # nothing was logged yet


def _read(path: Path, offset: int, end: int) -> bytes:
    try:
        with path.open("rb") as file:
            return os.pread(file.fileno(), min(CHUNK, end - offset), offset)
    except OSError:
        return b""  # cleared away meanwhile
