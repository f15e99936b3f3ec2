"""What is shown of an order before it exists."""

from __future__ import annotations

from dataclasses import dataclass

from engine.domain.message import Message
from engine.domain.problem import Problem
from engine.views.orders import NodeView, OrderedApp


@dataclass(frozen=True, slots=True)
class CapacityPoint:
    """One step of the preview's capacity curve: hosts in service while `node` runs."""

    node: str
    in_service: int


@dataclass(frozen=True, slots=True)
class OrderPreview:
    """What an order would be, before anything is created. `problems` name everything that forbids it, all at once."""

    kind: str
    apps: tuple[OrderedApp, ...]
    hosts: tuple[str, ...]
    nodes: tuple[NodeView, ...]
    beta_hosts: tuple[str, ...]
    capacity: tuple[CapacityPoint, ...]
    in_service: int
    floor: int
    lowest_in_service: int
    breaks_floor: bool
    notes: tuple[Message, ...]  # e.g. cutting traffic stops only external web traffic
    problems: tuple[Problem, ...]
