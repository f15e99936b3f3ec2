"""`cockpit lab`: the practice fleet, brought up, looked at, disturbed and brought down."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cockpit.cli.command import command, group
from cockpit.cli.exit_codes import DONE, INTERRUPTED
from cockpit.cli.output import note, print_json, print_table, say
from cockpit.cli.session import Session
from cockpit.cli.wrong_use import WrongUse
from engine.domain.message import message
from engine.domain.problem import Problem
from screens.translate import N_, _

app = group("lab", "A practice fleet on this machine: hosts, jump host, packages and a balancer. No root, no Docker.")

Folder = Annotated[
    Path | None,
    typer.Option(
        "--dir", metavar="DIR", help="Where the lab keeps its files; default: the one that runs, or in the data folder."
    ),
]


@command(app, "up", example="cockpit lab up --hosts 4")
def up(
    session: Session,
    folder: Folder = None,
    hosts: Annotated[int, typer.Option("--hosts", min=2, max=1000, help="Hosts behind the balancer.")] = 8,
    more_apps: Annotated[
        bool | None,
        typer.Option(
            "--more-apps/--no-more-apps",
            help="With pricing, and gateway that calls it, on hosts of their own; default: as the folder's lab was before.",
        ),
    ] = None,
) -> int:
    """Bring the lab up, or show the one that is up; prints its catalogue file, store and endpoints."""
    from cockpit.lab import process

    try:
        info = process.up(_folder(folder), hosts, more_apps=more_apps)
    except KeyboardInterrupt:
        note("\n" + _("Interrupted: the practice fleet was not brought up, and nothing of it runs."))
        return INTERRUPTED
    if session.json:
        print_json(info.to_json())
        return DONE
    lines = [("folder", info.dir), ("catalogue", info.catalogue), ("store", info.store), *info.endpoints.items()]
    for name, value in lines:
        say(f"{name:<10} {value}")
    say(_("Next: cockpit --store {store} apply {catalogue}").format(store=info.store, catalogue=info.catalogue))
    return DONE


@command(app, "down", example="cockpit lab down")
def down(session: Session, folder: Folder = None) -> None:
    """Bring the lab down: everything its hosts run ends; its files stay."""
    from cockpit.engine_process import stop_engine
    from cockpit.lab import process
    from cockpit.settings import load_settings, store_file

    place = _folder(folder)
    info = process.info(place)
    file = store_file(info.store) if info else None
    if info and file and file.exists():
        stop_engine(load_settings(info.store))  # without its fleet there is nothing for it to do
    was_up = process.down(place)
    if session.json:
        print_json({"was_up": was_up})
    else:
        say(_("The lab is down.") if was_up else _("There was no lab running."))


@command(app, "status", example="cockpit lab status")
def status(session: Session, folder: Folder = None) -> None:
    """The lab's hosts and what they run, the balancer's weights, the load and the faults that are on."""
    from cockpit.lab import process

    found = process.status(_folder(folder))
    if session.json:
        print_json(found.to_json())
        return
    titles = (N_("name"), N_("workspace"), N_("app"), N_("version"), N_("health"), N_("agent"))
    print_table(
        titles, [(h.name, h.workspace, h.app, h.version, h.health, "✓" if h.agent else "✗") for h in found.hosts]
    )
    for server_group, weights in found.weights.items():
        say(f"{server_group}: " + "  ".join(f"{server} {weight}" for server, weight in weights.items()))
    say(_("load: {requests} requests, {failed} failed").format(requests=found.load.requests, failed=found.load.failed))
    for name, where in found.faults.items():
        say(_("fault {name} on {where}").format(name=name, where=", ".join(where) or _("every host")))


@command(app, "faults", example="cockpit lab faults")
def faults(session: Session) -> None:
    """List the faults."""
    from cockpit.lab import process

    known = process.faults()
    if session.json:
        print_json(known)
    else:
        print_table((N_("fault"), N_("what it does")), known.items())


@command(app, "fault", example="cockpit lab fault slb_away --for 20")
def fault(
    session: Session,
    name: Annotated[str, typer.Argument(help="Which fault; `cockpit lab faults` lists them.")],
    switch: Annotated[str, typer.Argument(metavar="on|off", help="Switch it on or off.")] = "on",
    host: Annotated[str | None, typer.Option("--host", metavar="NAME", help="On this host only.")] = None,
    seconds: Annotated[
        float | None,
        typer.Option("--for", metavar="SECONDS", min=0.1, help="Switch it off again by itself after so long."),
    ] = None,
    folder: Folder = None,
) -> None:
    """Switch a fault on or off."""
    from cockpit.lab import process

    if switch not in ("on", "off"):
        raise WrongUse(
            Problem("wrong_use", message("{word} is neither on nor off.", word=switch), message("Say on or off."))
        )
    now = process.fault(_folder(folder), name, switch == "on", host, for_s=seconds)
    if session.json:
        print_json({"faults": now})
        return
    for each, where in now.items():
        say(_("fault {name} on {where}").format(name=each, where=", ".join(where) or _("every host")))
    if not now:
        say(_("No fault is on."))


@command(app, "load", example="cockpit lab load start")
def load(
    session: Session,
    act: Annotated[str, typer.Argument(metavar="start|stop", help="Start or stop the load generator.")],
    rate: Annotated[float, typer.Option("--rate", min=0.1, help="Requests per second.")] = 100.0,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Concurrent connections.")] = 4,
    folder: Folder = None,
) -> None:
    """Send real HTTP requests through the balancer, and count those that fail."""
    from cockpit.lab import process

    if act == "start":
        found = process.load(_folder(folder), "start", workers=workers, rate=rate)
    elif act == "stop":
        found = process.load(_folder(folder), "stop")
    else:
        problem = message("{word} is neither start nor stop.", word=act)
        raise WrongUse(Problem("wrong_use", problem, message("Say start or stop.")))
    if session.json:
        print_json(found)
    else:
        say(_("load: {requests} requests, {failed} failed").format(requests=found.requests, failed=found.failed))


def _folder(folder: Path | None) -> Path:
    """The one that is named, else the one lab that runs."""
    from cockpit.practice import WhichLab, lab_meant

    try:
        return lab_meant(folder)
    except WhichLab as error:
        raise WrongUse(error.problem) from error
