"""Reads a job's log as it arrives: output byte for byte, and between it the runner's records.

A record is `\\x1e<nonce> <words>\\n` and may stand anywhere, also right behind output without a newline. Never guesses: what
only looks like the beginning of a record is held back until it is known, at most one record long.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.ports import JobEvent, LogBytes, StepEnded, StepStarted

_RECORD_LIMIT = 512  # bytes; a record is about 80


@dataclass(frozen=True, slots=True)
class LastWord:
    """The runner's last record: `ok`, `failed`, `stopped` or `full`."""

    word: str
    offset: int


class LogEvents:
    """`feed` bytes that follow each other in the log from `offset` on; `offset` is then that of the last event given out."""

    def __init__(self, nonce: str, offset: int) -> None:
        self.offset = offset
        self._mark = b"\x1e" + nonce.encode() + b" "
        self._held = b""

    def feed(self, data: bytes) -> Iterator[JobEvent | LastWord]:
        data = self._held + data
        self._held = b""
        while data:
            start = data.find(self._mark)
            if start < 0:
                start = len(data) - _beginning_of(self._mark, data)
            if start:
                self.offset += start
                yield LogBytes(data[:start], self.offset)
                data = data[start:]
                continue
            end = data.find(b"\n", 0, _RECORD_LIMIT)
            if end < 0 and len(data) < _RECORD_LIMIT:
                self._held = data
                return
            event = self._event(data[: end + 1]) if end >= 0 else None
            size = end + 1 if event else self._size_of_broken(data)
            self.offset += size
            yield event or LogBytes(data[:size], self.offset)
            data = data[size:]

    def _size_of_broken(self, data: bytes) -> int:
        """A record cut short (a disk that was full for a moment) is output up to where the next one can begin."""
        following = data.find(b"\x1e", 1, _RECORD_LIMIT)
        return following if following > 0 else min(len(data), len(self._mark))

    def _event(self, record: bytes) -> JobEvent | LastWord | None:
        words = record[len(self._mark) :].decode("ascii", "replace").split()
        offset = self.offset + len(record)
        try:
            match words:
                case ["start", step, at]:
                    return StepStarted(step, float(at), offset)
                case ["done", step, status, late, at]:
                    return StepEnded(step, int(status), late == "1", float(at), offset)
                case ["end", word, at]:
                    float(at)
                    return LastWord(word, offset)
        except ValueError:
            return None
        return None


def _beginning_of(mark: bytes, data: bytes) -> int:
    """How many bytes at the end of `data` could be the beginning of `mark`."""
    at = data.rfind(b"\x1e", max(0, len(data) - len(mark)))
    return len(data) - at if at >= 0 and mark.startswith(data[at:]) else 0
