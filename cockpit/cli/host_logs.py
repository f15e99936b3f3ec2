"""`cockpit order log`: the cleaned logs of hosts, from the files the engine writes; followed by reading on, never re-read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cockpit.cli.exit_codes import DONE
from cockpit.cli.named import hosts_of
from cockpit.cli.output import nobody_reads, print_json_line, say
from cockpit.cli.waiting import LOOK_EVERY_S, KeepAlive, Place
from screens.attempts import in_reading_order

if TYPE_CHECKING:
    from engine.api import Api
    from engine.views.orders import AttemptView

CHUNK = 65_536


def print_logs(
    api: Api,
    place: Place,
    order_id: int,
    hosts: Sequence[str],
    *,
    latest: bool,
    keep_alive: KeepAlive | None,
    as_json: bool,
) -> int:
    """All attempts of each host, the failed one first where the host has failed, else oldest first; with `latest` the newest only.

    With `keep_alive` go on with the newest attempt of each until the order ends or waits, and keep an engine alive meanwhile.
    Raises ApiError, WrongUse."""
    follow = keep_alive is not None
    tails: dict[str, Tail] = {}
    printer = Printer(as_json=as_json)
    while True:
        token = api.change_token()
        view = api.order(*place, order_id)
        names = [run.name for run in hosts_of(view, hosts)]
        ends = not follow or view.state.complete or view.state.halts
        attempts = api.attempts(*place, order_id)
        for name in names:
            of_host = [attempt for attempt in attempts if attempt.host == name]
            for attempt in of_host[-1:] if latest or follow else in_reading_order(of_host):
                tail = tails.setdefault(attempt.log_path, Tail(Path(attempt.log_path)))
                printer.print(attempt, tail.lines(last=ends))
        if ends or nobody_reads():
            return DONE
        if keep_alive is not None and not view.engine_alive:
            keep_alive()
        api.wait_change(token, timeout_s=LOOK_EVERY_S)


class Tail:
    """The lines of a file that have not been given yet. A line still being written is held back until it is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""

    def lines(self, *, last: bool) -> list[str]:
        """`last`: nothing more is coming, so give the unfinished line too."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                while chunk := file.read(CHUNK):
                    self._offset += len(chunk)
                    self._rest += chunk
        except FileNotFoundError:  # nothing was logged yet
            return []
        *whole, self._rest = self._rest.split(b"\n")
        if last and self._rest:
            whole, self._rest = [*whole, self._rest], b""
        return [line.decode("utf-8", "replace") for line in whole]


class Printer:
    """Says whose lines follow, and of which attempt, whenever that changes."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._log = ""

    def print(self, attempt: AttemptView, lines: list[str]) -> None:
        if self._as_json:
            about = {"host": attempt.host, "direction": attempt.direction, "attempt": attempt.number}
            for line in lines:
                print_json_line({**about, "line": line})
            return
        if lines and attempt.log_path != self._log:
            say(f"==> {attempt.host} {attempt.direction} {attempt.number} {attempt.state} <==")
            self._log = attempt.log_path
        for line in lines:
            say(line)
