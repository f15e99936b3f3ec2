"""`cockpit demo`: the practice fleet, and the screens on it. What becomes of the fleet afterwards is `cockpit.demo.leaving`'s."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from cockpit.cli.output import note
from cockpit.demo.leaving import leave, leave_in_the_background
from cockpit.lab import process as lab
from cockpit.practice import apply_catalogue, settings_of
from cockpit.terminal import TerminalWatch
from screens.translate import _


def run_on_screens(*, hosts: int, folder: Path | None) -> int:
    """The screens on the fleet. At their end the fleet goes down too, unless an order is still open. Raises ProblemError."""
    from cockpit.opening import open_screens

    place = folder or demo_folder()
    with TerminalWatch(partial(leave_in_the_background, place)) as watch:
        note(_("Bringing the lab up …"))
        try:
            info = lab.up(place, hosts)
            settings = settings_of(info)
            apply_catalogue(settings, info)
            lab.load(place, "start")
            return open_screens(settings, watch, tenant=info.tenant, workspace=info.workspace)
        finally:
            _leave(place)


def demo_folder() -> Path:
    """The demo's own, beside the lab's."""
    return lab.default_dir().with_name("demo")


def _leave(place: Path) -> None:
    if leave(place):
        note(_("An order is still open, so the lab stays up."))
        note(_("Come back with: cockpit demo --dir {folder}").format(folder=place))
        note(_("End it with: cockpit lab down --dir {folder}").format(folder=place))
    else:
        note(_("The lab is down."))
