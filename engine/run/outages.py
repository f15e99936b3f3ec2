"""Waiting for a balancer whose API is away: with a growing pause, up to a limit, and seen by everybody meanwhile.

What an order waits for stands in its row from the second failure in a row on, until the balancer answers or is given up. A definite
no is never waited for. Changes nothing on a balancer.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from engine.domain.fleet import MountWeight, ServerGroup
from engine.domain.message import Message, message
from engine.domain.outage import Outage, answered_again
from engine.domain.problem import Problem
from engine.domain.states import Health
from engine.ports import BalancerError, BalancerRefused, Balancers, Clock
from engine.run.journal import Journal
from engine.store.outages import end_outage, note_outage

T = TypeVar("T")
OUTAGE_S = 120.0
CHECK_S = 30.0  # a check changes nothing and is asked for again, so it does not wait for as long
READS = 3
SHOWN_FROM = 2  # failures in a row: one alone is no outage
FIRST_BACKOFF_S = 1.0
LONGEST_BACKOFF_S = 10.0


class Wait:
    """One call of one order for one server group, made as often as it takes. `told` is called with what is waited for, and when
    that is over. `outage`: what an earlier call has shown and could not end."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        order_id: int,
        epoch: int,
        group: ServerGroup,
        *,
        limit_s: float,
        chance: random.Random,
        told: Callable[[Message], None] = lambda said: None,
        outage: Outage | None = None,
    ) -> None:
        self._journal, self._clock, self._told = journal, clock, told
        self._order_id, self._epoch, self._group = order_id, epoch, group
        self._limit_s, self._chance = limit_s, chance
        self._outage = outage
        self._failures = 0
        self._pause_s = 0.0

    @property
    def outage(self) -> Outage | None:
        """What is waited for, as it is shown."""
        return self._outage

    async def goes_on(self, error: BalancerError | None, *, since: float, at_least: int) -> bool:
        """Whether it is tried again after one more failure: `at_least` so often, and while the balancer has been away for less than
        the limit. `error` None: it answered, but not as it should. Raises StaleEpoch and StoreError."""
        self._failures += 1
        now, until = self._clock.now(), since + self._limit_s
        away = error is not None and not isinstance(error, BalancerRefused) and now < until
        if away and error is not None and self._failures >= SHOWN_FROM:
            await self._show(Outage(self._group, since, until, error.brief), now)
        elif error is not None and self._outage is None:
            self._told(message("{what} It is asked again.", what=error.problem.what))
        self._pause_s = self._backoff_s()
        if self._failures < at_least:
            return True
        self._pause_s = min(self._pause_s, max(0.0, until - now))
        return away

    async def pause(self) -> None:
        await self._clock.sleep(self._pause_s)

    async def over(self, *, answered: bool) -> None:
        """Nothing is waited for any more. Raises StaleEpoch and StoreError."""
        if self._outage is None:
            return
        now = self._clock.now()
        if answered:
            self._told(answered_again(self._group.balancer_id, now - self._outage.since))
        await self._journal.write(
            self._order_id,
            self._epoch,
            lambda conn: end_outage(conn, self._order_id, self._group, now, answered=answered),
        )

    def with_the_wait(self, problem: Problem) -> Problem:
        """The problem, with how long the balancer was waited for before it became one."""
        if self._outage is None:
            return problem
        what = message(
            "{what} The balancer {balancer} was waited for {seconds} s ({why}).",
            what=problem.what,
            balancer=self._group.balancer_id,
            seconds=round(self._clock.now() - self._outage.since),
            why=self._outage.why,
        )
        return Problem(problem.code, what, problem.remedy, problem.evidence)

    async def _show(self, outage: Outage, now: float) -> None:
        if outage == self._outage:
            return
        self._outage = outage
        await self._journal.write(
            self._order_id, self._epoch, lambda conn: note_outage(conn, self._order_id, outage, now)
        )
        self._told(outage.sentence)

    def _backoff_s(self) -> float:
        doubled = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(10, self._failures - 1))
        return doubled * self._chance.uniform(0.8, 1.2)


class PatientBalancers:
    """`engine.ports.Balancers` for reading on behalf of one order: an API that is away is waited for. Its errors say how long."""

    def __init__(self, inner: Balancers, wait: Callable[[ServerGroup], Wait], clock: Clock) -> None:
        self._inner, self._wait, self._clock = inner, wait, clock

    async def read_weights(self, group: ServerGroup) -> Mapping[tuple[str, int], int]:
        return await self._read(group, lambda: self._inner.read_weights(group))

    async def read_health(self, group: ServerGroup) -> Mapping[tuple[str, int], Health]:
        return await self._read(group, lambda: self._inner.read_health(group))

    async def set_weights(self, group: ServerGroup, weights: Sequence[MountWeight]) -> str:
        """As it is: whoever sets weights is the ledger, which waits itself."""
        return await self._inner.set_weights(group, weights)

    async def _read(self, group: ServerGroup, read: Callable[[], Awaitable[T]]) -> T:
        wait, since = self._wait(group), None
        while True:
            try:
                found = await read()
            except BalancerError as error:
                since = self._clock.now() if since is None else since
                if isinstance(error, BalancerRefused) or not await wait.goes_on(error, since=since, at_least=READS):
                    await wait.over(answered=isinstance(error, BalancerRefused))
                    raise _waited(error, wait) from error
            else:
                await wait.over(answered=True)
                return found
            await wait.pause()


def _waited(error: BalancerError, wait: Wait) -> BalancerError:
    problem = wait.with_the_wait(error.problem)
    return type(error)(problem, api_code=error.api_code, request_id=error.request_id, brief=error.brief)
