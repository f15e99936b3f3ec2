"""Orders as data: what was asked (`OrderSpec`) and what will be done (`Plan`). Both are stored as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from engine.domain.fleet import MountWeight
from engine.domain.message import Message
from engine.domain.states import Direction, HostState, NodeKind, Strategy
from engine.domain.steps import StepPlan, Traffic, cuts


@dataclass(frozen=True, slots=True)
class What:
    """What is asked for, tagged by its kind. `data` is the kind's own (`engine.kinds`): nobody else reads it."""

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)


DEFAULT_GROUPS = 2


@dataclass(frozen=True, slots=True)
class Grouping:
    """Which hosts go together. `count` counts for the quick strategy only; None: two groups, or fewer where there are fewer hosts.
    `beta_hosts` empty with `beta` true: one host of each data centre is picked with the order's seed.

    `by_hand` are groups named host by host, in their order; each is of one app. An app of which no host is named there is
    grouped by the strategy. `excluded` hosts are left alone: they keep what they run."""

    strategy: Strategy = Strategy.QUICK
    count: int | None = None
    beta: bool = False
    beta_hosts: tuple[str, ...] = ()
    by_hand: tuple[tuple[str, ...], ...] = ()
    excluded: tuple[str, ...] = ()

    @property
    def groups(self) -> int:
        """How many the quick strategy makes at most."""
        return DEFAULT_GROUPS if self.count is None else self.count


@dataclass(frozen=True, slots=True)
class OrderSpec:
    """An order as it was asked for, of whatever kind. `floor` None: the workspace's default. `override_reason` is what the
    operator gave for a plan that must break the floor."""

    what: What
    title: str = ""
    grouping: Grouping = field(default_factory=Grouping)
    parallelism: int = 50
    max_failures: int = 0
    floor: int | None = None
    override_reason: str = ""
    reason: str = ""
    seed: int = 0

    @property
    def kind(self) -> str:
        return self.what.kind


@dataclass(frozen=True, slots=True)
class AppAsked:
    """An app that an order is about. `version` empty: the one it has. It starts when the apps it `needs` are done."""

    app: str
    version: str = ""
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OrderApp:
    """An app of an order as it is stored, with what it ran when the order was made and what it is to run."""

    service_instance_id: int
    app: str
    from_version: str
    to_version: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HostIs:
    """What a host is: the version it runs (empty: none) and its state."""

    version: str = ""
    state: HostState = HostState.READY


@dataclass(frozen=True, slots=True)
class HostPlan:
    """What is done on one host of a node, and what brings it back.

    `undo` are the steps of the way back of a host that was touched, `undo_untouched` those of one that was only begun with; both
    empty: there is no way back. `before` and `after` are the host before and after the steps; `during` the state it has meanwhile,
    `on_failure` the one it has when they end badly. `recorded` are its weights when the plan was made; `restore_to` those it gets
    back by itself (empty in gray mode: a person gives them).
    """

    host: str
    app: str
    steps: tuple[StepPlan, ...]
    undo: tuple[StepPlan, ...]
    undo_untouched: tuple[StepPlan, ...]
    before: HostIs
    after: HostIs
    during: HostState
    on_failure: HostState
    recorded: tuple[MountWeight, ...]
    restore_to: tuple[MountWeight, ...]

    @property
    def leaves(self) -> bool:
        """Whether it is taken out of its balancers."""
        return cuts(self.steps)

    @property
    def restores_traffic(self) -> bool:
        """Whether its traffic comes back at its end."""
        return any(step.traffic is Traffic.BACK for step in self.steps)


@dataclass(frozen=True, slots=True)
class Gate:
    """A person confirms that these hosts are well. `sliders`: their weights are given here."""

    hosts: tuple[str, ...]
    sliders: bool = False


@dataclass(frozen=True, slots=True)
class PlanNode:
    """A node of the flowchart: hosts that run side by side, a gate, or one of the two ends. `key` is unique in the plan; `label`
    is what people call it. It opens when *all* that it needs are done."""

    key: str
    kind: NodeKind
    needs: tuple[str, ...]
    label: Message
    runs: tuple[HostPlan, ...] = ()
    gate: Gate | None = None

    @property
    def hosts(self) -> tuple[str, ...]:
        return self.gate.hosts if self.gate is not None else tuple(run.host for run in self.runs)

    @property
    def sliders(self) -> bool:
        return self.gate is not None and self.gate.sliders


@dataclass(frozen=True)
class Plan:
    """A DAG of nodes and what happens on each of their hosts. `fleet_hash` is of everything it was made from.

    `in_service` is the number of hosts in service in every server group when it was made; `lowest_in_service` the lowest number
    the plan reaches; `floor` the number it must not fall below: all three of the server group with the least to spare. `floors`
    are those of every server group, by its name. `beside` are the weights of hosts of the same server groups that the plan leaves
    alone: they count for the capacity.
    """

    direction: Direction
    nodes: tuple[PlanNode, ...]
    fleet_hash: str
    floor: int
    in_service: int
    lowest_in_service: int
    floors: Mapping[str, int] = field(default_factory=dict)
    beside: tuple[MountWeight, ...] = ()

    @property
    def breaks_floor(self) -> bool:
        return self.lowest_in_service < self.floor

    @cached_property
    def run_of(self) -> Mapping[tuple[str, str], HostPlan]:
        """(node, host) → what is done there, in plan order."""
        return {(node.key, run.host): run for node in self.nodes for run in node.runs}

    @cached_property
    def hosts(self) -> tuple[str, ...]:
        """Every host of the plan once, in plan order."""
        return tuple(dict.fromkeys(host for _, host in self.run_of))

    @cached_property
    def app_of(self) -> Mapping[str, str]:
        """Host → its app."""
        return {run.host: run.app for run in self.run_of.values()}

    def node(self, key: str) -> PlanNode:
        for node in self.nodes:
            if node.key == key:
                return node
        raise KeyError(key)
