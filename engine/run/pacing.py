"""A pace for calls that are counted per minute, shared by everyone who makes them."""

from __future__ import annotations

import asyncio
from collections import deque

from engine.ports import Clock


class Pace:
    """At most `calls` in any `period_s` seconds; `wait` returns when the caller's turn has come, in order of asking."""

    def __init__(self, clock: Clock, calls: int, period_s: float = 60.0) -> None:
        self._clock = clock
        self._calls = calls
        self._period_s = period_s
        self._made: deque[float] = deque()
        self._turn = asyncio.Lock()

    async def wait(self) -> None:
        async with self._turn:
            now = self._clock.now()
            while self._made and self._made[0] <= now - self._period_s:
                self._made.popleft()
            if len(self._made) >= self._calls:
                await self._clock.sleep(self._made.popleft() + self._period_s - now)
            self._made.append(self._clock.now())
