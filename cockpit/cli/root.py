"""`cockpit` and the commands that are not about one order: the app, the engine, the practice lab's demo, the catalogue."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cockpit.cli import (
    catalogue,
    doctor,
    engine,
    lab,
    lists,
    offline,
    online,
    order_watch,
    prompts,
    release,
    restart,
    weights,
    whoami,
)
from cockpit.cli.command import Json, StoreUrl, Tenant, WorkspaceName, as_written, command, group
from cockpit.cli.exit_codes import DONE, MEANINGS
from cockpit.cli.output import note, say
from cockpit.cli.screens import open_app
from cockpit.cli.session import GlobalOptions, Session

app = group("cockpit", "Releases onto fleets behind load balancers. Without a command: the screens.", completion=True)
for commands in (
    engine.app,
    lab.app,
    lists.apps,
    lists.hosts,
    release.app,
    restart.app,
    online.app,
    offline.app,
    order_watch.app,
    prompts.app,
    weights.app,
):
    app.add_typer(commands)
catalogue.register(app)
whoami.register(app)
doctor.register(app)


_EXIT_CODES = "\n".join(f"  {code}  {means}" for code, means in MEANINGS.items())


@app.callback(
    invoke_without_command=True,
    no_args_is_help=False,
    epilog=as_written(f"Exit codes:\n{_EXIT_CODES}")
    + "\n\n"
    + as_written("Example:\n  cockpit --tenant acme --workspace prod"),
)
def cockpit(
    ctx: typer.Context,
    *,
    json_: Json = False,
    store: StoreUrl = None,
    tenant: Tenant = None,
    workspace: WorkspaceName = None,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Releases onto fleets behind load balancers, over SSH. Without a command: the screens."""
    ctx.obj = GlobalOptions(json_, store, tenant, workspace)
    if version:
        from importlib.metadata import version as installed

        say(f"cockpit {installed('cockpit')}")
        raise typer.Exit(DONE)
    if ctx.invoked_subcommand is None:
        raise typer.Exit(open_app(Session(ctx.obj)))


@command(app, "demo", example="cockpit demo --hosts 4", watches=True)
def demo(
    session: Session,
    hosts: Annotated[
        int | None, typer.Option("--hosts", min=2, max=64, help="How many hosts a new practice fleet has; default: 8.")
    ] = None,
    headless: Annotated[
        bool, typer.Option("--headless", help="Run a whole release by itself, without screens.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start afresh: the last fleet and its orders are deleted.")
    ] = False,
    folder: Annotated[Path | None, typer.Option("--dir", help="Where the lab keeps its files.")] = None,
) -> int:
    """A practice fleet on this machine and a release on it.

    With a terminal the screens open on it; without one, or with --headless, a whole release runs by itself."""
    from cockpit.demo.headless import run_headless
    from cockpit.demo.on_screens import run_on_screens

    if headless or session.json:
        return run_headless(hosts=hosts or 8, folder=folder, as_json=session.json)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        note("No terminal: the demo runs by itself.")
        return run_headless(hosts=hosts or 8, folder=folder, as_json=False)
    return run_on_screens(hosts=hosts, folder=folder, fresh=fresh)
