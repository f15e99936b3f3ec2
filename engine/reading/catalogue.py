"""Workspaces, apps and hosts as view-models, a few queries each however many there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from engine.domain.clean import visible
from engine.domain.states import AppStatus, HostState, OrderState
from engine.reading.scope import Scope, find_app, find_instance
from engine.store import tables as t
from engine.store.order_states import OPEN_STATES
from engine.views.catalogue import AppView, HostView, RunningVersion, WorkspaceView

FAILED_HOSTS = (str(HostState.DEPLOY_FAILED), str(HostState.INITIALISE_FAILED))
PERSON_MUST_ACT = tuple(str(state) for state in (OrderState.WAITING, OrderState.HALTED))


def read_workspaces(conn: sa.Connection) -> tuple[WorkspaceView, ...]:
    """By tenant and name. `apps` counts those with a service instance in the workspace."""
    rows = conn.execute(
        sa.select(
            t.workspace.c.name,
            t.workspace.c.production,
            t.tenant.c.name.label("tenant"),
            _count_of(t.service_instance).label("apps"),
            _count_of(t.host).label("hosts"),
            _count_of(t.order, t.order.c.state.in_(OPEN_STATES)).label("open_orders"),
            _count_of(t.order, t.order.c.state.in_(PERSON_MUST_ACT)).label("waiting_orders"),
        )
        .join(t.tenant, t.tenant.c.id == t.workspace.c.tenant_id)
        .order_by(t.tenant.c.name, t.workspace.c.name)
    )
    return tuple(
        WorkspaceView(r.tenant, r.name, r.production, r.apps, r.hosts, r.open_orders, r.waiting_orders) for r in rows
    )


def _count_of(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
    counted = sa.select(sa.func.count()).select_from(table).where(table.c.workspace_id == t.workspace.c.id, *conditions)
    return counted.correlate(t.workspace).scalar_subquery()


def read_apps(conn: sa.Connection, scope: Scope) -> tuple[AppView, ...]:
    """The tenant's catalogue by name, each app as it stands in the workspace."""
    instances = {row.app_id: row for row in _instances(conn, scope)}
    hosts = _host_counts(conn, scope)
    open_orders = {row.service_instance_id: row for row in _open_orders(conn, scope)}
    packages = _package_versions(conn, scope)
    succeeded = _succeeded_versions(conn, scope)
    running = _running_versions(conn, scope)
    return tuple(
        _app_view(row, instances, hosts, open_orders, packages, succeeded, running) for row in _apps(conn, scope)
    )


def _app_view(
    row: Any,
    instances: dict[int, Any],
    hosts: dict[int, Any],
    open_orders: dict[int, Any],
    packages: dict[int, tuple[str, ...]],
    succeeded: dict[int, tuple[str, ...]],
    running: dict[int, tuple[RunningVersion, ...]],
) -> AppView:
    instance = instances.get(row.id)
    counts = hosts.get(instance.id) if instance else None
    order = open_orders.get(instance.id) if instance else None
    return AppView(
        name=row.name,
        alias=visible(row.alias),
        description=visible(row.description),
        group=row.group_name or "",
        level=row.level_name or "",
        stack=row.stack,
        stack_version=row.stack_version,
        owner=visible(row.owner),
        creator=visible(row.creator),
        status=AppStatus(row.status),
        metadata={visible(key): visible(value) for key, value in row.app_metadata.items()},
        version=instance.current_version if instance else "",
        hosts=counts.hosts if counts else 0,
        deployed_hosts=counts.deployed if counts else 0,
        failed_hosts=counts.failed if counts else 0,
        open_order=order.id if order else None,
        open_order_state=OrderState(order.state) if order else None,
        packages=packages.get(row.id, ()),
        succeeded_versions=succeeded.get(instance.id, ()) if instance else (),
        running=running.get(instance.id, ()) if instance else (),
        open_order_paused=bool(order and order.paused),
    )


def _apps(conn: sa.Connection, scope: Scope) -> Sequence[Any]:
    return conn.execute(
        sa.select(
            t.app,
            t.app_group.c.name.label("group_name"),
            t.level.c.name.label("level_name"),
            t.tech_stack.c.name.label("stack"),
            t.tech_stack.c.version.label("stack_version"),
        )
        .join(t.tech_stack, t.tech_stack.c.id == t.app.c.tech_stack_id)
        .outerjoin(t.app_group, t.app_group.c.id == t.app.c.app_group_id)
        .outerjoin(t.level, t.level.c.id == t.app.c.level_id)
        .where(t.app.c.tenant_id == scope.tenant_id)
        .order_by(t.app.c.name)
    ).all()


def _instances(conn: sa.Connection, scope: Scope) -> Sequence[Any]:
    return conn.execute(
        sa.select(t.service_instance).where(t.service_instance.c.workspace_id == scope.workspace_id)
    ).all()


def _host_counts(conn: sa.Connection, scope: Scope) -> dict[int, Any]:
    """Service instance → its hosts, those that run its version, those in a failed state."""
    link = t.service_instance_host
    runs_it = sa.and_(
        t.host.c.version == t.service_instance.c.current_version, t.host.c.state == str(HostState.DEPLOYED)
    )
    rows = conn.execute(
        sa.select(
            link.c.service_instance_id,
            sa.func.count().label("hosts"),
            sa.func.sum(sa.case((runs_it, 1), else_=0)).label("deployed"),
            sa.func.sum(sa.case((t.host.c.state.in_(FAILED_HOSTS), 1), else_=0)).label("failed"),
        )
        .join(t.host, t.host.c.id == link.c.host_id)
        .join(t.service_instance, t.service_instance.c.id == link.c.service_instance_id)
        .where(t.service_instance.c.workspace_id == scope.workspace_id)
        .group_by(link.c.service_instance_id)
    )
    return {row.service_instance_id: row for row in rows}


