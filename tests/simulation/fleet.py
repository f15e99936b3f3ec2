"""The catalogue rows of a scenario's apps: one tenant, one workspace, one balancer, hosts in two data centres."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from engine.domain.fleet import ServerGroup
from engine.store import tables as t
from tests.simulation.scenario import VERSIONS, Scenario

REGION = "cn-hangzhou"
ETAG = "AB" * 16
OBJECT = {"region": REGION, "bucket": "lab", "size": 10, "etag": ETAG, "crc64": "1", "sha256": ""}
SCRIPTS = {name: f"bin/{name}.sh" for name in ("install", "configure", "deploy", "restart", "offline")}
SHORT = {
    "drain_s": "1",
    "health_deadline_s": "4",
    "check_agent_deadline_s": "10",
    "download_scripts_deadline_s": "10",
    "install_software_deadline_s": "10",
    "configure_environment_deadline_s": "10",
    "download_package_deadline_s": "10",
    "deploy_deadline_s": "15",
}
Key = tuple[str, int]


@dataclass(frozen=True)
class SimApp:
    """An app as the run knows it: ids of its rows, its hosts and where they are mounted."""

    name: str
    service_instance_id: int
    hosts: tuple[str, ...]
    groups: tuple[ServerGroup, ...]
    floor_percent: int
    version: str


@dataclass(frozen=True)
class SimFleet:
    workspace_id: int
    apps: tuple[SimApp, ...]
    weights: dict[ServerGroup, dict[Key, int]]


def insert_fleet(conn: sa.Connection, scenario: Scenario) -> SimFleet:
    def insert(table: sa.Table, **values: object) -> int:
        return int(conn.execute(sa.insert(table).values(**values).returning(table.c.id)).scalar_one())

    percent = scenario.apps[0].floor_percent
    tenant = insert(t.tenant, name="acme")
    workspace = insert(t.workspace, tenant_id=tenant, name="prod", production=True, floor_percent=percent)
    region = insert(t.region, workspace_id=workspace, name=REGION)
    parameters = [{"name": name, "default": value} for name, value in SHORT.items()]
    stack = insert(
        t.tech_stack, tenant_id=tenant, name="web", version="1", supported_os={}, supported_regions=[], install_list=[],
        parameters=parameters, scripts=SCRIPTS, archive=OBJECT | {"key": "stack.tar.gz"},
    )  # fmt: skip
    balancer = insert(t.balancer, workspace_id=workspace, region_id=region, balancer_id="lb-1")
    cells = []
    for centre in ("hz-a", "hz-b"):
        centre_id = insert(t.data_centre, workspace_id=workspace, region_id=region, name=centre)
        cells += [
            insert(t.cell, workspace_id=workspace, data_centre_id=centre_id, name=f"{centre}-{n}") for n in (1, 2)
        ]
    apps: list[SimApp] = []
    weights: dict[ServerGroup, dict[Key, int]] = {}
    for wanted in scenario.apps:
        app = insert(t.app, tenant_id=tenant, name=wanted.name, tech_stack_id=stack, app_metadata={})
        conn.execute(
            sa.insert(t.package),
            [{"app_id": app, "version": v, "key": f"{wanted.name}-{v}.tar.gz", **OBJECT} for v in VERSIONS],
        )
        instance = insert(t.service_instance, workspace_id=workspace, app_id=app, current_version=VERSIONS[0])
        insert(t.succeeded_version, service_instance_id=instance, version=VERSIONS[0], at=1.0)
        names = tuple(f"{wanted.name}-a{number:03}" for number in range(wanted.hosts))
        first = conn.execute(sa.select(sa.func.coalesce(sa.func.max(t.host.c.id), 0))).scalar_one() + 1
        conn.execute(
            sa.insert(t.host),
            [
                {"id": first + at, "workspace_id": workspace, "cell_id": cells[at % len(cells)], "name": name,
                 "address": "127.0.0.1", "server_id": f"i-{name}", "jump_chain": [], "variables": {"app_port": "80"},
                 "state": "deployed", "version": VERSIONS[0]}
                for at, name in enumerate(names)
            ],
        )  # fmt: skip
        ids = dict(zip(names, range(first, first + len(names)), strict=True))
        conn.execute(
            sa.insert(t.service_instance_host),
            [{"service_instance_id": instance, "host_id": number} for number in ids.values()],
        )
        groups = tuple(ServerGroup(REGION, "lb-1", f"rsp-{wanted.name}-{n}") for n in range(1, wanted.groups + 1))
        mounted = names[: len(names) - wanted.unmounted]
        for group in groups:
            conn.execute(
                sa.insert(t.mount),
                [
                    {"service_instance_id": instance, "balancer_id": balancer, "host_id": ids[name],
                     "vserver_group_id": group.vserver_group_id, "port": 80}
                    for name in mounted
                ],
            )  # fmt: skip
            weights[group] = {
                (f"i-{name}", 80): 0 if at < wanted.idle else 100 - at % 3 * 10 for at, name in enumerate(mounted)
            }
        apps.append(SimApp(wanted.name, instance, names, groups, percent, VERSIONS[0]))
    return SimFleet(workspace, tuple(apps), weights)
