"""Textual's driver for a terminal that can go away: the end of the input and a failed write are said, not read again for ever.

It draws and reads nothing of its own; what to do about a lost terminal is `cockpit.terminal`'s.
"""

from __future__ import annotations

import os
import select
import signal
import time
from codecs import getincrementaldecoder
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

from cockpit.terminal import TerminalWatch

if TYPE_CHECKING:
    from textual.app import App

LOOK_S = 0.1  # an Esc is told from the start of a sequence this late
READ_BYTES = 4096
# the terminal remembers its title, and has it back
_KEEP_TITLE, _TITLE_AS_BEFORE = "\x1b[22;2t", "\x1b[23;2t"
UNREAD_S = 1.0  # a terminal that takes nothing for so long is one that nobody reads


class Output:
    """Where the driver's own writer thread writes. A terminal that does not read is waited for; one that is gone is told of."""

    def __init__(self, fd: int, watch: TerminalWatch) -> None:
        self._fd = fd
        self._watch = watch
        self._waiting_since: float | None = None

    @property
    def unread(self) -> bool:
        since = self._waiting_since
        return since is not None and time.monotonic() - since >= UNREAD_S

    def fileno(self) -> int:
        return self._fd

    def write(self, text: str) -> None:
        left = memoryview(text.encode("utf-8", "replace"))
        while left:
            self._waiting_since = time.monotonic()
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:  # whoever shares this terminal made it so
                select.select([], [self._fd], [], 1.0)
            except OSError:
                self._watch.lost()
                return
        self._waiting_since = None

    def flush(self) -> None:
        """Nothing is held back."""


class TerminalDriver(LinuxDriver):
    """Its app has a watched `terminal`."""

    def __init__(self, app: App[Any], **named: Any) -> None:
        super().__init__(app, **named)
        self._watch: TerminalWatch = app.terminal  # type: ignore[attr-defined]
        self.has_title = False  # one that may be set now
        self._output = Output(self._file.fileno(), self._watch)
        self._file: Any = self._output

    @property
    def unread(self) -> bool:
        """Nobody reads what is drawn: a link that is slow beyond use, a terminal that was stopped."""
        return self._output.unread

    def start_application_mode(self) -> None:
        super().start_application_mode()  # type: ignore[no-untyped-call]
        # a terminal that knows nothing of titles may draw them
        self.has_title = os.environ.get("TERM", "") not in ("", "dumb", "linux")
        if self.has_title:
            self.write(_KEEP_TITLE)

    def stop_application_mode(self) -> None:
        if self.has_title:
            self.has_title = False
            self.write(_TITLE_AS_BEFORE)
        super().stop_application_mode()

    def run_input_thread(self) -> None:
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        try:
            while not self.exit_event.is_set():
                ready, _, _ = select.select([self.fileno], [], [], LOOK_S)
                if ready:
                    read = os.read(self.fileno, READ_BYTES)
                    if not read:
                        self._watch.lost()
                        return
                    text = decode(read)  # empty while a character is only half there; the parser takes that for the end
                    for event in parser.feed(text) if text else ():
                        self.process_message(event)
                for event in parser.tick():
                    self.process_message(event)
        except OSError:
            self._watch.lost()
        finally:
            with suppress(EOFError, ParseError):
                list(parser.feed(""))  # half a sequence is no key

    def stop_until_continued(self) -> None:
        """Give the terminal back and stop, with everything that was started with us: a make that goes on would keep the shell from
        noticing. SIGCONT brings the screens back."""
        self._give_terminal_back()
        os.killpg(0, signal.SIGSTOP)

    def _sigtstp_application(self, *_: Any) -> None:
        """Only this process is told to: the sender knows about the others."""
        self._give_terminal_back()
        os.kill(os.getpid(), signal.SIGSTOP)

    def _sigcont_application(self, *_: Any) -> None:
        """Brought back. One that was stopped without being asked first has its terminal set up anew: a shell had it meanwhile."""
        if self._auto_restart:
            self._give_terminal_back()
            self.resume_application_mode()

    def _give_terminal_back(self) -> None:
        if self._auto_restart and not self._must_signal_resume:
            self.suspend_application_mode()
            self._must_signal_resume = True
