"""Several files as one catalogue: tenants, workspaces, data centres and cells grow together by name; everything else is
named once. Never decides which of two contradicting files is right: that is a problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from engine.catalogue.models import (
    App,
    Balancer,
    Cell,
    DataCentre,
    Document,
    Operator,
    OperatorRole,
    Package,
    ServiceInstance,
    TechStack,
    Tenant,
    Workspace,
)
from engine.catalogue.problems import CatalogueProblem
from engine.catalogue.scalars import shown
from engine.catalogue.source import Place, Source
from engine.domain.message import message

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Entry(Generic[M]):
    """A model and where it was written."""

    source: Source
    place: Place
    model: M


Key = tuple[str, ...]


class Merge:
    """Collects `problems` while it joins; the result is only worth something when there are none."""

    def __init__(self) -> None:
        self.problems: list[CatalogueProblem] = []

    def catalogue(
        self, documents: Sequence[tuple[Source, Document]]
    ) -> tuple[tuple[Tenant, ...], tuple[Operator, ...]]:
        tenants = [
            Entry(source, ("tenants", number), tenant)
            for source, document in documents
            for number, tenant in enumerate(document.tenants)
        ]
        operators = [
            Entry(source, ("operators", number), operator)
            for source, document in documents
            for number, operator in enumerate(document.operators)
        ]
        return (
            tuple(self._tenant(same) for same in self._by_name(tenants)),
            tuple(self._operator(same) for same in self._by_name(operators)),
        )

    def _tenant(self, entries: list[Entry[Tenant]]) -> Tenant:
        return self._joined(
            entries,
            groups=self._once(_inside(entries, "groups"), _name),
            levels=self._once(_inside(entries, "levels"), _name),
            tech_stacks=self._once(_inside(entries, "tech_stacks"), _stack_key),
            apps=[self._app(entry) for entry in self._once_entries(_inside(entries, "apps"), _name)],
            workspaces=[self._workspace(same) for same in self._by_name(_inside(entries, "workspaces"))],
        )

    def _app(self, entry: Entry[App]) -> App:
        self._once(_inside([entry], "packages"), _package_key)
        return entry.model

    def _workspace(self, entries: list[Entry[Workspace]]) -> Workspace:
        centres = self._by_name(_inside(entries, "data_centres"))
        cells = [cell for same in centres for cell in self._by_name(_inside(same, "cells"))]
        # Cells and hosts are told apart by name in the whole workspace, not only in their data centre.
        self._once([same[0] for same in cells], _name)
        self._once([host for same in cells for host in _inside(same, "hosts")], _name)
        instances = self._once_entries(_inside(entries, "service_instances"), _instance_key)
        self._once([mount for entry in instances for mount in _inside([entry], "mounts")], _mount_key)
        for entry in instances:
            self._each_once(entry, "hosts")
        return self._joined(
            entries,
            regions=self._once(_inside(entries, "regions"), _name),
            jump_hosts=self._once(_inside(entries, "jump_hosts"), _name),
            data_centres=[self._data_centre(same) for same in centres],
            balancers=self._once(_inside(entries, "balancers"), _balancer_key),
            service_instances=[entry.model for entry in instances],
        )

    def _data_centre(self, entries: list[Entry[DataCentre]]) -> DataCentre:
        return self._joined(entries, cells=[self._cell(same) for same in self._by_name(_inside(entries, "cells"))])

    def _cell(self, entries: list[Entry[Cell]]) -> Cell:
        return self._joined(entries, hosts=[entry.model for entry in _inside(entries, "hosts")])

    def _operator(self, entries: list[Entry[Operator]]) -> Operator:
        return self._joined(entries, roles=self._once(_inside(entries, "roles"), _role_key))

    def _by_name(self, entries: Iterable[Entry[M]]) -> list[list[Entry[M]]]:
        """Those of one name together. Twice in one list of one file is a problem; in two files they grow together."""
        groups: dict[Key, list[Entry[M]]] = {}
        for entry in entries:
            same = groups.setdefault(_name(entry.model), [])
            for earlier in same:
                if earlier.source is entry.source and earlier.place[:-1] == entry.place[:-1]:
                    self._twice(entry, earlier)
                    break
            same.append(entry)
        return list(groups.values())

    def _once(self, entries: Iterable[Entry[M]], key: Callable[[Any], Key]) -> list[M]:
        return [entry.model for entry in self._once_entries(entries, key)]

    def _once_entries(self, entries: Iterable[Entry[M]], key: Callable[[Any], Key]) -> list[Entry[M]]:
        found: dict[Key, Entry[M]] = {}
        for entry in entries:
            earlier = found.setdefault(key(entry.model), entry)
            if earlier is not entry:
                self._twice(entry, earlier, " ".join(key(entry.model)))
        return list(found.values())

    def _each_once(self, entry: Entry[Any], field: str) -> None:
        names: list[str] = getattr(entry.model, field)
        for number, name in enumerate(names):
            if name in names[:number]:
                text = message("{name} is listed twice", name=name)
                self.problems.append(entry.source.problem((*entry.place, field, number), text))

    def _joined(self, entries: list[Entry[M]], **lists: Any) -> M:
        """The first model with the lists given and the single values of all; values that differ are a problem."""
        values: dict[str, Any] = {}
        for entry in entries:
            for field in entry.model.model_fields_set - lists.keys():
                value = getattr(entry.model, field)
                if values.setdefault(field, value) != value:
                    text = message("contradicts another file, which says {other}", other=shown(values[field]))
                    self.problems.append(entry.source.problem((*entry.place, field), text))
        return entries[0].model.model_copy(update={**values, **lists})

    def _twice(self, entry: Entry[Any], earlier: Entry[Any], name: str = "") -> None:
        text = message(
            "{name} is named twice; the first is in {file}, line {line}",
            name=name or " ".join(_name(entry.model)),
            file=earlier.source.file,
            line=earlier.source.line(earlier.place),
        )
        self.problems.append(entry.source.problem(entry.place, text))


def _inside(entries: Iterable[Entry[Any]], field: str) -> list[Entry[Any]]:
    return [
        Entry(entry.source, (*entry.place, field, number), model)
        for entry in entries
        for number, model in enumerate(getattr(entry.model, field))
    ]


def _name(model: Any) -> Key:
    return (str(model.name),)


def _stack_key(stack: TechStack) -> Key:
    return (stack.name, stack.version)


def _package_key(package: Package) -> Key:
    return (package.version,)


def _balancer_key(balancer: Balancer) -> Key:
    return (balancer.id,)


def _instance_key(instance: ServiceInstance) -> Key:
    return (instance.app,)


def _mount_key(mount: Any) -> Key:
    return (mount.balancer, mount.vserver_group, mount.host, str(mount.port))


def _role_key(role: OperatorRole) -> Key:
    return (role.tenant, role.workspace or "")
