"""The calls that change weights: what is asked for becomes calls of up to 20 servers, each from row to read-back.

Changes of many hosts of one server group that are asked for at about the same time are one call; one writer a balancer, calls paced
for all orders and workspaces together. Before a call the group is read, so that what somebody else changed is noticed and not
overwritten in silence (`engine.plan.outside` has the rule). Busy and throttled answers back off; an unknown outcome is read back,
never assumed; an answer that lied is found by reading back; a balancer whose API is away is waited for (`engine.run.outages`),
until whoever asked turns away. Every retry has a bound.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from engine.domain.fleet import Region, ServerGroup
from engine.domain.message import Message
from engine.domain.outage import Outage
from engine.domain.states import Health
from engine.plan.outside import Seen, Wish
from engine.ports import BalancerBusy, BalancerError, BalancerRefused, Balancers, BalancerThrottled, Clock
from engine.run.journal import Journal
from engine.run.outages import READS, Wait
from engine.run.pacing import Pace, Turns
from engine.run.weight_asks import (
    SERVERS_A_CALL,
    Ask,
    Call,
    Told,
    all_there,
    next_batch,
    results_of,
    somebody_else,
    withdrawn,
)
from engine.store.store import Transaction
from engine.store.weight_calls import MoveResult, close_call, open_call

log = logging.getLogger(__name__)
GATHER_S = 0.04
GATHER_LIMIT = 5
TRIES = 8
READ_BACKS = 4
FRESH_S = 1.0  # so long an order that was seen to be ours is taken to be ours, far less than a lease
CHECKS = 3  # with a store so slow that every answer is older than that, the last one counts


class WeightWriter:
    """Of one workspace's balancers, on behalf of all its orders."""

    def __init__(
        self,
        journal: Journal,
        balancers: Balancers,
        clock: Clock,
        *,
        turns: Turns,
        regions: Sequence[Region],
        outage_s: float,
        chance: random.Random,
    ) -> None:
        self._journal = journal
        self._balancers = balancers
        self._clock = clock
        self._turns = turns
        self._endpoints = {region.name: region.slb_endpoint for region in regions}
        self._outage_s = outage_s
        self._chance = chance
        self._away: dict[ServerGroup, float] = {}  # since when their balancer has not answered
        # by calls that broke off: it still stands in their order
        self._shown: dict[tuple[int, ServerGroup], Outage] = {}
        self._asks: dict[ServerGroup, list[Ask]] = defaultdict(list)
        self._writers: dict[ServerGroup, asyncio.Task[None]] = {}
        self._calls: set[Call] = set()

    @property
    def tasks(self) -> tuple[asyncio.Task[None], ...]:
        return tuple(self._writers.values())

    def away(self) -> frozenset[ServerGroup]:
        """Groups of which a call waits for a balancer whose API is away."""
        return frozenset(call.group for call in self._calls if call.wait.outage is not None)

    def ask(self, order_id: int, epoch: int, wish: Wish, told: Told = lambda _said: None) -> Ask:
        loop = asyncio.get_running_loop()
        ask = Ask(order_id, epoch, wish, loop.create_future(), told, self._clock.now())
        group = wish.mount.server_group
        self._asks[group].append(ask)
        for call in self._calls:
            if call.group == group and call.wait.outage is not None:
                ask.told(call.wait.outage.sentence)  # it waits behind that call
        if group not in self._writers:
            self._writers[group] = loop.create_task(self._write_group(group), name=f"ledger {group}")
        return ask

    def take_back(self, meant: Callable[[Ask], bool]) -> None:
        """What has not been begun never is; who waits for it learns so."""
        for asks in self._asks.values():
            for ask in [ask for ask in asks if meant(ask)]:
                asks.remove(ask)
                if not ask.future.done():
                    ask.future.set_result(withdrawn(ask.wish))

    def withdraw_calls(self, meant: Callable[[Call], bool]) -> None:
        """Calls under way come to their end and are not made again."""
        for call in self._calls:
            if meant(call):
                call.withdrawn.set()

    def wait_for(
        self,
        order_id: int,
        epoch: int,
        group: ServerGroup,
        *,
        limit_s: float,
        told: Told = lambda _said: None,
        outage: Outage | None = None,
    ) -> Wait:
        """How an order waits for the group's balancer, for at most `limit_s`."""
        common = self._journal, self._clock, order_id, epoch, group
        return Wait(*common, limit_s=limit_s, chance=self._chance, told=told, outage=outage)

    async def read_health(self, group: ServerGroup) -> Mapping[tuple[str, int], Health]:
        """What the balancer's own health check says now; empty when we may not ask. Raises BalancerError."""
        try:
            return await self._balancers.read_health(group)
        except BalancerRefused:
            return {}

    def writing(self, group: ServerGroup) -> asyncio.Lock:
        """Held by whoever writes at that balancer."""
        return self._turns.writer(self._endpoints.get(group.region, ""), group.region, group.balancer_id)

    async def _write_group(self, group: ServerGroup) -> None:
        try:
            while self._asks[group]:
                await self._gather(group)
                await self._change(group)
        finally:
            del self._writers[group]
            for ask in self._asks.pop(group, []):
                ask.future.cancel()

    async def _gather(self, group: ServerGroup) -> None:
        """Hosts of a group ask within moments of each other: wait while more are coming, but not for long."""
        waiting = 0
        for _ in range(GATHER_LIMIT):
            if len(self._asks[group]) in (waiting, SERVERS_A_CALL):
                return
            waiting = len(self._asks[group])
            await self._clock.sleep(GATHER_S)

    async def _change(self, group: ServerGroup) -> None:
        """One batch from row to read-back. Whatever goes wrong here reaches those who asked, and only them."""
        asks: list[Ask] = []
        call: Call | None = None
        try:
            async with self.writing(group):
                asks = next_batch(self._asks[group])
                if not asks:
                    return  # withdrawn meanwhile
                call = self._begin(asks)
                done = await self._try(group, call)
            while not done and not call.withdrawn.is_set() and await self._goes_on(call):
                await self._pause(call)
                async with self.writing(group):
                    done = call.withdrawn.is_set() or await self._try(group, call)
            results = await self._close(call)
        except asyncio.CancelledError:
            for ask in asks:
                ask.future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - the writer's boundary: StaleEpoch, StoreError and bugs alike go to who asked
            if call is not None and call.wait.outage is not None:
                self._shown[call.order_id, group] = call.wait.outage
            for ask in asks:
                if not ask.future.done():
                    ask.future.set_exception(error)
            return
        finally:
            if call is not None:
                self._calls.discard(call)
        for ask, result in zip(asks, results, strict=True):
            if not ask.future.done():
                ask.future.set_result(result)

    def _begin(self, asks: list[Ask]) -> Call:
        order_id, epoch, group = asks[0].order_id, asks[0].epoch, asks[0].wish.mount.server_group
        wait = self.wait_for(
            order_id,
            epoch,
            group,
            limit_s=self._outage_s,
            told=lambda said: self._tell(call, said),
            outage=self._shown.pop((order_id, group), None),
        )
        call = Call(asks, wait)
        self._calls.add(call)
        return call

    def _tell(self, call: Call, said: Message) -> None:
        """Whoever waits for the call, or behind it, learns why nothing has happened yet."""
        for ask in [*call.asks, *self._asks[call.group]]:
            ask.tell(said)

    async def _goes_on(self, call: Call) -> bool:
        """What failed is tried a few times anyway, and a balancer whose API is away is waited for: since it went away, or since it
        was asked for if that was later."""
        failure = call.failure
        if failure is None or isinstance(failure, BalancerRefused):
            self._away.pop(call.group, None)
            since = self._clock.now()
            call.tell_why_again()
        else:
            first = self._away.setdefault(call.group, self._clock.now())
            since = max(first, min(ask.at for ask in call.asks))
        at_least = TRIES if call.opened_yet else READS
        return await call.wait.goes_on(failure, since=since, at_least=at_least)

    async def _pause(self, call: Call) -> None:
        """Before it is tried again, and no longer than somebody wants it."""
        waiting = [asyncio.ensure_future(call.wait.pause()), asyncio.ensure_future(call.withdrawn.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    async def _try(self, group: ServerGroup, call: Call) -> bool:
        """True when there is nothing more to be done, or it is no use to do it."""
        if not call.opened_yet or call.cuts:
            if not await self._open(group, call):
                return isinstance(call.error, BalancerRefused)
            if not call.wanted:
                return True
        return await self._attempt(group, call)

    async def _open(self, group: ServerGroup, call: Call) -> bool:
        """Wait for the turn, read what is there, decide and write the intent. False when the group can't be read: nobody is
        cut on what was so before. A cut that is tried again is decided on again: others may have died meanwhile."""
        await self._pace(group).wait()
        try:
            call.before = await self._balancers.read_weights(group)
            health = await self.read_health(group) if call.cuts else None
        except BalancerError as error:
            call.error, call.after = error, None
            return False
        call.error, call.after = None, call.before
        busy = frozenset(ask.wish.mount for ask in [*call.asks, *self._asks[group]])
        now, call.ours_at = self._clock.now(), self._moment()
        call.opened = await self._journal.write(
            call.order_id,
            call.epoch,
            lambda conn: open_call(
                conn, call.order_id, call.epoch, group, call.wishes, call.before, busy, now, health=health
            ),
        )
        for mount in call.opened.cut_again:
            if any(ask.wish.mount == mount for ask in self._asks[group]):
                continue  # asked for meanwhile: a cut behind it would undo it
            ask = self.ask(call.order_id, call.epoch, Wish(mount, 0, owned=True))
            ask.future.add_done_callback(_nobody_waits)
        return True

    async def _attempt(self, group: ServerGroup, call: Call) -> bool:
        """Ask and read back. True when it is no use to ask once more."""
        if call.sets and not call.cuts:
            await self._pace(group).wait()
            call.ours_at = None
            if call.after is None and await self._settled_meanwhile(group, call):
                return call.after is not None
        await self._make_sure(call)
        call.sets += 1
        call.error = await self._set(group, call)
        if isinstance(call.error, BalancerRefused):
            call.after = await self._look(group, call)
            return True
        if isinstance(call.error, BalancerBusy | BalancerThrottled):
            return False
        call.after = await self._read_back(group, call)
        if call.after is None:
            return False
        return all_there(call.wanted, call.after) or somebody_else(call)

    async def _settled_meanwhile(self, group: ServerGroup, call: Call) -> bool:
        """Nobody knows what became of the call before: what is there now is looked at before it is made again. True when it need
        not be, or can't be looked at."""
        call.after = await self._look(group, call)
        return call.after is None or all_there(call.wanted, call.after) or somebody_else(call)

    async def _make_sure(self, call: Call) -> None:
        """That the order is ours, a moment before the balancer is asked: an engine that was frozen since it was told so must not
        make a call that its successor knows nothing of. Raises StaleEpoch."""
        for _ in range(CHECKS):
            if call.ours_at is not None and self._passed_since(call.ours_at) <= FRESH_S:
                return
            call.ours_at = self._moment()
            await self._journal.write(call.order_id, call.epoch, _still_ours)

    def _moment(self) -> tuple[float, float]:
        """The loop's clock stands still while a machine sleeps, the wall's may be set: whichever says more counts."""
        return asyncio.get_running_loop().time(), self._clock.now()

    def _passed_since(self, moment: tuple[float, float]) -> float:
        return max(now - then for now, then in zip(self._moment(), moment, strict=True))

    async def _set(self, group: ServerGroup, call: Call) -> BalancerError | None:
        try:
            call.request_id = await self._balancers.set_weights(group, call.wanted)
        except BalancerThrottled as error:
            self._pace(group).throttled()
            call.request_id = error.request_id or call.request_id
            return error
        except BalancerError as error:
            call.request_id = error.request_id or call.request_id
            return error
        return None

    async def _close(self, call: Call) -> tuple[MoveResult, ...]:
        answered = call.failure is None or isinstance(call.failure, BalancerRefused)
        if answered:
            self._away.pop(call.group, None)
        await call.wait.over(answered=answered)
        results = results_of(call)
        if not call.opened_yet:
            return results
        now, api_code = self._clock.now(), call.error.api_code if call.error else ""
        await self._journal.write(
            call.order_id,
            call.epoch,
            lambda conn: close_call(
                conn,
                call.order_id,
                call.wishes,
                call.opened,
                results,
                call.before,
                request_id=call.request_id,
                api_code=api_code,
                now=now,
            ),
        )
        return results

    async def _read_back(self, group: ServerGroup, call: Call) -> Seen | None:
        """The configuration goes out after the answer, so a weight that is not there yet is looked at again."""
        seen: Seen | None = None
        for attempt in range(READ_BACKS):
            if attempt:
                await self._clock.sleep(0.2 * 2**attempt)
            read = await self._look(group, call)
            seen = read if read is not None else seen
            if read is not None and all_there(call.wanted, read):
                return read
            if read is None and call.withdrawn.is_set():
                break
        return seen

    async def _look(self, group: ServerGroup, call: Call) -> Seen | None:
        """The group's weights now; None when they can't be read, and why is in the call."""
        try:
            seen = await self._balancers.read_weights(group)
        except BalancerError as error:
            call.unread = error
            return None
        call.unread = None
        return seen

    def _pace(self, group: ServerGroup) -> Pace:
        return self._turns.pace(self._endpoints.get(group.region, ""), group.region)


def _still_ours(conn: Transaction) -> None:
    """Writes nothing: the journal checks the order's epoch, so an engine that was frozen meanwhile makes no further call."""


def _nobody_waits(future: asyncio.Future[MoveResult]) -> None:
    """The ledger's own ask: its outcome is in its rows; an error has no other listener."""
    if not future.cancelled() and future.exception() is not None:
        log.warning("cutting once more failed: %s", future.exception())
