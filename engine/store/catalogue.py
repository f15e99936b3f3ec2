"""Catalogues and the store: what a catalogue would change, applying it in one transaction, and writing it out again.

Applying adds and changes what the catalogue names, and never removes what it does not name. What it names it names wholly: a
field left out has its default. Only a workspace keeps what is left out, because files add to it in parts. Applying never
touches what lives by itself: a host's state and version, an instance's current version — except when an instance is new and
its version is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from engine.catalogue import models as m
from engine.catalogue.catalogue import Catalogue
from engine.catalogue.problems import CatalogueError, CatalogueProblem
from engine.domain.message import Message, message
from engine.domain.roles import Role
from engine.domain.states import AppStatus, HostState, StackStatus
from engine.store import tables as t
from engine.store.catalogue_export import export, stored
from engine.store.catalogue_rows import Change, Rows, Scope
from engine.store.gate import Gate
from engine.store.store import Store

__all__ = ["Change", "apply", "export", "plan_changes", "stored"]


def plan_changes(conn: sa.Connection, catalogue: Catalogue, *, operator: str = "") -> list[Change]:
    """What `apply` would do now, in its order; nothing is written. Raises CatalogueError, StoreError."""
    rows = Rows(conn)
    _Apply(rows, catalogue, operator, 0.0).all()
    return rows.changes


def apply(store: Store, catalogue: Catalogue, operator: str, now: float) -> list[Change]:
    """Bring the store's catalogue to what `catalogue` says, all of it or nothing, with one audit row a change. Doing it again
    changes nothing. `now` is epoch seconds. Raises CatalogueError and NotAllowed (nothing was changed), and StoreError."""
    with Gate(store, operator, lambda: now).passing("apply_catalogue", Role.ADMIN, target="catalogue") as passing:
        conn = passing.conn
        if conn.dialect.name == "postgresql":
            # Two catalogues at once would each add what both name. Readers and orders go on beside it.
            conn.exec_driver_sql("LOCK TABLE tenant IN SHARE ROW EXCLUSIVE MODE")
        rows = Rows(conn, passing)
        _Apply(rows, catalogue, operator, now).all(conn)
        passing.entries[:] = rows.entries
    return rows.changes


_STACK_CONTENT = (
    "supported_os",
    "supported_regions",
    "web_server",
    "install_list",
    "parameters",
    "scripts",
    "archive",
    "sdk",
)


class _Apply:
    """Walks a catalogue from the tenant down, so that whatever a row refers to is there before it."""

    def __init__(self, rows: Rows, catalogue: Catalogue, operator: str, now: float) -> None:
        self.rows = rows
        self.catalogue = catalogue
        self.operator = operator
        self.now = now
        self.problems: list[CatalogueProblem] = []
        self.taken: dict[int, int] = {
            row["host_id"]: row["service_instance_id"] for row in rows.all(t.service_instance_host)
        }
        self.taken_over: list[tuple[int, str]] = []  # new instance, version

    def all(self, conn: sa.Connection | None = None) -> None:
        """With a connection, also what is not a catalogue row: the versions that new instances were taken over with."""
        for tenant in self.catalogue.tenants:
            self._tenant(tenant)
        for operator in self.catalogue.operators:
            self._operator(operator)
        self._somebody_is_admin()
        if self.problems:
            raise CatalogueError(self.problems)
        if conn is not None:
            self._take_over(conn)

    # ---- the tenant's

    def _tenant(self, tenant: m.Tenant) -> None:
        path = tenant.name
        tenant_id, _ = self.rows.put(t.tenant, path, Scope(), (tenant.name,), {})
        scope = Scope(tenant_id)
        for group in tenant.groups:
            values: dict[str, Any] = {"description": group.description}
            self.rows.put(t.app_group, f"{path}/{group.name}", scope, (tenant_id, group.name), values)
        for level in tenant.levels:
            values = {"description": level.description, "rank": level.rank}
            self.rows.put(t.level, f"{path}/{level.name}", scope, (tenant_id, level.name), values)
        for stack in tenant.tech_stacks:
            self._stack(tenant.name, scope, stack)
        for app in tenant.apps:
            self._app(tenant.name, scope, app)
        for workspace in tenant.workspaces:
            self._workspace(tenant.name, tenant_id, workspace)

    def _stack(self, tenant: str, scope: Scope, stack: m.TechStack) -> None:
        content = stack.model_dump(include=set(_STACK_CONTENT))
        key = (scope.tenant_id, stack.name, stack.version)
        before = self.rows.find(t.tech_stack, *key)
        place = ("tech_stack", tenant, stack.name, stack.version)
        if before is not None and before["status"] != StackStatus.DRAFT:
            differs = [name for name in _STACK_CONTENT if before[name] != content[name]]
            if differs:
                text = message(
                    "tech stack {name} {version} is published and no longer changes ({fields}); give it a new version",
                    name=stack.name,
                    version=stack.version,
                    fields=", ".join(differs),
                )
                self._refuse(place, text)
                return
            if stack.status == "draft":
                text = message(
                    "tech stack {name} {version} is published and can't be a draft again",
                    name=stack.name,
                    version=stack.version,
                )
                self._refuse(place, text)
                return
        values = {**content, "status": stack.status, "deprecation_reason": stack.deprecation_reason}
        self.rows.put(t.tech_stack, f"{tenant}/{stack.name} {stack.version}", scope, key, values)

    def _app(self, tenant: str, scope: Scope, app: m.App) -> None:
        place = ("app", tenant, app.name)
        values: dict[str, Any] = {
            "alias": app.alias,
            "description": app.description,
            "app_group_id": self._id(place, t.app_group, scope.tenant_id, app.group),
            "level_id": self._id(place, t.level, scope.tenant_id, app.level),
            "tech_stack_id": self._id(
                place, t.tech_stack, scope.tenant_id, app.tech_stack.name, app.tech_stack.version
            ),
            "app_metadata": app.metadata,
        }
        new = {
            "owner": self.operator,
            "creator": self.operator,
            "status": AppStatus.CREATED.value,
            "created_at": self.now,
        }
        if app.owner is not None:
            values["owner"] = app.owner
            del new["owner"]
        if values["tech_stack_id"] is None:
            return
        app_id, _ = self.rows.put(t.app, f"{tenant}/{app.name}", scope, (scope.tenant_id, app.name), values, new=new)
        for package in app.packages:
            self.rows.put(
                t.package,
                f"{tenant}/{app.name} {package.version}",
                scope,
                (app_id, package.version),
                package.model_dump(exclude={"version"}),
                new={"uploaded_by": self.operator, "uploaded_at": self.now},
            )

    # ---- the workspace's

    def _workspace(self, tenant: str, tenant_id: int, workspace: m.Workspace) -> None:
        path = f"{tenant}/{workspace.name}"
        values: dict[str, Any] = {
            "production": workspace.production,
            "blue_green": workspace.blue_green,
            "floor_percent": workspace.floor,
            "requires_staragent": workspace.requires_staragent,
        }
        before = self.rows.find(t.workspace, tenant_id, workspace.name)
        if before is not None:
            values = _written(workspace, values, before)
        workspace_id, _ = self.rows.put(t.workspace, path, Scope(tenant_id), (tenant_id, workspace.name), values)
        scope = Scope(tenant_id, workspace_id)
        for region in workspace.regions:
            self._put(t.region, path, scope, region.name, region.model_dump(exclude={"name"}))
        for jump in workspace.jump_hosts:
            self._put(t.jump_host, path, scope, jump.name, jump.model_dump(exclude={"name"}))
        for centre in workspace.data_centres:
            self._data_centre(path, scope, centre)
        for balancer in workspace.balancers:
            region_id = self._id(("workspace", *path.split("/")), t.region, workspace_id, balancer.region)
            if region_id is not None:
                self._put(t.balancer, path, scope, balancer.id, {"region_id": region_id, "name": balancer.name})
        for instance in workspace.service_instances:
            self._instance(tenant, workspace.name, scope, instance)

    def _put(self, table: sa.Table, path: str, scope: Scope, name: str, values: dict[str, Any]) -> int:
        return self.rows.put(table, f"{path}/{name}", scope, (scope.workspace_id, name), values)[0]

    def _data_centre(self, path: str, scope: Scope, centre: m.DataCentre) -> None:
        region_id = self._id(("workspace", *path.split("/")), t.region, scope.workspace_id, centre.region)
        if region_id is None:
            return
        centre_id = self._put(t.data_centre, path, scope, centre.name, {"region_id": region_id})
        for cell in centre.cells:
            cell_id = self._put(t.cell, path, scope, cell.name, {"data_centre_id": centre_id})
            for host in cell.hosts:
                self.rows.put(
                    t.host,
                    f"{path}/{host.name}",
                    scope,
                    (scope.workspace_id, host.name),
                    {"cell_id": cell_id, **host.model_dump(exclude={"name"})},
                    new={"state": HostState.READY.value, "version": ""},
                )

    def _instance(self, tenant: str, workspace: str, scope: Scope, instance: m.ServiceInstance) -> None:
        place = ("service_instance", tenant, workspace, instance.app)
        path = f"{tenant}/{workspace}/{instance.app}"
        app_id = self._id(place, t.app, scope.tenant_id, instance.app)
        if app_id is None:
            return
        key = (scope.workspace_id, app_id)
        live = {"current_version": instance.version or ""}
        instance_id, is_new = self.rows.put(t.service_instance, path, scope, key, {}, new=live)
        host_ids = {name: self._id(place, t.host, scope.workspace_id, name) for name in instance.hosts}
        for name, host_id in host_ids.items():
            if host_id is not None and self._is_free(place, name, host_id, instance_id):
                self.rows.put(t.service_instance_host, f"{path}/{name}", scope, (instance_id, host_id), {})
        for mount in instance.mounts:
            self._mount(place, path, scope, instance_id, mount)
        if is_new and instance.version:
            self.taken_over.append((instance_id, instance.version))
            self._hosts_run(f"{tenant}/{workspace}", scope, instance.version, instance.hosts)

    def _is_free(self, place: tuple[str, ...], name: str, host_id: int, instance_id: int) -> bool:
        if self.taken.setdefault(host_id, instance_id) == instance_id:
            return True
        self._refuse(place, message("host {name} already runs another app; a host runs only one", name=name))
        return False

    def _mount(self, place: tuple[str, ...], path: str, scope: Scope, instance_id: int, mount: m.Mount) -> None:
        balancer_id = self._id(place, t.balancer, scope.workspace_id, mount.balancer)
        host_id = self._id(place, t.host, scope.workspace_id, mount.host)
        if balancer_id is None or host_id is None:
            return
        key = (balancer_id, mount.vserver_group, host_id, mount.port)
        where = f"{path}/{mount.balancer}/{mount.vserver_group or 'default'}/{mount.host}:{mount.port}"
        self.rows.put(t.mount, where, scope, key, {"service_instance_id": instance_id})

    def _hosts_run(self, path: str, scope: Scope, version: str, names: list[str]) -> None:
        """The hosts of a new instance run the version it was taken over with, unless something is known of them already."""
        for name in names:
            host = self.rows.find(t.host, scope.workspace_id, name)
            if host is not None and host["state"] == HostState.READY and not host["version"]:
                values = {"state": HostState.DEPLOYED.value, "version": version}
                self._put(t.host, path, scope, name, values)

    def _take_over(self, conn: sa.Connection) -> None:
        """What ran before the cockpit came counts as succeeded, so that the first release can be rolled back."""
        for instance_id, version in self.taken_over:
            row = {"service_instance_id": instance_id, "version": version, "order_id": None, "at": self.now}
            conn.execute(sa.insert(t.succeeded_version).values(row))

    # ---- people

    def _operator(self, operator: m.Operator) -> None:
        operator_id, _ = self.rows.put(t.operator, operator.name, Scope(), (operator.name,), {})
        for role in operator.roles:
            place = ("operator", operator.name)
            tenant_id = self._id(place, t.tenant, role.tenant)
            workspace_id = self._id(place, t.workspace, tenant_id, role.workspace)
            if tenant_id is None or (workspace_id is None and role.workspace is not None):
                continue
            where = "/".join(part for part in (operator.name, role.tenant, role.workspace) if part)
            key = (operator_id, tenant_id, workspace_id)
            self.rows.put(t.operator_role, where, Scope(tenant_id, workspace_id), key, {"role": role.role})

    def _somebody_is_admin(self) -> None:
        """Once an operator is named, the store's owner may do no more than their roles: without an admin nobody could change
        anything again."""
        if not self.catalogue.operators:
            return
        place = ("operator", self.catalogue.operators[0].name)
        roles = self.rows.all(t.operator_role)
        tenants = {row["id"]: row["name"] for row in self.rows.all(t.tenant)}
        admins = {row["tenant_id"] for row in roles if row["role"] == Role.ADMIN}
        for tenant_id in dict.fromkeys(row["tenant_id"] for row in roles):
            if tenant_id not in admins:
                self._refuse(
                    place,
                    message(
                        "tenant {tenant} would have operators and no admin: nobody could change its catalogue again; give one of "
                        "them the role admin",
                        tenant=tenants[tenant_id],
                    ),
                )
        if not roles:
            self._refuse(
                place,
                message(
                    "operators are named and none of them has a role: nobody could do anything again; give one the role admin"
                ),
            )

    # ---- both

    def _id(self, place: tuple[str, ...], table: sa.Table, *key: Any) -> int | None:
        """The id of a row that is referred to; None when nothing is referred to, or when it is not there (then a problem)."""
        if key[-1] is None:
            return None
        row = self.rows.find(table, *key)
        if row is None:
            kind = {"app_group": "group"}.get(table.name, table.name)
            names = " ".join(str(part) for part in key if isinstance(part, str))
            self._refuse(place, message("there is no {kind} {name}", kind=kind.replace("_", " "), name=names))
            return None
        return int(row["id"])

    def _refuse(self, place: tuple[str, ...], text: Message) -> None:
        self.problems.append(self.catalogue.problem(place, text))


def _written(workspace: m.Workspace, values: dict[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The values that the file really gives: a file that only adds hosts to a workspace must not end its being production."""
    given = {name: value for name, value in values.items() if name in workspace.model_fields_set}
    if given.get("production", before["production"]) != before["production"]:
        given["floor_percent"] = values["floor_percent"]
    return given
