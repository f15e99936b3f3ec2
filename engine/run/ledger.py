"""The weight ledger: no weight is changed without a row before the call and a reading back after it.

Whoever asks it for a weight learns which of three things is true: verified yes, no, or cannot tell. The calls are made by
`engine.run.weight_writer`; what an engine that is gone left without an outcome is completed here.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence

from engine.domain.fleet import Mount, MountWeight, Region, ServerGroup
from engine.domain.problem import ProblemError
from engine.domain.progress import WeightLine
from engine.domain.states import Health, Verified
from engine.plan.outside import Seen, Wish
from engine.ports import BalancerError, BalancerRefused, Balancers, Clock
from engine.run.journal import Journal
from engine.run.outages import CHECK_S, OUTAGE_S, PatientBalancers
from engine.run.pacing import Turns
from engine.run.weight_asks import Ask, Told, key_of
from engine.run.weight_writer import WeightWriter
from engine.store.store import Transaction
from engine.store.weight_calls import MoveResult, complete_lost_calls, lost_groups
from engine.store.weights import load_weights, write_health

log = logging.getLogger(__name__)
HEALTH_PAUSE_S = 1.0
SETTLE_PAUSE_S = 3.0


class Ledger:
    """The weights of one workspace's balancers, on behalf of all its orders. `turns` are shared with the engine's other ledgers."""

    def __init__(
        self,
        journal: Journal,
        balancers: Balancers,
        clock: Clock,
        *,
        turns: Turns | None = None,
        regions: Sequence[Region] = (),
        outage_s: float = OUTAGE_S,
        seed: int = 0,
    ) -> None:
        """`outage_s`: how long a balancer whose API is away is waited for."""
        self._journal = journal
        self._balancers = balancers
        self._clock = clock
        self._outage_s = outage_s
        self._writer = WeightWriter(
            journal, balancers, clock,
            turns=turns or Turns(clock), regions=regions, outage_s=outage_s, chance=random.Random(seed),
        )  # fmt: skip
        self._settling: set[asyncio.Task[None]] = set()

    @property
    def quiet(self) -> bool:
        """Nothing is under way."""
        return not (self._writer.tasks or self._settling)

    async def move(
        self,
        order_id: int,
        epoch: int,
        weights: Sequence[MountWeight],
        *,
        owned: bool,
        by_hand: bool = False,
        floors: Mapping[str, int] | None = None,
        told: Told = lambda _said: None,
        leave: asyncio.Event | None = None,
    ) -> tuple[MoveResult, ...]:
        """Bring the weights to what is asked and say for each whether the balancer shows it. `owned`: the order keeps the
        weight in its hands (a cut, a gray step); False gives it back. `by_hand`: a person chose the weights. `floors`: by server
        group, the hosts of the order that must stay in service. `told` is called with what is being waited for. When `leave` is
        set, what is under way comes to its end and nothing is asked for any more: its results
        say `withdrawn`. Raises StaleEpoch and StoreError, never BalancerError."""
        wishes = [
            Wish(line.mount, line.weight, owned, by_hand, (floors or {}).get(str(line.mount.server_group), 0))
            for line in weights
        ]
        asks = [self._writer.ask(order_id, epoch, wish, told) for wish in wishes]
        try:
            if asks:
                await self._answered(asks, leave)
        finally:
            for ask in asks:
                ask.future.cancel()
            self._writer.withdraw_calls(lambda call: all(ask.future.done() for ask in call.asks))
        return tuple(ask.future.result() for ask in asks)

    async def _answered(self, asks: Sequence[Ask], leave: asyncio.Event | None) -> None:
        """Until all of them are: what one of them raises must not leave the others asked for by nobody."""
        everything = asyncio.ensure_future(asyncio.wait([ask.future for ask in asks]))
        if leave is None:
            await everything
            return
        leaving = asyncio.ensure_future(leave.wait())
        try:
            await asyncio.wait([everything, leaving], return_when=asyncio.FIRST_COMPLETED)
            if not everything.done():
                self._writer.take_back(lambda ask: ask in asks)
                self._writer.withdraw_calls(lambda call: any(ask in asks for ask in call.asks))
            await everything
        finally:
            leaving.cancel()
            everything.cancel()

    def patient(self, order_id: int, epoch: int) -> Balancers:
        """The balancers for looking only, on behalf of an order that has nothing at stake yet: waited for, not for as long."""
        limit_s = min(CHECK_S, self._outage_s)
        return PatientBalancers(
            self._balancers, lambda group: self._writer.wait_for(order_id, epoch, group, limit_s=limit_s), self._clock
        )

    async def health(self, group: ServerGroup) -> Mapping[tuple[str, int], Health] | None:
        """What the balancer's own health check says now; empty when we may not ask. None while its API is away: then what it said
        last still counts."""
        try:
            return await self._writer.read_health(group)
        except BalancerError:
            return None

    async def until_healthy(
        self, order_id: int, epoch: int, mounts: Sequence[Mount], *, within_s: float, enough: Callable[[], bool]
    ) -> tuple[Mount, ...]:
        """Wait until no balancer says of these mounts that nothing answers there: its check needs some good answers in a row
        after a release. Returns those of which it still says so after `within_s`, or when it is `enough`. Raises StaleEpoch and
        StoreError. A balancer that does not answer has not said so either: it is asked again for as long as an outage may last."""
        began = self._clock.now()
        groups = list(dict.fromkeys(mount.server_group for mount in mounts))
        while True:
            silent: list[Mount] = []
            away = False
            for group in groups:
                found, now = await self.health(group), self._clock.now()
                if found is None:
                    away = True
                    continue
                await self._journal.write(order_id, epoch, _health_of(order_id, group, found, now))
                its = [mount for mount in mounts if mount.server_group == group]
                silent += [mount for mount in its if found.get(key_of(mount)) is Health.UNHEALTHY]
            limit_s = max(within_s, self._outage_s) if away else within_s
            if not (silent or away) or self._clock.now() - began >= limit_s or enough():
                return tuple(silent)
            await self._clock.sleep(HEALTH_PAUSE_S)

    async def look_at_health(self, order_id: int, epoch: int, groups: Sequence[ServerGroup]) -> bool:
        """Write down what the balancers' health checks say of the order's hosts now. True when something is another than before.
        Raises StaleEpoch and StoreError."""
        changed = False
        for group in groups:
            found, now = await self.health(group), self._clock.now()
            if found is not None:
                changed |= await self._journal.write(order_id, epoch, _health_of(order_id, group, found, now))
        return changed

    async def holds(self, order_id: int, epoch: int, weights: Sequence[MountWeight]) -> Verified:
        """Whether the balancers show these weights, and the order has nothing else on its way. Raises StaleEpoch and StoreError."""
        for group in dict.fromkeys(line.mount.server_group for line in weights):
            try:
                seen = await self.patient(order_id, epoch).read_weights(group)
            except BalancerError:
                return Verified.CANNOT_TELL
            lines = await self._journal.write(order_id, epoch, _lines_of(order_id, group))
            settled = {line.mount: line.believed for line in lines if not line.in_doubt}
            its = [line for line in weights if line.mount.server_group == group]
            if any(not (seen.get(key_of(w.mount)) == settled.get(w.mount) == w.weight) for w in its):
                return Verified.NO
        return Verified.YES

    def withdraw(self, order_id: int, *, if_away: bool = False) -> None:
        """Weights that persons have asked for, for that order, are not asked for again: what has not been begun never is, and a
        call under way comes to its end. Whoever waits for them learns what became of each. `if_away`: only those that wait for a
        balancer whose API is away."""
        away = self._writer.away()

        def meant(ask: Ask) -> bool:
            ours = ask.order_id == order_id and ask.wish.by_hand
            return ours and (not if_away or ask.wish.mount.server_group in away)

        self._writer.take_back(meant)
        self._writer.withdraw_calls(lambda call: all(map(meant, call.asks)))

    def settle(self, order_id: int, epoch: int) -> None:
        """Soon complete the rows that an earlier engine of the order wrote before a call and never after it."""
        task = asyncio.create_task(self._settle(order_id, epoch), name=f"ledger settles order {order_id}")
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def close(self) -> None:
        tasks = [*self._writer.tasks, *self._settling]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _settle(self, order_id: int, epoch: int) -> None:
        """What can't be read within the time of an outage is left as it is: the next call of the order completes it as well."""
        until = self._clock.now() + self._outage_s
        try:
            groups: frozenset[ServerGroup] = await self._journal.write(
                order_id, epoch, lambda conn: lost_groups(conn, order_id)
            )
            for group in sorted(groups, key=str):
                while not await self._complete(order_id, epoch, group, last=self._clock.now() >= until):
                    await self._clock.sleep(SETTLE_PAUSE_S)
        except ProblemError as error:
            log.warning("order %s: weights in doubt stay so for now: %s", order_id, error)

    async def _complete(self, order_id: int, epoch: int, group: ServerGroup, *, last: bool) -> bool:
        async with self._writer.writing(group):
            try:
                seen, now = await self._balancers.read_weights(group), self._clock.now()
            except BalancerError as error:
                if last or isinstance(error, BalancerRefused):
                    raise
                return False
            await self._journal.write(order_id, epoch, _completing(order_id, group, seen, now))
        return True


def _completing(order_id: int, group: ServerGroup, seen: Seen, now: float) -> Callable[[Transaction], None]:
    return lambda conn: complete_lost_calls(conn, order_id, group, seen, now)


def _lines_of(order_id: int, group: ServerGroup) -> Callable[[Transaction], tuple[WeightLine, ...]]:
    return lambda conn: load_weights(conn, order_id, group)


def _health_of(
    order_id: int, group: ServerGroup, found: Mapping[tuple[str, int], Health], now: float
) -> Callable[[Transaction], bool]:
    return lambda conn: write_health(conn, order_id, group, found, now)
