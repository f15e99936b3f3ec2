"""`cockpit order log`: the cleaned logs of hosts, from the files the engine writes; followed by reading on, never re-read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cockpit.cli.exit_codes import DONE
from cockpit.cli.following import LOOK_EVERY_S, Place
from cockpit.cli.output import print_json_line, say
from cockpit.cli.run import WrongUse
from engine.domain.message import message
from engine.domain.problem import Problem

if TYPE_CHECKING:
    from engine.api import Api
    from engine.views import HostRunView, OrderView

CHUNK = 65_536


def print_logs(api: Api, place: Place, order_id: int, hosts: tuple[str, ...], *, follow: bool, as_json: bool) -> int:
    """Everything written so far, host by host; with `follow` go on until the order ends or waits. Raises ApiError, WrongUse."""
    tails: dict[str, Tail] = {}
    printer = Printer(as_json=as_json)
    while True:
        token = api.change_token()
        view = api.order(*place, order_id)
        for run in _chosen(view, hosts):
            tails.setdefault(run.log_path, Tail(Path(run.log_path)))
            printer.print(
                run.name, tails[run.log_path].lines(last=not follow or view.state.complete or view.state.halts)
            )
        if not follow or view.state.complete or view.state.halts:
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
    """Says whose lines follow whenever that changes."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._host = ""

    def print(self, host: str, lines: list[str]) -> None:
        if self._as_json:
            for line in lines:
                print_json_line({"host": host, "line": line})
            return
        if lines and host != self._host:
            say(f"==> {host} <==")
            self._host = host
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
