"""The store's catalogue as models and as YAML that reads back to the same. Writes only what differs from a field's default.

Live state is left out, but for the version an instance runs: that is what a new store would take it over with.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import sqlalchemy as sa
import yaml
from pydantic import BaseModel, ValidationError

from engine.catalogue import models as m
from engine.catalogue.catalogue import Catalogue
from engine.catalogue.scalars import quote_both
from engine.domain.clean import HIDDEN
from engine.domain.message import message
from engine.store import tables as t
from engine.store.failures import store_error
from engine.store.store import Store

Row = Any
Grouped = dict[Any, list[Row]]


def export(store: Store, tenant: str | None, *, ascii_only: bool = False) -> str:
    """The catalogue as YAML, of one tenant (None: of all), with the operators who have a role there. `ascii_only`: all else is
    escaped, for an encoding that lacks it. Raises StoreError (`no_such_tenant` when there is none of that name)."""
    with store.reading() as conn:
        catalogue = stored(conn, tenant)
    if tenant is not None and not catalogue.tenants:
        raise store_error(
            "no_such_tenant",
            message("There is no tenant {name} in this store.", name=tenant),
            message("Check the name, or leave it out to export everything."),
        )
    document: dict[str, Any] = {"version": 1}
    for name, models in (("tenants", catalogue.tenants), ("operators", catalogue.operators)):
        if models:
            document[name] = [model.model_dump(exclude_defaults=True) for model in models]
    return dump(document, ascii_only=ascii_only)


class _Dumper(yaml.SafeDumper):
    """Text stays text to every reader of YAML."""


quote_both(_Dumper)


def dump(document: dict[str, Any], *, ascii_only: bool = False) -> str:
    text = str(yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=not ascii_only, width=120))
    return dump(document, ascii_only=True) if HIDDEN.search(text) else text


def stored(conn: sa.Connection, tenant: str | None = None) -> Catalogue:
    """What the store has, in the order it was added. Raises StoreError."""
    try:
        return _Stored(conn).catalogue(tenant)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise store_error(
            "store_failed",
            message("The store holds a catalogue entry that no catalogue file could: {kind}.", kind=error.title),
            message("Correct that row; it was not written by applying a catalogue."),
            f"{error.title}.{'.'.join(str(part) for part in first['loc'])}: {first['msg']}",
        ) from error


class _Stored:
    """Every table read once, grouped by what its rows belong to."""

    def __init__(self, conn: sa.Connection) -> None:
        self.conn = conn
        self.names: dict[str, dict[int, Row]] = {}

    def catalogue(self, tenant: str | None) -> Catalogue:
        for table in (t.app_group, t.level, t.tech_stack, t.app, t.region, t.host, t.balancer, t.workspace, t.tenant):
            rows = self.conn.execute(sa.select(table).order_by(table.c.id)).all()
            self.names[table.name] = {row.id: row for row in rows}
        self.groups = self._by(t.app_group, "tenant_id")
        self.levels = self._by(t.level, "tenant_id")
        self.stacks = self._by(t.tech_stack, "tenant_id")
        self.apps = self._by(t.app, "tenant_id")
        self.packages = self._by(t.package, "app_id")
        self.workspaces = self._by(t.workspace, "tenant_id")
        self.regions = self._by(t.region, "workspace_id")
        self.jumps = self._by(t.jump_host, "workspace_id")
        self.centres = self._by(t.data_centre, "workspace_id")
        self.cells = self._by(t.cell, "data_centre_id")
        self.hosts = self._by(t.host, "cell_id")
        self.balancers = self._by(t.balancer, "workspace_id")
        self.instances = self._by(t.service_instance, "workspace_id")
        self.instance_hosts = self._by(t.service_instance_host, "service_instance_id")
        self.mounts = self._by(t.mount, "service_instance_id")
        self.roles = self._by(t.operator_role, "operator_id")
        rows = [row for row in self.names["tenant"].values() if tenant is None or row.name == tenant]
        wanted = {row.id for row in rows}
        return Catalogue(tuple(self._tenant(row) for row in rows), self._operators(wanted, everyone=tenant is None))

    def _by(self, table: sa.Table, column: str) -> Grouped:
        grouped: Grouped = defaultdict(list)
        for row in self.conn.execute(sa.select(table).order_by(*table.primary_key.columns)):
            grouped[row._mapping[column]].append(row)
        return grouped

    def _name(self, table: sa.Table, row_id: int | None) -> str | None:
        return None if row_id is None else str(self.names[table.name][row_id].name)

    def _operators(self, tenants: set[int], *, everyone: bool) -> tuple[m.Operator, ...]:
        found = []
        for row in self.conn.execute(sa.select(t.operator).order_by(t.operator.c.id)):
            roles = [
                m.OperatorRole(
                    tenant=str(self._name(t.tenant, role.tenant_id)),
                    workspace=self._name(t.workspace, role.workspace_id),
                    role=role.role,
                )
                for role in self.roles[row.id]
                if role.tenant_id in tenants
            ]
            if roles or everyone:
                found.append(m.Operator(name=row.name, roles=roles))
        return tuple(found)

    def _tenant(self, row: Row) -> m.Tenant:
        return m.Tenant(
            name=row.name,
            groups=[m.Group(**_fields(m.Group, group)) for group in self.groups[row.id]],
            levels=[m.Level(**_fields(m.Level, level)) for level in self.levels[row.id]],
            tech_stacks=[m.TechStack(**_fields(m.TechStack, stack)) for stack in self.stacks[row.id]],
            apps=[self._app(app) for app in self.apps[row.id]],
            workspaces=[self._workspace(workspace) for workspace in self.workspaces[row.id]],
        )

    def _app(self, row: Row) -> m.App:
        stack = self.names["tech_stack"][row.tech_stack_id]
        return m.App(
            name=row.name,
            alias=row.alias,
            description=row.description,
            group=self._name(t.app_group, row.app_group_id),
            level=self._name(t.level, row.level_id),
            tech_stack=m.TechStackRef(name=stack.name, version=stack.version),
            owner=row.owner,
            metadata=row.app_metadata,
            packages=[m.Package(**_fields(m.Package, package)) for package in self.packages[row.id]],
        )

    def _workspace(self, row: Row) -> m.Workspace:
        return m.Workspace(
            name=row.name,
            production=row.production,
            blue_green=row.blue_green,
            floor_percent=row.floor_percent,
            requires_staragent=row.requires_staragent,
            regions=[m.Region(**_fields(m.Region, region)) for region in self.regions[row.id]],
            jump_hosts=[m.JumpHost(**_fields(m.JumpHost, jump)) for jump in self.jumps[row.id]],
            data_centres=[self._data_centre(centre) for centre in self.centres[row.id]],
            balancers=[
                m.Balancer(
                    id=balancer.balancer_id, region=str(self._name(t.region, balancer.region_id)), name=balancer.name
                )
                for balancer in self.balancers[row.id]
            ],
            service_instances=[self._instance(instance) for instance in self.instances[row.id]],
        )

    def _data_centre(self, row: Row) -> m.DataCentre:
        cells = [
            m.Cell(name=cell.name, hosts=[m.Host(**_fields(m.Host, host)) for host in self.hosts[cell.id]])
            for cell in self.cells[row.id]
        ]
        return m.DataCentre(name=row.name, region=str(self._name(t.region, row.region_id)), cells=cells)

    def _instance(self, row: Row) -> m.ServiceInstance:
        return m.ServiceInstance(
            app=str(self._name(t.app, row.app_id)),
            version=row.current_version or None,
            hosts=[str(self._name(t.host, link.host_id)) for link in self.instance_hosts[row.id]],
            mounts=[
                m.Mount(
                    balancer=self.names["balancer"][mount.balancer_id].balancer_id,
                    vserver_group=mount.vserver_group_id,
                    host=str(self._name(t.host, mount.host_id)),
                    port=mount.port,
                )
                for mount in self.mounts[row.id]
            ],
        )


def _fields(model: type[BaseModel], row: Row) -> dict[str, Any]:
    """The row's columns that are fields of the model by the same name."""
    return {name: row._mapping[name] for name in model.model_fields if name in row._mapping}
