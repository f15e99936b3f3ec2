"""Orders as data: what was asked (`ReleaseSpec`) and what will be done (`Plan`). Both are stored as JSON and hashed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.domain.fleet import MountWeight
from engine.domain.states import Direction, NodeKind, OrderKind, StepName, Strategy, TrafficMode


@dataclass(frozen=True, slots=True)
class ReleaseSpec:
    """A release or rollback of one app as the operator asked for it.

    `beta_hosts` empty with `beta` true: the planner picks one host a data centre with the given seed. `preset_weights` maps a
    host to its weight of 1–100 (mode preset only). `floor` None: the workspace's default. `override_reason` is what the
    operator gave for a plan that must break the floor.
    """

    app: str
    version: str
    kind: OrderKind = OrderKind.RELEASE
    title: str = ""
    strategy: Strategy = Strategy.QUICK
    groups: int = 2
    beta: bool = False
    beta_hosts: tuple[str, ...] = ()
    traffic: TrafficMode = TrafficMode.SNAPSHOT
    preset_weights: Mapping[str, int] = field(default_factory=dict)
    parallelism: int = 50
    max_failures: int = 0
    floor: int | None = None
    override_reason: str = ""
    reason: str = ""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class HostPlan:
    """What is done on one host. `recorded` are its weights when the plan was made; `restore_to` those it gets back by itself
    after its health check (empty in gray mode: a person gives them)."""

    host: str
    from_version: str
    to_version: str
    steps: tuple[StepName, ...]
    recorded: tuple[MountWeight, ...]
    restore_to: tuple[MountWeight, ...]


@dataclass(frozen=True, slots=True)
class PlanNode:
    """A node of the flowchart. `key` is unique in the plan (`initialise`, `beta`, `beta-confirm`, `group-1`, `group-1-confirm`,
    `finish`); `number` is a group's 1-based number; a gate's `hosts` are those whose weights its slider moves."""

    key: str
    kind: NodeKind
    needs: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    number: int = 0
    sliders: bool = False  # a gate of gray mode: weights are given here


@dataclass(frozen=True, slots=True)
class Plan:
    """A DAG of nodes and what happens on each host. `fleet_hash` is of the fleet, weights and package it was made from.

    `in_service` is the number of hosts with weight > 0 in every server group when it was made; `lowest_in_service` the lowest
    number the plan reaches; `floor` the number it must not fall below: all three of the server group with the least to spare.
    `floors` are those of every server group, by its name.
    """

    direction: Direction
    nodes: tuple[PlanNode, ...]
    hosts: Mapping[str, HostPlan]
    fleet_hash: str
    floor: int
    in_service: int
    lowest_in_service: int
    floors: Mapping[str, int] = field(default_factory=dict)

    @property
    def breaks_floor(self) -> bool:
        return self.lowest_in_service < self.floor

    def node(self, key: str) -> PlanNode:
        for node in self.nodes:
            if node.key == key:
                return node
        raise KeyError(key)
