"""What is shown of workspaces, apps and hosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.domain.states import (
    AppStatus,
    HostState,
    OrderState,
    Shown,
)
from engine.views.values import shown_state


@dataclass(frozen=True, slots=True)
class WorkspaceView:
    tenant: str
    workspace: str
    production: bool
    apps: int
    hosts: int
    open_orders: int
    waiting_orders: int  # waiting or halted: a person must act


@dataclass(frozen=True, slots=True)
class RunningVersion:
    version: str
    hosts: int


@dataclass(frozen=True, slots=True)
class AppView:
    """An app as its tenant's catalogue has it and as it stands in this workspace. `hosts` 0: no service instance here."""

    name: str
    alias: str
    description: str
    group: str
    level: str
    stack: str
    stack_version: str
    owner: str
    creator: str
    status: AppStatus
    metadata: Mapping[str, str]
    version: str  # here; empty when it never succeeded here
    hosts: int
    deployed_hosts: int  # run `version`
    failed_hosts: int
    open_order: int | None
    open_order_state: OrderState | None
    packages: tuple[str, ...]  # versions, newest first
    succeeded_versions: tuple[str, ...]  # here, newest first
    running: tuple[RunningVersion, ...] = ()  # what the deployed hosts run, the most frequent first
    open_order_paused: bool = False

    @property
    def runs(self) -> str:
        """`2.0.0 5/8, 1.0.0 3/8`: each version that runs here and on how many of the hosts; empty when none does."""
        return ", ".join(f"{each.version} {each.hosts}/{self.hosts}" for each in self.running)

    @property
    def open_order_shown(self) -> OrderState | Shown | None:
        if self.open_order_state is None:
            return None
        return shown_state(self.open_order_state, paused=self.open_order_paused, failed=self.failed_hosts > 0)


@dataclass(frozen=True, slots=True)
class HostView:
    name: str
    address: str
    ssh_port: int
    ssh_user: str
    data_centre: str
    cell: str
    jump_chain: tuple[str, ...]
    os: str
    os_version: str
    state: HostState
    version: str
    apps: tuple[str, ...]
