"""Weights being moved, before they are applied: what is pending, what is live, and what share of the traffic that means.

Pure data: it asks nobody and draws nothing. What the balancer says never touches what is pending.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from engine.views.orders import HostRunView

STOPS = (0, 1, 5, 10, 25, 50, 100)
LOWEST, HIGHEST = 0, 100


@dataclass(frozen=True, slots=True)
class Pending:
    """Edits of hosts' weights that were not applied yet: host → weight."""

    weights: Mapping[str, int] = field(default_factory=dict)

    def with_weight(self, hosts: Sequence[str], weight: int) -> Pending:
        bounded = max(LOWEST, min(HIGHEST, weight))
        return replace(self, weights={**self.weights, **dict.fromkeys(hosts, bounded)})

    def without(self, hosts: Sequence[str]) -> Pending:
        return replace(self, weights={host: weight for host, weight in self.weights.items() if host not in hosts})


def live_weight(host: HostRunView) -> int:
    """What the host has now as far as is known: read back, else asked for, else as recorded."""
    if not host.weights:
        return 0
    weight = host.weights[0]
    if weight.confirmed is not None:
        return weight.confirmed
    return weight.recorded if weight.asked is None else weight.asked


def next_stop(weight: int, up: bool) -> int:
    """The next of `STOPS` above or below."""
    if up:
        return next((stop for stop in STOPS if stop > weight), HIGHEST)
    return next((stop for stop in reversed(STOPS) if stop < weight), LOWEST)


def traffic_share(host: HostRunView, everyone: Sequence[HostRunView], pending: Mapping[str, int]) -> float:
    """The host's part of its server group's traffic, 0–1, if `pending` were applied (empty: now)."""
    if not host.weights:
        return 0.0
    group = (host.weights[0].balancer, host.weights[0].server_group)
    total = own = 0
    for other in everyone:
        if any((weight.balancer, weight.server_group) == group for weight in other.weights):
            weight = pending.get(other.name, live_weight(other))
            total += weight
            own += weight if other.name == host.name else 0
    return own / total if total else 0.0
