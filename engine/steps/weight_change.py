"""What a step asks of the balancer: which weights, and whose they are afterwards. Built here, done by the weight ledger."""

from __future__ import annotations

from dataclasses import dataclass

from engine.domain.fleet import MountWeight


@dataclass(frozen=True, slots=True)
class WeightChange:
    """`owned`: the order keeps the weights in its hands, else it lets go of them. `drain`: requests under way get time to end.
    `by_hand`: nothing is asked here, a person gives the weights."""

    weights: tuple[MountWeight, ...]
    owned: bool
    drain: bool = False
    by_hand: bool = False
