"""Rows of a small fleet: tenant acme, workspace prod, app shop at 1.0.0 on hosts in two data centres behind one server group."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from engine.domain.fleet import ServerGroup
from engine.store import tables as t

GROUP = ServerGroup("cn-hangzhou", "lb-1", "rsp-1")
PAY_GROUP = ServerGroup("cn-hangzhou", "lb-1", "rsp-2")
SCRIPTS = {name: f"bin/{name}.sh" for name in ("install", "configure", "deploy", "restart", "offline")}
OBJECT = {"region": "cn-hangzhou", "bucket": "lab", "size": 10, "etag": "AB" * 16, "crc64": "1", "sha256": ""}


@dataclass(frozen=True)
class Fleet:
    workspace_id: int
    app_id: int
    service_instance_id: int
    hosts: tuple[str, ...]

    @property
    def weights(self) -> dict[tuple[str, int], int]:
        return {(f"i-{host}", 80): 100 for host in self.hosts}


def insert_fleet(conn: sa.Connection, hosts: int = 8, *, floor_percent: int = 50, running: str = "1.0.0") -> Fleet:
    """`running` empty: the app was never here before."""

    def insert(table: sa.Table, **values: object) -> int:
        return int(conn.execute(sa.insert(table).values(**values).returning(table.c.id)).scalar_one())

    tenant = insert(t.tenant, name="acme")
    workspace = insert(t.workspace, tenant_id=tenant, name="prod", production=True, floor_percent=floor_percent)
    region = insert(t.region, workspace_id=workspace, name="cn-hangzhou")
    stack = insert(
        t.tech_stack, tenant_id=tenant, name="web", version="1", supported_os={}, supported_regions=[], install_list=[],
        parameters=[{"name": "drain_s", "default": "1"}], scripts=SCRIPTS, archive=OBJECT | {"key": "stack.tar.gz"},
    )  # fmt: skip
    app = insert(t.app, tenant_id=tenant, name="shop", tech_stack_id=stack, app_metadata={})
    for version in ("1.0.0", "2.0.0"):
        insert(t.package, app_id=app, version=version, key=f"shop-{version}.tar.gz", **OBJECT)
    instance = insert(t.service_instance, workspace_id=workspace, app_id=app, current_version=running)
    if running:
        insert(t.succeeded_version, service_instance_id=instance, version=running, at=1.0)
    balancer = insert(t.balancer, workspace_id=workspace, region_id=region, balancer_id=GROUP.balancer_id)
    names = []
    for centre in ("hz-a", "hz-b"):
        centre_id = insert(t.data_centre, workspace_id=workspace, region_id=region, name=centre)
        cell = insert(t.cell, workspace_id=workspace, data_centre_id=centre_id, name=f"{centre}-1")
        for number in range(1, hosts // 2 + 1):
            name = f"{centre}-{number:02}"
            host = insert(
                t.host, workspace_id=workspace, cell_id=cell, name=name, address="127.0.0.1", server_id=f"i-{name}",
                jump_chain=[], variables={"app_port": "80"}, state="deployed" if running else "ready", version=running,
            )  # fmt: skip
            conn.execute(sa.insert(t.service_instance_host).values(service_instance_id=instance, host_id=host))
            insert(
                t.mount, service_instance_id=instance, balancer_id=balancer, host_id=host,
                vserver_group_id=GROUP.vserver_group_id, port=80,
            )  # fmt: skip
            names.append(name)
    return Fleet(workspace, app, instance, tuple(names))


def insert_second_app(conn: sa.Connection, fleet: Fleet, hosts: int = 4) -> Fleet:
    """App pay at 1.0.0, beside shop in the same workspace: on hosts of its own, behind a server group of its own."""

    def insert(table: sa.Table, **values: object) -> int:
        return int(conn.execute(sa.insert(table).values(**values).returning(table.c.id)).scalar_one())

    shop = conn.execute(sa.select(t.app).where(t.app.c.id == fleet.app_id)).one()
    app = insert(t.app, tenant_id=shop.tenant_id, name="pay", tech_stack_id=shop.tech_stack_id, app_metadata={})
    for version in ("1.0.0", "2.0.0"):
        insert(t.package, app_id=app, version=version, key=f"pay-{version}.tar.gz", **OBJECT)
    instance = insert(t.service_instance, workspace_id=fleet.workspace_id, app_id=app, current_version="1.0.0")
    insert(t.succeeded_version, service_instance_id=instance, version="1.0.0", at=1.0)
    cells = conn.execute(sa.select(t.cell.c.id).order_by(t.cell.c.id)).scalars().all()
    balancer = conn.execute(sa.select(t.balancer.c.id)).scalar_one()
    names = [f"pay-{number:02}" for number in range(1, hosts + 1)]
    for at, name in enumerate(names):
        host = insert(
            t.host, workspace_id=fleet.workspace_id, cell_id=cells[at % len(cells)], name=name, address="127.0.0.1",
            server_id=f"i-{name}", jump_chain=[], variables={"app_port": "80"}, state="deployed", version="1.0.0",
        )  # fmt: skip
        conn.execute(sa.insert(t.service_instance_host).values(service_instance_id=instance, host_id=host))
        insert(
            t.mount, service_instance_id=instance, balancer_id=balancer, host_id=host,
            vserver_group_id=PAY_GROUP.vserver_group_id, port=80,
        )  # fmt: skip
    return Fleet(fleet.workspace_id, app, instance, tuple(names))
