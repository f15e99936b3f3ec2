"""What an order needs of the catalogue (an app's place in a workspace, its hosts, mounts, stack, package, regions), and what its
course writes there. Called inside a transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa

from engine.domain.fleet import (
    Host,
    InstanceFacts,
    JumpHost,
    Mount,
    ObjectRef,
    Package,
    Region,
    ServerGroup,
    StackParameter,
    TechStack,
)
from engine.domain.message import message
from engine.domain.orders import OrderApp
from engine.domain.problem import Problem
from engine.domain.states import HostState, StackStatus
from engine.store import tables as t
from engine.store.statements import update
from engine.store.store import StoreError


def load_instance(
    conn: sa.Connection, service_instance_id: int, *, hosts: Collection[str] | None = None
) -> InstanceFacts:
    """With `hosts` only these of its hosts, and no mounts. Raises StoreError `no_service_instance`."""
    row = conn.execute(
        sa.select(
            t.service_instance.c.id,
            t.service_instance.c.workspace_id,
            t.service_instance.c.app_id,
            t.service_instance.c.current_version,
            t.app.c.name.label("app"),
            t.app.c.tech_stack_id,
            t.workspace.c.production,
            t.workspace.c.floor_percent,
            t.workspace.c.requires_staragent,
        )
        .join(t.app, t.app.c.id == t.service_instance.c.app_id)
        .join(t.workspace, t.workspace.c.id == t.service_instance.c.workspace_id)
        .where(t.service_instance.c.id == service_instance_id)
    ).one_or_none()
    if row is None:
        raise StoreError(
            Problem(
                "no_service_instance",
                message("Service instance {id} is no longer in the store.", id=service_instance_id),
                message("Apply the catalogue file that has it again."),
            )
        )
    stack, status = load_stack(conn, row.tech_stack_id)
    its_hosts, host_regions = _hosts(conn, row.workspace_id, service_instance_id, hosts)
    return InstanceFacts(
        service_instance_id=row.id,
        workspace_id=row.workspace_id,
        app_id=row.app_id,
        app=row.app,
        production=row.production,
        floor_percent=row.floor_percent,
        requires_staragent=row.requires_staragent,
        current_version=row.current_version,
        succeeded_versions=succeeded_versions(conn, service_instance_id),
        regions=load_regions(conn, row.workspace_id),
        hosts=its_hosts,
        host_regions=host_regions,
        mounts=_mounts(conn, service_instance_id) if hosts is None else (),
        stack=stack,
        stack_status=status,
    )


def is_production(conn: sa.Connection, workspace_id: int) -> bool:
    return bool(conn.execute(sa.select(t.workspace.c.production).where(t.workspace.c.id == workspace_id)).scalar_one())


def succeeded_versions(conn: sa.Connection, service_instance_id: int) -> tuple[str, ...]:
    """Distinct versions that succeeded here, the one that succeeded last first."""
    rows = conn.execute(
        sa.select(t.succeeded_version.c.version)
        .where(t.succeeded_version.c.service_instance_id == service_instance_id)
        .order_by(t.succeeded_version.c.at.desc(), t.succeeded_version.c.id.desc())
    ).scalars()
    return tuple(dict.fromkeys(rows))


def deployable_versions(conn: sa.Connection, apps: Iterable[OrderApp]) -> dict[str, tuple[str, ...]]:
    """Of each app, the versions that succeeded here and whose package is still in the catalogue; the last that succeeded first."""
    return {app.app: _with_package(conn, app.service_instance_id) for app in apps}


def _with_package(conn: sa.Connection, service_instance_id: int) -> tuple[str, ...]:
    packages = set(
        conn.execute(
            sa.select(t.package.c.version)
            .join(t.service_instance, t.service_instance.c.app_id == t.package.c.app_id)
            .where(t.service_instance.c.id == service_instance_id)
        ).scalars()
    )
    return tuple(version for version in succeeded_versions(conn, service_instance_id) if version in packages)


def load_package(conn: sa.Connection, app_id: int, version: str) -> Package | None:
    row = conn.execute(
        sa.select(t.package, t.app.c.name.label("app"))
        .join(t.app, t.app.c.id == t.package.c.app_id)
        .where(t.package.c.app_id == app_id, t.package.c.version == version)
    ).one_or_none()
    if row is None:
        return None
    ref = ObjectRef(row.region, row.bucket, row.key, row.size, row.etag, row.crc64, row.sha256)
    return Package(row.app, row.version, ref)


def load_stack(conn: sa.Connection, tech_stack_id: int) -> tuple[TechStack, StackStatus]:
    row = conn.execute(sa.select(t.tech_stack).where(t.tech_stack.c.id == tech_stack_id)).one()
    stack = TechStack(
        name=row.name,
        version=row.version,
        archive=ObjectRef(**row.archive),
        scripts=dict(row.scripts),
        sdk=ObjectRef(**row.sdk) if row.sdk else None,
        supported_os={name: tuple(versions) for name, versions in row.supported_os.items()},
        supported_regions=tuple(row.supported_regions),
        web_server=row.web_server,
        install_list=tuple(row.install_list),
        parameters=tuple(StackParameter(**parameter) for parameter in row.parameters),
    )
    return stack, StackStatus(row.status)


def load_regions(conn: sa.Connection, workspace_id: int) -> tuple[Region, ...]:
    rows = conn.execute(sa.select(t.region).where(t.region.c.workspace_id == workspace_id).order_by(t.region.c.id))
    return tuple(Region(row.name, row.oss_endpoint, row.slb_endpoint) for row in rows)


def load_host(conn: sa.Connection, workspace_id: int, name: str) -> Host | None:
    """A host of the workspace, with its jump chain."""
    jumps = _jump_hosts(conn, workspace_id)
    query = _HOST_ROWS.where(t.host.c.workspace_id == workspace_id, t.host.c.name == name)
    row = conn.execute(query).one_or_none()
    return None if row is None else _host(row, jumps)


def _jump_hosts(conn: sa.Connection, workspace_id: int) -> dict[str, JumpHost]:
    return {
        row.name: JumpHost(row.name, row.address, row.ssh_port, row.ssh_user, row.host_key)
        for row in conn.execute(sa.select(t.jump_host).where(t.jump_host.c.workspace_id == workspace_id))
    }


_HOST_ROWS = (
    sa.select(
        t.host,
        t.cell.c.name.label("cell"),
        t.data_centre.c.name.label("data_centre"),
        t.region.c.name.label("region"),
    )
    .join(t.cell, t.cell.c.id == t.host.c.cell_id)
    .join(t.data_centre, t.data_centre.c.id == t.cell.c.data_centre_id)
    .join(t.region, t.region.c.id == t.data_centre.c.region_id)
)


def _hosts(
    conn: sa.Connection, workspace_id: int, service_instance_id: int, only: Collection[str] | None
) -> tuple[tuple[Host, ...], dict[str, str]]:
    jumps = _jump_hosts(conn, workspace_id)
    query = (
        _HOST_ROWS.join(t.service_instance_host, t.service_instance_host.c.host_id == t.host.c.id)
        .where(t.service_instance_host.c.service_instance_id == service_instance_id)
        .order_by(t.data_centre.c.name, t.cell.c.name, t.host.c.name)
    )
    if only is not None:
        query = query.where(t.host.c.name.in_(only))
    rows = conn.execute(query).all()
    return tuple(_host(row, jumps) for row in rows), {row.name: row.region for row in rows}


def _host(row: Any, jumps: dict[str, JumpHost]) -> Host:
    return Host(
        name=row.name,
        address=row.address,
        ssh_port=row.ssh_port,
        ssh_user=row.ssh_user,
        data_centre=row.data_centre,
        cell=row.cell,
        server_id=row.server_id,
        host_key=row.host_key,
        jump_chain=tuple(jumps[name] for name in row.jump_chain),
        os=row.os,
        os_version=row.os_version,
        state=HostState(row.state),
        version=row.version,
        variables=dict(row.variables),
    )


def _mounts(conn: sa.Connection, service_instance_id: int) -> tuple[Mount, ...]:
    rows = conn.execute(
        sa.select(
            t.mount.c.vserver_group_id,
            t.mount.c.port,
            t.host.c.name.label("host"),
            t.host.c.server_id,
            t.balancer.c.balancer_id,
            t.region.c.name.label("region"),
        )
        .join(t.host, t.host.c.id == t.mount.c.host_id)
        .join(t.balancer, t.balancer.c.id == t.mount.c.balancer_id)
        .join(t.region, t.region.c.id == t.balancer.c.region_id)
        .where(t.mount.c.service_instance_id == service_instance_id)
        .order_by(t.host.c.name, t.mount.c.id)
    )
    return tuple(
        Mount(row.host, row.server_id, ServerGroup(row.region, row.balancer_id, row.vserver_group_id), row.port)
        for row in rows
    )


def set_host(conn: sa.Connection, workspace_id: int, host: str, **values: Any) -> None:
    update(conn, t.host, {"workspace_id": workspace_id, "name": host}, values)


def record_success(conn: sa.Connection, order_id: int, service_instance_id: int, version: str, now: float) -> None:
    """The version runs here now, and can be gone back to."""
    conn.execute(
        sa.update(t.service_instance)
        .where(t.service_instance.c.id == service_instance_id)
        .values(current_version=version)
    )
    conn.execute(
        sa.insert(t.succeeded_version).values(
            service_instance_id=service_instance_id, version=version, order_id=order_id, at=now
        )
    )
