"""A terminal of our own around a program: a pty with a size, what the program wrote to it and when."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


class Terminal:
    """A program on a pty. Use as a context manager: at its end the program's whole process group is killed."""

    def __init__(
        self, command: Sequence[str | Path], environment: Mapping[str, str], *, columns: int = 80, rows: int = 24
    ) -> None:
        self.started_at = time.perf_counter()
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=dict(environment), start_new_session=True
        )
        os.close(slave)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        os.close(self._master)

    def press(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def read(self, timeout_s: float) -> bytes:
        """What comes next, empty when nothing does within the time."""
        ready, _, _ = select.select([self._master], [], [], timeout_s)
        return os.read(self._master, 1 << 16) if ready else b""

    def until(self, needle: bytes, deadline_s: float = 30.0) -> float:
        """Read until `needle` was written; returns the seconds since the start of the program."""
        seen, end = b"", time.perf_counter() + deadline_s
        while needle not in seen:
            left = end - time.perf_counter()
            assert left > 0, f"{needle!r} was never written; the end of what was: {seen[-2000:]!r}"
            seen = seen[-(1 << 16) :] + self.read(left)
        return time.perf_counter() - self.started_at
