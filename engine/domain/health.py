"""Who is believed when it is asked whether a host answers: the balancer's own check first, ours where that can't tell."""

from __future__ import annotations

from dataclasses import dataclass

from engine.domain.states import Health


@dataclass(frozen=True, slots=True)
class HealthSeen:
    """What the balancer's own check said of a mount, and what ours said of its host."""

    of_balancer: Health | None = None
    ours: Health | None = None

    @property
    def health(self) -> Health | None:
        return either(self.of_balancer, self.ours)


def either(of_balancer: Health | None, ours: Health | None) -> Health | None:
    """None: neither was ever asked."""
    if of_balancer in (Health.HEALTHY, Health.UNHEALTHY) or ours is None:
        return of_balancer
    return ours


def answers(health: Health | None) -> bool:
    """Whether the host counts as in service. One that nobody ever asked counts by its weight alone; one of which nobody can tell
    counts as out."""
    return health in (None, Health.HEALTHY)
