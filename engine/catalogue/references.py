"""Whether every name a file refers to is named somewhere: in the files, or in what the store already has.

Asked of each file apart, so that every problem has its line; answered from all of them together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.catalogue import values
from engine.catalogue.models import App, Document, Host, Operator, ServiceInstance, TechStack, Tenant, Workspace
from engine.catalogue.problems import CatalogueProblem
from engine.catalogue.source import Place, Source, written
from engine.domain.message import Message, message

SHOWN_HOSTS = 6


@dataclass(slots=True)
class WorkspaceNames:
    regions: set[str] = field(default_factory=set)
    jump_hosts: set[str] = field(default_factory=set)
    data_centres: set[str] = field(default_factory=set)
    hosts: dict[str, Host] = field(default_factory=dict)
    balancers: set[str] = field(default_factory=set)
    host_apps: dict[str, str] = field(default_factory=dict)  # host -> the app it is given to first


@dataclass(slots=True)
class TenantNames:
    groups: set[str] = field(default_factory=set)
    levels: set[str] = field(default_factory=set)
    tech_stacks: dict[tuple[str, str], TechStack] = field(default_factory=dict)
    apps: dict[str, App] = field(default_factory=dict)
    workspaces: dict[str, WorkspaceNames] = field(default_factory=dict)


Names = dict[str, TenantNames]


def names_of(tenants: Iterable[Tenant]) -> Names:
    """All names of the tenants; the same tenant may come several times."""
    names: Names = {}
    for tenant in tenants:
        known = names.setdefault(tenant.name, TenantNames())
        known.groups |= {group.name for group in tenant.groups}
        known.levels |= {level.name for level in tenant.levels}
        known.tech_stacks |= {(stack.name, stack.version): stack for stack in tenant.tech_stacks}
        known.apps |= {app.name: app for app in tenant.apps}
        for workspace in tenant.workspaces:
            _add_workspace(known.workspaces.setdefault(workspace.name, WorkspaceNames()), workspace)
    return names


def _add_workspace(known: WorkspaceNames, workspace: Workspace) -> None:
    known.regions |= {region.name for region in workspace.regions}
    known.jump_hosts |= {jump.name for jump in workspace.jump_hosts}
    known.data_centres |= {centre.name for centre in workspace.data_centres}
    known.balancers |= {balancer.id for balancer in workspace.balancers}
    for centre in workspace.data_centres:
        for cell in centre.cells:
            known.hosts |= {host.name: host for host in cell.hosts}
    for instance in workspace.service_instances:
        for host in instance.hosts:
            known.host_apps.setdefault(host, instance.app)


class Check:
    """One file's references. Fills `problems` and `places`."""

    def __init__(self, source: Source, names: Names) -> None:
        self.source = source
        self.names = names
        self.problems: list[CatalogueProblem] = []
        self.places: dict[tuple[str, ...], tuple[str, int, str]] = {}

    def document(self, document: Document) -> None:
        for number, tenant in enumerate(document.tenants):
            self._tenant(tenant, ("tenants", number))
        for number, operator in enumerate(document.operators):
            self._operator(operator, ("operators", number))

    def _tenant(self, tenant: Tenant, at: Place) -> None:
        names = self.names[tenant.name]
        for number, stack in enumerate(tenant.tech_stacks):
            here = (*at, "tech_stacks", number)
            self._remember(here, "tech_stack", tenant.name, stack.name, stack.version)
            self._values(here, values.of_stack(stack))
        for number, app in enumerate(tenant.apps):
            self._remember((*at, "apps", number), "app", tenant.name, app.name)
            self._app(app, names, (*at, "apps", number))
        for number, workspace in enumerate(tenant.workspaces):
            here = (*at, "workspaces", number)
            self._workspace(workspace, names, names.workspaces[workspace.name], here)
            for count, instance in enumerate(workspace.service_instances):
                place = (*here, "service_instances", count)
                self._remember(place, "service_instance", tenant.name, workspace.name, instance.app)
                if instance.app not in names.apps:
                    self._unknown(place, "app", message("there is no app {name} in this tenant", name=instance.app))

    def _app(self, app: App, names: TenantNames, at: Place) -> None:
        if app.group is not None and app.group not in names.groups:
            self._unknown(at, "group", message("there is no group {name} in this tenant", name=app.group))
        if app.level is not None and app.level not in names.levels:
            self._unknown(at, "level", message("there is no level {name} in this tenant", name=app.level))
        stack = app.tech_stack
        if (stack.name, stack.version) not in names.tech_stacks:
            text = message(
                "there is no tech stack {name} of version {version} in this tenant",
                name=stack.name,
                version=stack.version,
            )
            self._unknown(at, "tech_stack", text)

    def _workspace(self, workspace: Workspace, tenant: TenantNames, names: WorkspaceNames, at: Place) -> None:
        for number, centre in enumerate(workspace.data_centres):
            here = (*at, "data_centres", number)
            self._region(centre.region, names, here)
            for cell_number, cell in enumerate(centre.cells):
                for host_number, host in enumerate(cell.hosts):
                    self._host(host, names, (*here, "cells", cell_number, "hosts", host_number))
        for number, balancer in enumerate(workspace.balancers):
            self._region(balancer.region, names, (*at, "balancers", number))
        for number, instance in enumerate(workspace.service_instances):
            self._instance(instance, names, (*at, "service_instances", number))
            self._required(instance, tenant, names, (*at, "service_instances", number))
        if workspace.blue_green and len(names.data_centres) != 2:
            text = message(
                "a blue-green workspace has exactly two data centres, this one has {count}",
                count=len(names.data_centres),
            )
            self._unknown(at, "blue_green", text)

    def _region(self, region: str, names: WorkspaceNames, at: Place) -> None:
        if region not in names.regions:
            self._unknown(at, "region", message("there is no region {name} in this workspace", name=region))

    def _host(self, host: Host, names: WorkspaceNames, at: Place) -> None:
        for number, jump in enumerate(host.jump_chain):
            if jump not in names.jump_hosts:
                text = message("there is no jump host {name} in this workspace", name=jump)
                self.problems.append(self.source.problem((*at, "jump_chain", number), text))
        self._values(at, values.of_host(host))

    def _instance(self, instance: ServiceInstance, names: WorkspaceNames, at: Place) -> None:
        for number, name in enumerate(instance.hosts):
            place = (*at, "hosts", number)
            if name not in names.hosts:
                self.problems.append(
                    self.source.problem(place, message("there is no host {name} in this workspace", name=name))
                )
            elif names.host_apps.get(name, instance.app) != instance.app:
                text = message(
                    "host {name} already runs {app}; a host runs only one app", name=name, app=names.host_apps[name]
                )
                self.problems.append(self.source.problem(place, text))
        for number, mount in enumerate(instance.mounts):
            place = (*at, "mounts", number)
            if mount.balancer not in names.balancers:
                text = message("there is no load balancer {name} in this workspace", name=mount.balancer)
                self._unknown(place, "balancer", text)
            if names.host_apps.get(mount.host) != instance.app:
                text = message("host {name} is not one of this service instance's hosts", name=mount.host)
                self._unknown(place, "host", text)
            elif mount.host in names.hosts and not names.hosts[mount.host].server_id:
                text = message("host {name} needs a server_id to be behind a load balancer", name=mount.host)
                self._unknown(place, "host", text)

    def _required(self, instance: ServiceInstance, tenant: TenantNames, names: WorkspaceNames, at: Place) -> None:
        """A tech stack's required parameters have a value on every host of the app."""
        app = tenant.apps.get(instance.app)
        stack = tenant.tech_stacks.get((app.tech_stack.name, app.tech_stack.version)) if app else None
        if stack is None:
            return
        lacking: dict[str, list[int]] = {}
        for number, name in enumerate(instance.hosts):
            for parameter in values.missing(names.hosts[name], stack) if name in names.hosts else ():
                lacking.setdefault(parameter, []).append(number)
        for parameter, numbers in lacking.items():
            shown = ", ".join(instance.hosts[number] for number in numbers[:SHOWN_HOSTS])
            text = message(
                "these hosts have no value for {name}, which tech stack {stack} {version} requires: {hosts}",
                name=parameter,
                stack=stack.name,
                version=stack.version,
                hosts=shown if len(numbers) <= SHOWN_HOSTS else f"{shown}, +{len(numbers) - SHOWN_HOSTS}",
            )
            self.problems.append(self.source.problem((*at, "hosts", numbers[0]), text))

    def _values(self, at: Place, found: values.Found) -> None:
        self.problems += [self.source.problem((*at, *where), text) for where, text in found]

    def _operator(self, operator: Operator, at: Place) -> None:
        for number, role in enumerate(operator.roles):
            place = (*at, "roles", number)
            if role.tenant not in self.names:
                self._unknown(place, "tenant", message("there is no tenant {name}", name=role.tenant))
            elif role.workspace is not None and role.workspace not in self.names[role.tenant].workspaces:
                text = message("there is no workspace {name} in this tenant", name=role.workspace)
                self._unknown(place, "workspace", text)

    def _unknown(self, at: Place, field: str, text: Message) -> None:
        self.problems.append(self.source.problem((*at, field), text))

    def _remember(self, place: Place, *kind_and_names: str) -> None:
        self.places[kind_and_names] = (self.source.file, self.source.line(place), written(place))
