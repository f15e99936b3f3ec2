"""Taking a host out of its balancers. The order owns its weights until it has given them back."""

from __future__ import annotations

from engine.domain.fleet import MountWeight
from engine.domain.orders import HostPlan
from engine.steps.weight_change import WeightChange


def build(host: HostPlan) -> WeightChange:
    zero = tuple(MountWeight(line.mount, 0) for line in host.recorded)
    return WeightChange(zero, owned=True, drain=True)
