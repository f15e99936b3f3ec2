"""`cockpit app list`, `cockpit host list` and `cockpit host ssh`."""

from __future__ import annotations

from typing import Annotated

import typer

from cockpit.cli.command import command, group
from cockpit.cli.exit_codes import DONE, FAILED
from cockpit.cli.output import print_json, print_table
from cockpit.cli.session import Session
from screens.translate import N_, _

apps = group("app", "The apps of the workspace.")
hosts = group("host", "The hosts of the workspace.")


@command(apps, "list", example="cockpit app list --workspace prod")
def list_apps(session: Session) -> None:
    """The apps of the tenant as they stand in this workspace."""
    with session.api() as api:
        views = api.apps(*session.place(api))
    if session.json:
        print_json(views)
        return
    titles = (
        N_("name"),
        N_("alias"),
        N_("group"),
        N_("level"),
        N_("stack"),
        N_("what runs"),
        N_("open order"),
    )
    rows = [
        (
            view.name,
            view.alias,
            view.group,
            view.level,
            f"{view.stack} {view.stack_version}",
            view.runs or (f"- 0/{view.hosts}" if view.hosts else _("not here")),
            f"#{view.open_order} {view.open_order_shown}" if view.open_order else "",
        )
        for view in views
    ]
    print_table(titles, rows)


@command(hosts, "list", example="cockpit host list --app trade-core")
def list_hosts(
    session: Session,
    app: Annotated[str | None, typer.Option("--app", metavar="NAME", help="Only the hosts of this app.")] = None,
) -> None:
    """The hosts of the workspace, or those of one app."""
    with session.api() as api:
        views = api.hosts(*session.place(api), app=app)
    if session.json:
        print_json(views)
        return
    titles = (
        N_("name"),
        N_("address"),
        N_("data centre"),
        N_("cell"),
        N_("system"),
        N_("state"),
        N_("version"),
        N_("apps"),
    )
    rows = [
        (
            view.name,
            f"{view.ssh_user}@{view.address}:{view.ssh_port}",
            view.data_centre,
            view.cell,
            f"{view.os} {view.os_version}".strip(),
            view.state,
            view.version,
            ", ".join(view.apps),
        )
        for view in views
    ]
    print_table(titles, rows)


@command(hosts, "ssh", example="cockpit host ssh hz-01")
def reach_host(
    session: Session, host: Annotated[str, typer.Argument(metavar="HOST", help="A host of the workspace.")]
) -> int:
    """Show how a host is reached over SSH (each hop, the key it must show, what counts in ~/.ssh/config), then try it."""
    from cockpit.cli.reaching import reach_and_tell

    with session.api() as api:
        found = api.host(*session.place(api), host)
    return DONE if reach_and_tell(session, found) else FAILED
