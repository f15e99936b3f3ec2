"""A simulated balancer whose API is away for a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from engine.domain.fleet import MountWeight, ServerGroup
from engine.domain.states import Health
from engine.ports import BalancerUnknown
from tests.support.world import SimBalancer, SimClock, problem


class AwayBalancer(SimBalancer):
    """Its API answers nothing before `back_at`; `only_changes`: it can be read meanwhile."""

    def __init__(self, clock: SimClock, weights: dict[ServerGroup, dict[tuple[str, int], int]]) -> None:
        super().__init__(weights)
        self.clock = clock
        self.back_at = 0.0
        self.only_changes = False
        self.error: Callable[..., Exception] = BalancerUnknown
        self.done_meanwhile = False  # what is asked for is done all the same
        # Called once, before the next call that takes hosts out or puts hosts in.
        self.before_cutting: Callable[[], None] | None = None
        self.before_giving: Callable[[], None] | None = None

    async def read_weights(self, group: ServerGroup) -> Mapping[tuple[str, int], int]:
        if not self.only_changes:
            self._answer()
        return await super().read_weights(group)

    async def read_health(self, group: ServerGroup) -> Mapping[tuple[str, int], Health]:
        self._answer()
        return await super().read_health(group)

    async def set_weights(self, group: ServerGroup, weights: Sequence[MountWeight]) -> str:
        giving = any(line.weight for line in weights)
        happens = self.before_giving if giving else self.before_cutting
        if happens is not None:
            self.before_giving, self.before_cutting = (
                (None, self.before_cutting) if giving else (self.before_giving, None)
            )
            happens()
        if self.done_meanwhile and self.clock.now() < self.back_at:
            await super().set_weights(group, weights)
        self._answer()
        return await super().set_weights(group, weights)

    def _answer(self) -> None:
        if self.clock.now() < self.back_at:
            raise self.error(problem("balancer_unknown"), brief="503 ServiceUnavailable")
