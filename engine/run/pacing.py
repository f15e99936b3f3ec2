"""Whose turn it is to change weights: the service counts changes a minute, and a balancer takes one change at a time.

Shared by all ledgers of an engine, whatever workspace and order they work for, because the service counts an account's calls
together. Account and endpoint are the engine's, so a pace belongs to an endpoint and a region.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from engine.ports import Clock

CHANGES_A_MINUTE = 80  # the service allows 90 a minute, account and region; others change weights too
SLOW_S = 60.0  # how long a throttled answer slows the pace down
SLOWEST_GAP_S = 12.0


class Pace:
    """At most `calls` in any `period_s` seconds; `wait` returns when the caller's turn has come, in order of asking."""

    def __init__(self, clock: Clock, calls: int, period_s: float = 60.0) -> None:
        self._clock = clock
        self._calls = calls
        self._period_s = period_s
        self._made: deque[float] = deque()
        self._turn = asyncio.Lock()
        self._gap_s = 0.0
        self._slow_until = 0.0

    async def wait(self) -> None:
        async with self._turn:
            now = self._clock.now()
            while self._made and self._made[0] <= now - self._period_s:
                self._made.popleft()
            due = self._made[0] + self._period_s if len(self._made) >= self._calls else now
            if self._made and now < self._slow_until:
                due = max(due, self._made[-1] + self._gap_s)
            if due > now:
                await self._clock.sleep(due - now)
            if len(self._made) >= self._calls:
                self._made.popleft()
            self._made.append(self._clock.now())

    def throttled(self) -> None:
        """The service said too many: for a while everyone goes at half the pace, and at half of that when it says so again."""
        now = self._clock.now()
        slow = now < self._slow_until
        first = 2 * self._period_s / self._calls
        self._gap_s = min(SLOWEST_GAP_S, 2 * self._gap_s if slow else first)
        self._slow_until = now + SLOW_S

    def remember(self, made: Iterable[float]) -> None:
        """Calls that an earlier engine made, at these times: the service counts them too."""
        self._made = deque(sorted([*made, *self._made])[-self._calls :])


class Turns:
    """The paces of the services' endpoints and the locks of the balancers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._paces: dict[tuple[str, str], Pace] = {}
        self._writers: dict[tuple[str, str, str], asyncio.Lock] = {}

    def pace(self, endpoint: str, region: str) -> Pace:
        """Of the account at this endpoint (empty: the public one) in this region."""
        key = (endpoint, region)
        if key not in self._paces:
            self._paces[key] = Pace(self._clock, CHANGES_A_MINUTE)
        return self._paces[key]

    def writer(self, endpoint: str, region: str, balancer_id: str) -> asyncio.Lock:
        """Whoever holds it is the only one that changes weights of this balancer, in whatever server group."""
        return self._writers.setdefault((endpoint, region, balancer_id), asyncio.Lock())
