"""Whose things are asked for. Every read begins here: what is not in the tenant and workspace that were named does not exist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from engine.domain.fleet import Host
from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError
from engine.store import tables as t
from engine.store.fleets import load_host


class NotThere(ProblemError):
    """Codes: `no_such_workspace`, `no_such_app`, `no_such_order`, `no_such_command`, `no_such_host`."""


@dataclass(frozen=True, slots=True)
class Scope:
    tenant_id: int
    tenant: str
    workspace_id: int
    workspace: str
    production: bool
    floor_percent: int


def find_scope(conn: sa.Connection, tenant: str, workspace: str) -> Scope:
    """Raises NotThere `no_such_workspace`."""
    if not (tenant and workspace):
        raise NotThere(
            Problem(
                "no_such_workspace",
                message("No workspace is named."),
                message("Name a tenant and a workspace of it; `cockpit apply FILE` puts a catalogue in."),
            )
        )
    row = conn.execute(
        sa.select(t.tenant.c.id.label("tenant_id"), t.workspace)
        .join(t.workspace, t.workspace.c.tenant_id == t.tenant.c.id)
        .where(t.tenant.c.name == tenant, t.workspace.c.name == workspace)
    ).one_or_none()
    if row is None:
        raise NotThere(
            Problem(
                "no_such_workspace",
                message("There is no workspace {workspace} of tenant {tenant}.", workspace=workspace, tenant=tenant),
                message("List the workspaces and choose one, or add it to the catalogue."),
            )
        )
    return Scope(row.tenant_id, tenant, row.id, workspace, row.production, row.floor_percent)


def find_host(conn: sa.Connection, scope: Scope, name: str) -> Host:
    """Raises NotThere `no_such_host`."""
    if not name:
        raise NotThere(Problem("no_such_host", message("No host is named."), message("List the hosts and choose one.")))
    found = load_host(conn, scope.workspace_id, name)
    if found is None:
        raise NotThere(
            Problem(
                "no_such_host",
                message("Workspace {workspace} has no host {host}.", workspace=scope.workspace, host=name),
                message("List the hosts and choose one, or add it to the catalogue."),
            )
        )
    return found


def find_app(conn: sa.Connection, scope: Scope, app: str) -> int:
    """The app's id in the tenant's catalogue. Raises NotThere `no_such_app`."""
    if not app:
        raise NotThere(Problem("no_such_app", message("No app is named."), message("List the apps and choose one.")))
    found = conn.execute(
        sa.select(t.app.c.id).where(t.app.c.tenant_id == scope.tenant_id, t.app.c.name == app)
    ).scalar_one_or_none()
    if found is None:
        raise NotThere(
            Problem(
                "no_such_app",
                message("Tenant {tenant} has no app {app}.", tenant=scope.tenant, app=app),
                message("List the apps and choose one, or add it to the catalogue."),
            )
        )
    return int(found)


def find_instance(conn: sa.Connection, scope: Scope, app_id: int) -> int | None:
    """The id of the app's service instance in the workspace, if it has one."""
    return conn.execute(
        sa.select(t.service_instance.c.id).where(
            t.service_instance.c.workspace_id == scope.workspace_id, t.service_instance.c.app_id == app_id
        )
    ).scalar_one_or_none()


def check_order(conn: sa.Connection, scope: Scope, order_id: int) -> None:
    """Raises NotThere `no_such_order` unless the order is of this workspace."""
    found = conn.execute(
        sa.select(t.order.c.id).where(t.order.c.id == order_id, t.order.c.workspace_id == scope.workspace_id)
    ).scalar_one_or_none()
    if found is None:
        raise NotThere(
            Problem(
                "no_such_order",
                message("{tenant} / {workspace} has no order #{id}.",
                        tenant=scope.tenant, workspace=scope.workspace, id=order_id),
                message("List the orders of this workspace and choose one."),
            )
        )  # fmt: skip


def lock_hosts(conn: sa.Connection, scope: Scope, apps: Sequence[str]) -> None:
    """Hold the hosts of the apps until the transaction ends, so that no other order of them is created meanwhile."""
    link = t.service_instance_host
    hosts = (
        sa.select(t.host.c.id)
        .join(link, link.c.host_id == t.host.c.id)
        .join(t.service_instance, t.service_instance.c.id == link.c.service_instance_id)
        .join(t.app, t.app.c.id == t.service_instance.c.app_id)
        .where(t.service_instance.c.workspace_id == scope.workspace_id, t.app.c.name.in_(apps))
        .order_by(t.host.c.id)
    )
    conn.execute(hosts.with_for_update(of=t.host)).all()
