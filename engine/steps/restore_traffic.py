"""Giving a host the weights that its plan names, once its health check has passed. In gray mode a person gives them."""

from __future__ import annotations

from engine.domain.orders import HostPlan
from engine.steps.weight_change import WeightChange


def build(host: HostPlan) -> WeightChange:
    by_hand = bool(host.recorded) and not host.restore_to
    return WeightChange(host.restore_to, owned=False, by_hand=by_hand)
