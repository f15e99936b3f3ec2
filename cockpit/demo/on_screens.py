"""`cockpit demo`: the practice fleet, and the screens on it. What becomes of the fleet afterwards is `cockpit.demo.leaving`'s."""

from __future__ import annotations

import shutil
import sys
from functools import partial
from pathlib import Path

from cockpit.cli.exit_codes import INTERRUPTED
from cockpit.cli.output import note
from cockpit.demo.leaving import Left, end, leave, leave_in_the_background, presence
from cockpit.lab import process as lab
from cockpit.practice import PracticeError, apply_catalogue, demo_folder, program, settings_of
from cockpit.terminal import TerminalWatch
from engine.domain.message import message
from engine.domain.problem import Problem
from screens.translate import _, ngettext

HOSTS = 8


def run_on_screens(*, hosts: int | None, folder: Path | None, fresh: bool) -> int:
    """The screens on the fleet of the last time, or on a fresh one. At their end the fleet goes down too, unless an order is still
    open; its files stay. Raises ProblemError."""
    from cockpit.opening import open_screens

    place = (folder or demo_folder()).expanduser().resolve()
    if fresh:
        _begin_anew(place)
    hosts = _hosts(place, hosts)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    with TerminalWatch(partial(leave_in_the_background, place)) as watch:
        progress = Progress()
        try:
            with presence(place):
                info = lab.up(place, hosts, tell=progress.tell)
                settings = settings_of(info)
                apply_catalogue(settings, info)
                lab.load(place, "start")
                progress.end()
                return open_screens(
                    settings, watch, tenant=info.tenant, workspace=info.workspace, practice=info, farewell=False
                )
        except KeyboardInterrupt:
            return INTERRUPTED
        finally:
            progress.end()
            _tell(leave(place), place)


class Progress:
    """One line that is written over, at a terminal; said once where there is none."""

    def __init__(self) -> None:
        self._over = sys.stderr.isatty()
        self._ended = False
        self._write(_("Bringing up the practice fleet …"))

    def tell(self, done: int, of: int) -> None:
        if self._over:
            self._write(_("Bringing up the practice fleet: {done} of {of} hosts").format(done=done, of=of))

    def end(self) -> None:
        if self._over and not self._ended:
            note("")
        self._ended = True

    def _write(self, line: str) -> None:
        if self._over:
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
        else:
            note(line)


def _begin_anew(place: Path) -> None:
    """Whatever is open there ends, and all of it goes."""
    if not place.exists() or not any(place.iterdir()):
        return
    if lab.kept_hosts(place) is None:
        raise PracticeError(
            Problem(
                "no_practice_folder",
                message("{dir} holds something other than a practice fleet, so it is not emptied.", dir=str(place)),
                message("Name another folder with --dir."),
            )
        )
    note(_("Ending the old practice fleet, and its orders with it …"))
    end(place)
    shutil.rmtree(place)


def _hosts(place: Path, wanted: int | None) -> int:
    kept = lab.kept_hosts(place)
    if kept is not None and wanted not in (None, kept):
        raise PracticeError(
            Problem(
                "practice_other_size",
                message("The practice fleet in {dir} has {kept} hosts, with its orders.", dir=str(place), kept=kept),
                message(
                    "Leave out --hosts to come back to it, or start afresh with --fresh --hosts {hosts}.", hosts=wanted
                ),
            )
        )
    return kept or wanted or HOSTS


def _tell(left: Left, place: Path) -> None:
    """What became of it: nothing else than what is so."""
    elsewhere = "" if place == demo_folder().resolve() else f" --dir {place}"
    if left.orders:
        listed = ", ".join(f"#{order}" for order in left.orders)
        note(
            ngettext(
                "Order {listed} is still open: the practice fleet and the load on it stay up, and what runs goes on.",
                "Orders {listed} are still open: the practice fleet and the load on it stay up, and what runs goes on.",
                len(left.orders),
            ).format(listed=listed)
        )
        note(_("Come back to it: {command}").format(command=f"{program()} demo{elsewhere}"))
        note(_("End it: {command}").format(command=f"{program()} lab down{elsewhere}"))
        return
    if left.others:
        note(_("Somebody else is using the practice fleet, so it stays up."))
        return
    if not (place / "cockpit.db").exists():
        note(_("The practice fleet did not come up, and nothing of it runs."))
        return
    note(_("The practice fleet and its engine are down. Its orders stay in {file}.").format(file=place / "cockpit.db"))
    note(_("Find them again: {command}").format(command=f"{program()} demo{elsewhere}"))
    note(_("Start afresh: {command}").format(command=f"{program()} demo --fresh{elsewhere}"))
