"""Ends this process when its terminal has gone, and when it was told to end and does not: a thread of its own, so that nothing
that blocks or spins elsewhere can keep it from doing so.

A terminal can go without a signal: only the session's leader is told, and a leader such as make waits for its children. Then the
event loop is stuck in a write or reads the end of a file for ever. What runs is not ended by this: that is the engine's.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any

CHECK_S = 1.0
ESTRANGED_S = 3.0  # somebody else has had the terminal for so long while this process ran
LEAVE_S = 3.0  # the screens have so long to leave by themselves
TOLD = (signal.SIGHUP, signal.SIGTERM)
ASKED = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)  # while the screens are open

_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL
# What the screens switched on: pasting, wrapping, resizing, mouse, keyboard, the other screen, the cursor, focus, the title.
_AS_BEFORE = (
    b"\x1b[?2004l\x1b[?7h\x1b[?2048l\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l"
    b"\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?1004l\x1b[23;2t"
)

Leave = Callable[[int], None]


def nothing() -> None:
    """What is left to do when the terminal goes: nothing."""


class TerminalWatch:
    """Enter it in the main thread. `gone` is called once in the watch's thread before the process is ended for a lost terminal;
    it must be quick and must not write to the terminal."""

    def __init__(self, gone: Callable[[], None] = nothing) -> None:
        self._gone = gone
        self._terminals = tuple(fd for fd in (0, 1, 2) if _is_terminal(fd))
        self._settings = _settings_of(self._terminals[0]) if self._terminals else None
        self._owned = _foreground(self._terminals) is True
        self._leave: Leave | None = None
        self._status = 0
        self._end_at: float | None = None
        self._lost = False
        self._over = False
        self._woken, self._wake = os.pipe()
        self._before: dict[int, Any] = {}
        self._thread = threading.Thread(target=self._watch, name="terminal watch", daemon=True)

    def __enter__(self) -> TerminalWatch:
        self._before = {number: signal.signal(number, self._told) for number in TOLD}
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over = True
        self._call()
        self._thread.join()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._wake)
        os.close(self._woken)

    @contextmanager
    def screens(self, leave: Leave) -> Iterator[None]:
        """While they are open a signal asks for `leave(status)`. When they do not end soon after it, the process is ended."""
        self._leave = leave
        before = {number: signal.signal(number, self._told) for number in ASKED}
        try:
            yield
        finally:
            self._leave = self._end_at = None
            for number, handler in before.items():
                signal.signal(number, handler)

    def lost(self) -> None:
        """A read or a write has found that the terminal is not there any more. From any thread."""
        self._lost = True
        self._call()

    # ---- in the main thread, between two instructions of whatever it does

    def _told(self, number: int, _frame: FrameType | None) -> None:
        self._status = 128 + number
        if self._leave is None:
            sys.exit(self._status)
        if self._end_at is None:
            self._end_at = time.monotonic() + LEAVE_S
        self._call()
        self._leave(self._status)

    def _call(self) -> None:
        os.write(self._wake, b".")

    # ---- in the watch's thread

    def _watch(self) -> None:
        poller = select.poll()
        poller.register(self._woken, select.POLLIN)
        for terminal in self._terminals:
            poller.register(terminal, 0)
        estranged_since: float | None = None
        while not self._over:
            seen = dict(poller.poll(self._patience_s() * 1000))
            if self._woken in seen:
                os.read(self._woken, 512)
            if self._lost or any(seen.get(terminal, 0) & _GONE for terminal in self._terminals):
                self._end(128 + signal.SIGHUP)
            if self._end_at is not None and time.monotonic() >= self._end_at:
                self._end(self._status, restore=True)
            if not self._owned or _foreground(self._terminals) is not False:
                estranged_since = None
            elif estranged_since is None:
                estranged_since = time.monotonic()
            elif time.monotonic() - estranged_since >= ESTRANGED_S:
                self._end(128 + signal.SIGHUP, restore=True)

    def _patience_s(self) -> float:
        return CHECK_S if self._end_at is None else max(0.0, min(CHECK_S, self._end_at - time.monotonic()))

    def _end(self, status: int, *, restore: bool = False) -> None:
        if restore:
            self._restore()
        try:
            self._gone()
        finally:
            os._exit(status)  # not sys.exit: the main thread may never come back to notice

    def _restore(self) -> None:
        """The terminal as it was found, as far as that can be done without waiting for anything."""
        if not self._terminals:
            return
        with suppress(OSError):
            terminal = os.open(os.ttyname(self._terminals[0]), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
            os.write(terminal, _AS_BEFORE)
        if self._settings is not None and _foreground(self._terminals) is not False:
            with suppress(termios.error):  # from the background this would stop us
                termios.tcsetattr(self._terminals[0], termios.TCSANOW, self._settings)


def end_with_terminal() -> None:
    """For a command without screens: end when the terminal it was started at has gone, told of it or not, whatever it waits for.
    Who was told to live through a hangup does (`nohup`), and so does what runs in the background of a shell that is still there."""
    # copies: whoever closes the first ones has not lost a terminal
    terminals = [os.dup(fd) for fd in (0, 1, 2) if _is_terminal(fd)]
    if terminals and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        threading.Thread(target=_end_when_gone, args=(terminals,), name="terminal watch", daemon=True).start()


def _end_when_gone(terminals: list[int]) -> None:
    poller = select.poll()
    for terminal in terminals:
        poller.register(terminal, 0)
    while not any(seen & _GONE for _terminal, seen in poller.poll()):
        continue
    os._exit(128 + signal.SIGHUP)  # not sys.exit: the main thread may never come back to notice


def can_come_back() -> bool:
    """Whether a shell with job control started us: only then is there somebody who brings a stopped process back."""
    pid, group, session = os.getpid(), os.getpgrp(), os.getsid(0)
    while pid > 1:
        pid = _parent_of(pid)
        try:
            if os.getpgid(pid) != group:
                return os.getsid(pid) == session
        except OSError:
            return False
    return False


def _parent_of(pid: int) -> int:
    if pid == os.getpid():
        return os.getppid()
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:  # it has ended, or there is no /proc here
        return 0


def _is_terminal(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False


def _settings_of(terminal: int) -> list[Any] | None:
    try:
        return termios.tcgetattr(terminal)
    except termios.error:
        return None


def _foreground(terminals: tuple[int, ...]) -> bool | None:
    """Whether this process's group has the terminal; None when that cannot be told: it is not our session's."""
    if not terminals:
        return None
    try:
        return os.tcgetpgrp(terminals[0]) == os.getpgrp()
    except OSError:
        return None
