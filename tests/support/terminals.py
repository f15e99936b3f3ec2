"""Programs at terminals of their own, and what becomes of them when the terminal goes: real pseudo-terminals, read from /proc."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.processes import running

DEADLINE_S = 20.0
TICKS = os.sysconf("SC_CLK_TCK")


class Pty:
    """A program as the leader of a session at a terminal of 80×24. Somebody reads what it writes until told to stop."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(command[0], command, environment)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._open = True
        self._reads = True
        self._output = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while self._reads:
            ready, _, _ = select.select([self._master], [], [], 0.05)
            if ready:
                try:
                    self._output += os.read(self._master, 65_536)
                except OSError:  # the last one at the other side has closed it
                    return

    @property
    def written(self) -> str:
        return self._output.decode("utf-8", "replace")

    def shows(self, *words: str, after: int = 0) -> None:
        until(lambda: all(word in self.written[after:] for word in words), f"{words} is written")

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def stop_reading(self) -> None:
        self._reads = False
        self._reader.join()

    def read_on(self) -> None:
        self._reads = True
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def hang_up(self) -> None:
        """As when the window is closed: the kernel tells the session's leader, and nobody else."""
        if self._open:
            self._open = False
            self.stop_reading()
            os.close(self._master)

    @property
    def foreground(self) -> int:
        return os.tcgetpgrp(self._master)

    @property
    def is_raw(self) -> bool:
        return not termios.tcgetattr(self._master)[3] & termios.ICANON

    def wait(self) -> int:
        """The exit status; the process has ended, or does within the deadline."""
        ended: list[int] = []

        def has() -> bool:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            ended.extend([os.waitstatus_to_exitcode(status)] if pid else [])
            return bool(pid)

        until(has, "the program at the terminal has ended")
        return ended[0]

    def close(self) -> None:
        """Whatever is left of it ends."""
        left = family(self.pid)
        self.hang_up()
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


@contextmanager
def at_a_terminal(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Iterator[Pty]:
    terminal = Pty(command, environment, folder)
    try:
        yield terminal
    finally:
        terminal.close()


def until(true: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    end = time.monotonic() + deadline_s
    while not true():
        assert time.monotonic() < end, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.02)


def family(pid: int) -> list[int]:
    """The process and all it has started, and those have."""
    found = [pid]
    for each in found:
        with suppress(OSError):
            found += [int(child) for child in Path(f"/proc/{each}/task/{each}/children").read_text().split()]
    return found


def cockpits(mark: str) -> list[int]:
    """The cockpits, not their engines, that have `mark` in their environment."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with suppress(OSError):
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            ours = arguments[1:3] == [b"-m", b"cockpit"] and b"engine" not in arguments
            if ours and mark.encode() in (folder / "environ").read_bytes() and running(int(folder.name)):
                found.append(int(folder.name))
    return found


def cpu_s(pid: int) -> float:
    """Processor time the process has used; 0 when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def share_of_a_core(pid: int, seconds: float) -> float:
    before = cpu_s(pid)
    time.sleep(seconds)
    return max(0.0, cpu_s(pid) - before) / seconds
