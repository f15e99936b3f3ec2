"""`cockpit engine`: runs one in front; shows, stops and restarts those that work for the store."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from cockpit.cli.command import Json, StoreUrl, Tenant, WorkspaceName, command, group
from cockpit.cli.exit_codes import DONE, FAILED
from cockpit.cli.output import at, print_json, say
from cockpit.cli.session import GlobalOptions, Session
from engine.api import Api
from engine.views.engines import EngineView
from screens.translate import _

ANOTHER_S = 2.0  # an open cockpit misses its engine sooner

app = group("engine", "The process that runs orders: alone it runs one in front; shows, stops, restarts it.")


@app.callback(invoke_without_command=True, no_args_is_help=False)
def engine(
    ctx: typer.Context,
    *,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="End when idle; this is how the cockpit starts one.")
    ] = False,
    json_: Json = False,
    store: StoreUrl = None,
    tenant: Tenant = None,
    workspace: WorkspaceName = None,
) -> None:
    """Run an engine for the store here, until SIGTERM or Ctrl+C.

    For systemd and containers; otherwise an engine is started whenever one is needed."""
    ctx.obj = ctx.obj.then(GlobalOptions(json_, store, tenant, workspace))
    if ctx.invoked_subcommand is None:
        from cockpit.engine_process import run_engine

        run_engine(Session(ctx.obj).own_settings, embedded=embedded)


@command(app, "status", example="cockpit engine status --json")
def status(session: Session) -> int:
    """The engines of the store: where they run, since when, and what they were started with; exits with 1 when there are none.

    `cockpit doctor` shows the keys they use now."""
    return _status(session)


@command(app, "stop", example="cockpit engine stop")
def stop(session: Session) -> int:
    """End the engines of the store that run on this machine. What runs on hosts goes on; orders stand still."""
    from cockpit.engine_process import stop_engine

    was_there = stop_engine(session.settings)
    with session.api() as api:
        again = _another(api) if was_there else ()
        busy = api.engine_busy()
    if session.json:
        print_json({"stopped": was_there, "engines": again})
        return DONE
    say(_("The engine has ended.") if was_there else _("No engine ran here for this store."))
    for each in again:
        say(_("An open cockpit has started another one: process {pid}.").format(pid=each.pid))
    if busy and not again:
        say(_("Orders stand still until one runs again: `cockpit engine restart`, or open any cockpit."))
    return DONE


@command(app, "restart", example="cockpit engine restart")
def restart(session: Session) -> int:
    """End the engine of this machine and start one with what is set here now. A running order goes on where it was."""
    from cockpit.engine_process import ensure_engine, stop_engine

    with session.api(create=True):
        stop_engine(session.settings)
    ensure_engine(session.settings)
    return _status(session)


def _status(session: Session) -> int:
    with session.api() as api:
        engines, busy = api.engines(), api.engine_busy()
    if session.json:
        print_json({"engines": engines, "busy": busy, "log": str(session.settings.engine_log)})
    else:
        _tell(session, engines, busy=busy)
    return DONE if engines else FAILED


def _another(api: Api) -> tuple[EngineView, ...]:
    deadline = time.monotonic() + ANOTHER_S
    while not (found := api.engines()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def _tell(session: Session, engines: tuple[EngineView, ...], *, busy: bool) -> None:
    if not engines:
        say(_("No engine runs for this store. One is started when needed; `cockpit engine restart` starts one now."))
        return
    for each in engines:
        say(_("process {pid} of {user} on {machine}").format(pid=each.pid, user=each.user or "-", machine=each.machine))
        for name, value in _facts(each):
            say(f"  {name:<12} {value}")
    say(_("It is at work.") if busy else _("It has nothing to do."))
    say(_("log: {file}").format(file=session.settings.engine_log))


def _facts(each: EngineView) -> list[tuple[str, str]]:
    ends = _("by itself, when idle") if each.embedded else _("when it is told to")
    return [
        (_("since"), at(each.started_at)),
        (_("version"), each.version or "-"),
        (_("access key"), each.credentials or _("as it is found")),
        (_("SSH agent"), _agent(each)),
        (_("ends"), ends),
    ]


def _agent(each: EngineView) -> str:
    if not each.agent:
        return _("none")
    if each.here and not Path(each.agent).exists():
        return _("{socket} (gone: its login has ended)").format(socket=each.agent)
    return each.agent
