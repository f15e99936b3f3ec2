"""The log of one host's attempt: an append-only file, cleaned of control sequences and secrets on the way in.

Beside it a small file remembers how far into the host's own log it reaches (`<remote offset> <local size>`), so that an engine
that takes over goes on behind the last byte that was kept: what was written after that mark is cut off and read again. The mark
is overwritten in place, in one write that a killed process has done or not: putting a new file over an old one makes some file
systems write to the disk at once, which would stop the event loop at every step of every host.

Another small file says when what was written (`<size before> <epoch seconds>`, a line now and then): hosts' logs are merged by it.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from engine.domain.clean import LogCleaner
from engine.domain.log_path import times_path
from engine.domain.message import Message
from engine.private_files import PRIVATE_FOLDER, append_to_private, open_private

MARK_EVERY_S = 1.0
TIMED_EVERY_S = 0.1
_MARK = "{:020} {:020}\n"  # of one length always


class HostLog:
    """Open for one run; not for use by two at once. Times in heading lines are the engine's local time."""

    def __init__(self, path: Path, *, new: bool = False) -> None:
        """`new`: nothing of this attempt has begun, so what is there belongs to something else (an order of another store)."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
        mark_path = path.with_suffix(".offset")
        self.offset, size = (0, 0) if new else _read_mark(mark_path)
        self._path = path
        self._file = append_to_private(path, new=new)
        if self._file.tell() < size:  # the machine lost what it had not written to its disk: all is read again
            self.offset = size = 0
            self._file.truncate(0)
        elif self._file.tell() > size and self.offset:
            self._file.truncate(size)
            self._file.seek(0, os.SEEK_END)
        try:
            self._mark_file = open_private(mark_path, os.O_WRONLY)
        except OSError:
            self._file.close()
            raise
        try:
            self._times = append_to_private(times_path(path), new=new)
        except OSError:
            os.close(self._mark_file)
            self._file.close()
            raise
        self._timed_at = 0.0
        self._cleaner = LogCleaner()
        self._marked_at = 0.0
        if new:
            self.mark()

    def heading(self, text: str | Message, at: float) -> None:
        """A line of our own between the steps' output, in English; screens tell it in the operator's language."""
        self._write(self._cleaner.flush())
        self._write(f"── {time.strftime('%H:%M:%S', time.localtime(at))} {text}\n")
        self._mark_now_and_then()

    def output(self, data: bytes, offset: int) -> None:
        """Raw output of the host, in order; `offset` is that of the byte behind it in the host's log."""
        self._write(self._cleaner.feed(data))
        self.offset = offset
        self._mark_now_and_then()

    def _mark_now_and_then(self) -> None:
        if _loop_time() - self._marked_at >= MARK_EVERY_S:
            self.mark()

    def mark(self) -> None:
        self._file.flush()
        self._marked_at = _loop_time()
        os.pwrite(self._mark_file, _MARK.format(self.offset, self._file.tell()).encode(), 0)

    def close(self) -> None:
        try:
            self._write(self._cleaner.flush())
            self.mark()
        finally:
            os.close(self._mark_file)
            self._times.close()
            self._file.close()

    def tail(self, limit: int = 8192) -> str:
        """The last `limit` bytes written, as text."""
        self._file.flush()
        with self._path.open("rb") as reader:
            reader.seek(max(0, self._file.tell() - limit))
            return reader.read().decode("utf-8", "replace")

    def _write(self, text: str) -> None:
        if text:
            self._note_time()
            self._file.write(text.encode("utf-8"))
            self._file.flush()

    def _note_time(self) -> None:
        now = _loop_time()
        if now - self._timed_at >= TIMED_EVERY_S:
            self._timed_at = now
            self._times.write(f"{self._file.tell()} {time.time():.3f}\n".encode())
            self._times.flush()


def _read_mark(path: Path) -> tuple[int, int]:
    try:
        offset, size = path.read_text().split()
        return int(offset), int(size)
    except (OSError, ValueError):
        return 0, 0


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