def _running_versions(conn: sa.Connection, scope: Scope) -> dict[int, tuple[RunningVersion, ...]]:
    """Service instance → what its deployed hosts run, whatever was released last."""
    link = t.service_instance_host
    rows = conn.execute(
        sa.select(link.c.service_instance_id, t.host.c.version, sa.func.count().label("hosts"))
        .join(t.host, t.host.c.id == link.c.host_id)
        .where(
            t.host.c.workspace_id == scope.workspace_id,
            t.host.c.state == str(HostState.DEPLOYED),
            t.host.c.version != "",
        )
        .group_by(link.c.service_instance_id, t.host.c.version)
    )
    found: dict[int, list[RunningVersion]] = defaultdict(list)
    for row in rows:
        found[row.service_instance_id].append(RunningVersion(row.version, row.hosts))
    return {key: tuple(sorted(each, key=lambda one: (-one.hosts, one.version))) for key, each in found.items()}


def _open_orders(conn: sa.Connection, scope: Scope) -> Sequence[Any]:
    return conn.execute(
        sa.select(t.order.c.id, t.order.c.state, t.order.c.paused, t.order_app.c.service_instance_id)
        .join(t.order_app, t.order_app.c.order_id == t.order.c.id)
        .where(t.order.c.workspace_id == scope.workspace_id, t.order.c.state.in_(OPEN_STATES))
        .order_by(t.order.c.id)
    ).all()


def _package_versions(conn: sa.Connection, scope: Scope) -> dict[int, tuple[str, ...]]:
    rows = conn.execute(
        sa.select(t.package.c.app_id, t.package.c.version)
        .join(t.app, t.app.c.id == t.package.c.app_id)
        .where(t.app.c.tenant_id == scope.tenant_id)
        .order_by(t.package.c.uploaded_at.desc(), t.package.c.id.desc())
    )
    return _by_first((row.app_id, row.version) for row in rows)


def _succeeded_versions(conn: sa.Connection, scope: Scope) -> dict[int, tuple[str, ...]]:
    rows = conn.execute(
        sa.select(t.succeeded_version.c.service_instance_id, t.succeeded_version.c.version)
        .join(t.service_instance, t.service_instance.c.id == t.succeeded_version.c.service_instance_id)
        .where(t.service_instance.c.workspace_id == scope.workspace_id)
        .order_by(t.succeeded_version.c.at.desc(), t.succeeded_version.c.id.desc())
    )
    return _by_first((row.service_instance_id, row.version) for row in rows)


def _by_first(pairs: Iterable[tuple[int, str]]) -> dict[int, tuple[str, ...]]:
    """Values by key in the order they came, each once."""
    found: dict[int, dict[str, None]] = defaultdict(dict)
    for key, value in pairs:
        found[key][value] = None
    return {key: tuple(values) for key, values in found.items()}


def read_hosts(conn: sa.Connection, scope: Scope, app: str | None) -> tuple[HostView, ...]:
    """By data centre, cell and name; with `app` those of its service instance. Raises NotThere `no_such_app`."""
    query = (
        sa.select(t.host, t.cell.c.name.label("cell"), t.data_centre.c.name.label("data_centre"))
        .join(t.cell, t.cell.c.id == t.host.c.cell_id)
        .join(t.data_centre, t.data_centre.c.id == t.cell.c.data_centre_id)
        .where(t.host.c.workspace_id == scope.workspace_id)
        .order_by(t.data_centre.c.name, t.cell.c.name, t.host.c.name)
    )
    if app is not None:
        instance = find_instance(conn, scope, find_app(conn, scope, app))
        if instance is None:
            return ()
        link = t.service_instance_host
        query = query.join(link, link.c.host_id == t.host.c.id).where(link.c.service_instance_id == instance)
    apps = _apps_by_host(conn, scope)
    return tuple(_host_view(row, apps.get(row.id, ())) for row in conn.execute(query))


def _host_view(row: Any, apps: tuple[str, ...]) -> HostView:
    return HostView(
        name=row.name,
        address=row.address,
        ssh_port=row.ssh_port,
        ssh_user=row.ssh_user,
        data_centre=row.data_centre,
        cell=row.cell,
        jump_chain=tuple(row.jump_chain),
        os=visible(row.os),
        os_version=visible(row.os_version),
        state=HostState(row.state),
        version=row.version,
        apps=apps,
    )


def _apps_by_host(conn: sa.Connection, scope: Scope) -> dict[int, tuple[str, ...]]:
    link = t.service_instance_host
    rows = conn.execute(
        sa.select(link.c.host_id, t.app.c.name)
        .join(t.service_instance, t.service_instance.c.id == link.c.service_instance_id)
        .join(t.app, t.app.c.id == t.service_instance.c.app_id)
        .where(t.service_instance.c.workspace_id == scope.workspace_id)
        .order_by(t.app.c.name)
    )
    return _by_first((row.host_id, row.name) for row in rows)
