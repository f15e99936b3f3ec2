"""Saying that a host's weight of 0 is wanted: nobody gives it back. The order holds it until the step is done, and lets go then."""

from __future__ import annotations

from engine.domain.fleet import MountWeight
from engine.domain.orders import HostPlan
from engine.steps.weight_change import WeightChange


def build(host: HostPlan) -> WeightChange:
    return WeightChange(tuple(MountWeight(line.mount, 0) for line in host.recorded), owned=True)
