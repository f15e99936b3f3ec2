"""Saying that a host's weight of 0 is wanted: the order lets go of it, so nobody owns it and nobody gives it back."""

from __future__ import annotations

from engine.domain.fleet import MountWeight
from engine.domain.orders import HostPlan
from engine.steps.weight_change import WeightChange


def build(host: HostPlan) -> WeightChange:
    return WeightChange(tuple(MountWeight(line.mount, 0) for line in host.recorded), owned=False, stays_out=True)
