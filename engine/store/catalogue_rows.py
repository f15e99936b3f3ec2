"""The catalogue's rows held in memory while a catalogue is compared with them: one query a table, however many hosts there are.

Either it only notes what would change (for a preview), or it writes it, with an audit row for each change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa

from engine.domain.roles import Role
from engine.store import tables as t
from engine.store.audit import Entry
from engine.store.gate import Passing, Where, admit

Key = tuple[Any, ...]

# What tells two rows of a table apart for people, in the order of the columns.
_KEYS: dict[sa.Table, tuple[str, ...]] = {
    t.tenant: ("name",),
    t.app_group: ("tenant_id", "name"),
    t.level: ("tenant_id", "name"),
    t.tech_stack: ("tenant_id", "name", "version"),
    t.app: ("tenant_id", "name"),
    t.package: ("app_id", "version"),
    t.workspace: ("tenant_id", "name"),
    t.region: ("workspace_id", "name"),
    t.data_centre: ("workspace_id", "name"),
    t.cell: ("workspace_id", "name"),
    t.jump_host: ("workspace_id", "name"),
    t.host: ("workspace_id", "name"),
    t.balancer: ("workspace_id", "balancer_id"),
    t.service_instance: ("workspace_id", "app_id"),
    t.service_instance_host: ("service_instance_id", "host_id"),
    t.mount: ("balancer_id", "vserver_group_id", "host_id", "port"),
    t.operator: ("name",),
    t.operator_role: ("operator_id", "tenant_id", "workspace_id"),
}

_KINDS = {"app_group": "group"}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a catalogue adds or changes. `path` is such as `acme/prod/hz-01`; `before` and `after` hold only the
    fields that differ (`before` is empty for what is added), as a person would name them."""

    kind: str
    path: str
    action: Literal["add", "change"]
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose audit a change belongs to; ids below 0 exist only in a preview."""

    tenant_id: int | None = None
    workspace_id: int | None = None


class Rows:
    """`passing` given: changes are written, each if its operator may; else they are only noted. `entries` are their audit."""

    def __init__(self, conn: sa.Connection, passing: Passing | None = None) -> None:
        self._conn = conn
        self._passing = passing
        self._unwritten = 0
        self._new_tenants: set[int] = set()
        self.entries: list[Entry] = []
        self.changes: list[Change] = []
        self._rows: dict[sa.Table, dict[Key, dict[str, Any]]] = {}
        self._labels: dict[tuple[str, Any], str] = {}
        for table, columns in _KEYS.items():
            stored = [dict(row._mapping) for row in conn.execute(sa.select(table))]
            self._rows[table] = {tuple(row[column] for column in columns): row for row in stored}
            for row in stored:
                self._label(table, row)

    def find(self, table: sa.Table, *key: Any) -> Mapping[str, Any] | None:
        return self._rows[table].get(key)

    def all(self, table: sa.Table) -> list[dict[str, Any]]:
        return list(self._rows[table].values())

    def put(
        self,
        table: sa.Table,
        path: str,
        scope: Scope,
        key: Key,
        values: Mapping[str, Any],
        *,
        new: Mapping[str, Any] | None = None,
    ) -> tuple[int, bool]:
        """Make the row of that key hold `values`; `new` holds what only a new row gets. Returns its id (0 where the table
        has none) and whether it is new. The id is below 0 when it is not written."""
        row = self._rows[table].get(key)
        if row is None:
            return self._add(table, path, scope, key, {**values, **(new or {})}), True
        before = {name: row[name] for name, value in values.items() if row[name] != value}
        if before:
            after = {name: values[name] for name in before}
            self._note(table, path, scope, "change", self._shown(before), self._shown(after))
            row.update(after)
            self._label(table, row)
            if self._passing is not None:
                matches = [table.c[name] == row[name] for name in self._identity(table)]
                self._conn.execute(sa.update(table).where(*matches).values(**after))
        return int(row.get("id", 0)), False

    def _add(self, table: sa.Table, path: str, scope: Scope, key: Key, values: dict[str, Any]) -> int:
        row = {**dict(zip(_KEYS[table], key, strict=True)), **values}
        has_id = "id" in table.c
        if self._passing is not None:
            inserted = self._conn.execute(sa.insert(table).values(**row))
            if has_id and inserted.inserted_primary_key is not None:
                row["id"] = inserted.inserted_primary_key[0]
        elif has_id:
            self._unwritten -= 1
            row["id"] = self._unwritten
        self._rows[table][key] = row
        self._label(table, row)
        if table is t.tenant:
            scope = Scope(row["id"])
            self._new_tenants.add(row["id"])
        elif table is t.workspace:
            scope = Scope(scope.tenant_id, row["id"])
        self._note(table, path, scope, "add", {}, self._shown(values))
        return int(row.get("id", 0))

    def _note(
        self,
        table: sa.Table,
        path: str,
        scope: Scope,
        action: Literal["add", "change"],
        before: Mapping[str, Any],
        after: Mapping[str, Any],
    ) -> None:
        kind = _KINDS.get(table.name, table.name)
        self.changes.append(Change(kind, path, action, before, after))
        if self._passing is None:
            return
        self._admit(scope)
        entry = self._passing.entry
        self.entries.append(
            Entry(
                entry.at,
                entry.operator,
                f"catalogue_{action}",
                f"{kind} {path}",
                before=dict(before) or None,
                after=dict(after),
                tenant_id=scope.tenant_id,
                workspace_id=scope.workspace_id,
            )
        )

    def _admit(self, scope: Scope) -> None:
        """Each change in its own place: who is an admin of one tenant changes nothing of another. Whoever may bring a tenant into
        being fills it as well. Raises NotAllowed."""
        assert self._passing is not None, "what is only noted needs no leave"
        if scope.tenant_id is None or scope.tenant_id in self._new_tenants:
            return  # the gate has let an admin in
        where = Where(scope.tenant_id, scope.workspace_id)
        admit(self._conn, self._passing.grants, "apply_catalogue", Role.ADMIN, where)

    def _identity(self, table: sa.Table) -> tuple[str, ...]:
        return ("id",) if "id" in table.c else _KEYS[table]

    def _label(self, table: sa.Table, row: Mapping[str, Any]) -> None:
        if "id" in row:
            names = [str(row[name]) for name in _KEYS[table] if not name.endswith("_id") or name == "balancer_id"]
            if table is t.service_instance:  # it has no name but its app's
                names = [self._labels[t.app.name, row["app_id"]]]
            self._labels[table.name, row["id"]] = " ".join(names)

    def _shown(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Ids of other rows as their names: `tech_stack_id: 4` becomes `tech_stack: python-web 1.0`."""
        shown: dict[str, Any] = {}
        for name, value in values.items():
            if name.endswith("_at"):  # the change itself has a time
                continue
            target = name.removesuffix("_id")
            if target != name and (target, value) in self._labels:
                shown[_KINDS.get(target, target)] = self._labels[target, value]
            elif target != name and value is None:
                shown[_KINDS.get(target, target)] = None
            else:
                shown[name] = value
        return shown
