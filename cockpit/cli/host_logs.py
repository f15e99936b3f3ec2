"""`cockpit order log`: the cleaned logs of hosts, from the files the engine writes; followed by reading on, never re-read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cockpit.cli.exit_codes import DONE
from cockpit.cli.following import LOOK_EVERY_S, Place
from cockpit.cli.output import nobody_reads, print_json_line, say
from cockpit.cli.run import WrongUse
from engine.domain.message import message
from engine.domain.problem import Problem
from screens.attempts import in_reading_order

if TYPE_CHECKING:
    from engine.api import Api
    from engine.views import AttemptView, HostRunView, OrderView

CHUNK = 65_536


def print_logs(
    api: Api, place: Place, order_id: int, hosts: tuple[str, ...], *, follow: bool, latest: bool, as_json: bool
) -> int:
    """All attempts of each host, the failed one first where the host has failed, else oldest first; with `latest` the newest only.

    With `follow` go on with the newest attempt of each until the order ends or waits. Raises ApiError, WrongUse."""
    tails: dict[str, Tail] = {}
    printer = Printer(as_json=as_json)
    while True:
        token = api.change_token()
        view = api.order(*place, order_id)
        names = [run.name for run in _chosen(view, hosts)]
        ends = not follow or view.state.complete or view.state.halts
        attempts = api.attempts(*place, order_id)
        for name in names:
            of_host = [attempt for attempt in attempts if attempt.host == name]
            for attempt in of_host[-1:] if latest or follow else in_reading_order(of_host):
                tail = tails.setdefault(attempt.log_path, Tail(Path(attempt.log_path)))
                printer.print(attempt, tail.lines(last=ends))
        if ends or nobody_reads():
            return DONE
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


def _chosen(view: OrderView, hosts: tuple[str, ...]) -> list[HostRunView]:
    known = {run.name: run for run in view.hosts}
    for host in hosts:
        if host not in known:
            raise WrongUse(
                Problem(
                    "no_such_host",
                    message("Order #{id} has no host {host}.", id=view.id, host=host),
                    message("Its hosts are: {hosts}.", hosts=", ".join(known)),
                )
            )
    return [known[host] for host in hosts] if hosts else list(view.hosts)
