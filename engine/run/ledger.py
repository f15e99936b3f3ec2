"""The weight ledger: no weight is changed without a row before the call and a reading back after it.

Changes of many hosts of one server group that are asked for at about the same time become calls of up to 20 servers; one writer
a balancer, calls paced for all orders and workspaces together. Before a call the group is read, so that what somebody else changed
is noticed and not overwritten in silence (`engine.plan.outside` has the rule). Busy and throttled answers back off; an unknown
outcome is read back, never assumed; an answer that lied is found by reading back. Every retry has a bound, and whoever asked
learns which of three things is true: verified yes, no, or cannot tell.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from engine.domain.fleet import Mount, MountWeight, Region, ServerGroup
from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError
from engine.domain.progress import WeightLine
from engine.domain.states import Health, Verified
from engine.plan.outside import Seen, Verdict, Wish, mount_missing
from engine.ports import (
    BalancerBusy,
    BalancerError,
    BalancerRefused,
    Balancers,
    BalancerThrottled,
    BalancerUnknown,
    Clock,
)
from engine.run.journal import Journal
from engine.run.pacing import Pace, Turns
from engine.store.weight_calls import MoveResult, Opened, close_call, complete_lost_calls, lost_groups, open_call
from engine.store.weights import load_weights, write_health

log = logging.getLogger(__name__)
SERVERS_A_CALL = 20
GATHER_S = 0.04
GATHER_LIMIT = 5
TRIES = 8
READS = 3
READ_BACKS = 4
HEALTH_PAUSE_S = 1.0
FIRST_BACKOFF_S = 1.0
LONGEST_BACKOFF_S = 10.0
FRESH_S = 1.0  # so long an order that was seen to be ours is taken to be ours, far less than a lease
CHECKS = 3  # with a store so slow that every answer is older than that, the last one counts

Told = Callable[[Problem], None]


@dataclass(slots=True, eq=False)
class _Ask:
    order_id: int
    epoch: int
    wish: Wish
    future: asyncio.Future[MoveResult]
    told: Told


@dataclass(slots=True, eq=False)
class _Call:
    """One call in the making: its asks, all of one order; what was there before, what was decided, what came back."""

    asks: list[_Ask]
    before: Seen = field(default_factory=dict)
    opened: Opened = field(default_factory=lambda: Opened((), ()))
    after: Seen | None = None
    request_id: str = ""
    error: BalancerError | None = None
    ours_at: tuple[float, float] | None = None  # when the order was last seen to be ours, by two clocks
    withdrawn: bool = False  # nobody wants it any more: it is not asked for again

    @property
    def order_id(self) -> int:
        return self.asks[0].order_id

    @property
    def epoch(self) -> int:
        return self.asks[0].epoch

    @property
    def wishes(self) -> list[Wish]:
        return [ask.wish for ask in self.asks]

    @property
    def wanted(self) -> list[MountWeight]:
        """What the balancer is asked for; empty when everything is as it should be, or may not be changed."""
        pairs = zip(self.wishes, self.opened.verdicts, strict=True)
        return [MountWeight(wish.mount, verdict.weight) for wish, verdict in pairs if verdict.call]


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
        seed: int = 0,
    ) -> None:
        self._journal = journal
        self._balancers = balancers
        self._clock = clock
        self._turns = turns or Turns(clock)
        self._endpoints = {region.name: region.slb_endpoint for region in regions}
        self._chance = random.Random(seed)
        self._asks: dict[ServerGroup, list[_Ask]] = defaultdict(list)
        self._writers: dict[ServerGroup, asyncio.Task[None]] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._calls: set[_Call] = set()

    async def move(
        self,
        order_id: int,
        epoch: int,
        weights: Sequence[MountWeight],
        *,
        owned: bool,
        by_hand: bool = False,
        stays_out: bool = False,
        floors: Mapping[str, int] | None = None,
        told: Told = lambda _problem: None,
    ) -> tuple[MoveResult, ...]:
        """Bring the weights to what is asked and say for each whether the balancer shows it. `owned`: the order keeps the
        weight in its hands (a cut, a gray step); False gives it back. `by_hand`: a person chose the weights. `stays_out`: 0 is
        wanted from here on. `floors`: by server group, the hosts of the order that must stay in service. `told` is called with
        the reason each time a weight is asked for again. Raises StaleEpoch and StoreError, never BalancerError."""
        wishes = [
            Wish(
                line.mount, line.weight, owned, by_hand, (floors or {}).get(str(line.mount.server_group), 0), stays_out
            )
            for line in weights
        ]
        futures = [self._ask(order_id, epoch, wish, told).future for wish in wishes]
        try:
            if futures:
                await asyncio.wait(
                    futures
                )  # for all: what one of them raises must not leave the others asked for by nobody
        finally:
            for future in futures:
                future.cancel()
        return tuple(future.result() for future in futures)

    async def health(self, group: ServerGroup) -> Mapping[tuple[str, int], Health] | None:
        """What the balancer's own health check says now; empty when we may not ask. None while its API is away: then what it said
        last still counts."""
        try:
            return await self._balancers.read_health(group)
        except BalancerRefused:
            return {}
        except BalancerError:
            return None

    async def until_healthy(
        self, order_id: int, epoch: int, mounts: Sequence[Mount], *, within_s: float, enough: Callable[[], bool]
    ) -> tuple[Mount, ...]:
        """Wait until no balancer says of these mounts that nothing answers there: its check needs some good answers in a row
        after a release. Returns those of which it still says so after `within_s`, or when it is `enough`. Raises StaleEpoch and
        StoreError."""
        until = self._clock.now() + within_s
        groups = list(dict.fromkeys(mount.server_group for mount in mounts))
        while True:
            silent: list[Mount] = []
            for group in groups:
                found, now = await self.health(group), self._clock.now()
                if found is not None:
                    await self._journal.write(order_id, epoch, _health_of(order_id, group, found, now))
                    its = [mount for mount in mounts if mount.server_group == group]
                    silent += [mount for mount in its if found.get(_key(mount)) is Health.UNHEALTHY]
            if not silent or self._clock.now() >= until or enough():
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

    async def holds(self, order_id: int, epoch: int, weights: Sequence[MountWeight]) -> bool:
        """Whether the balancers show these weights, and the order has nothing else on its way. Raises StaleEpoch and StoreError."""
        for group in dict.fromkeys(line.mount.server_group for line in weights):
            seen = await self._read_if_possible(group)
            lines = await self._journal.write(order_id, epoch, _lines_of(order_id, group))
            settled = {line.mount: line.believed for line in lines if not line.in_doubt}
            its = [line for line in weights if line.mount.server_group == group]
            if seen is None or any(not (seen.get(_key(w.mount)) == settled.get(w.mount) == w.weight) for w in its):
                return False
        return True

    def withdraw(self, order_id: int) -> None:
        """Weights that persons have asked for, for that order, are not asked for again: what has not been begun never is, and a
        call under way comes to its end. Whoever waits for them learns what became of each."""
        for asks in self._asks.values():
            for ask in [ask for ask in asks if ask.order_id == order_id and ask.wish.by_hand]:
                asks.remove(ask)
                if not ask.future.done():
                    ask.future.set_result(_withdrawn(ask.wish))
        for call in self._calls:
            if call.order_id == order_id and all(wish.by_hand for wish in call.wishes):
                call.withdrawn = True

    def settle(self, order_id: int, epoch: int) -> None:
        """Soon complete the rows that an earlier engine of the order wrote before a call and never after it."""
        task = asyncio.create_task(self._settle(order_id, epoch), name=f"ledger settles order {order_id}")
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def close(self) -> None:
        tasks = [*self._writers.values(), *self._settling]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ask(self, order_id: int, epoch: int, wish: Wish, told: Told = lambda _problem: None) -> _Ask:
        loop = asyncio.get_running_loop()
        ask = _Ask(order_id, epoch, wish, loop.create_future(), told)
        group = wish.mount.server_group
        self._asks[group].append(ask)
        if group not in self._writers:
            self._writers[group] = loop.create_task(self._write_group(group), name=f"ledger {group}")
        return ask

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
        asks: list[_Ask] = []
        call: _Call | None = None
        try:
            async with self._writer(group):
                asks = _next_batch(self._asks[group])
                if not asks:
                    return  # withdrawn meanwhile
                call = _Call(asks)
                self._calls.add(call)
                done = await self._open(group, call) or await self._attempt(group, call)
            for number in range(1, TRIES):
                if done or call.withdrawn:
                    break
                _tell(call)
                await self._clock.sleep(self._backoff_s(number))
                if call.withdrawn:
                    break
                async with self._writer(group):
                    done = await self._attempt(group, call, again=number)
            results = await self._close(call)
        except asyncio.CancelledError:
            for ask in asks:
                ask.future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - the writer's boundary: StaleEpoch, StoreError and bugs alike go to who asked
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

    async def _open(self, group: ServerGroup, call: _Call) -> bool:
        """Wait for the turn, read what is there, decide and write the intent. True when there is nothing to call for."""
        await self._pace(group).wait()
        try:
            call.before = await self._read(group)
        except BalancerError as error:
            call.error = error
            return True
        call.after = call.before
        cuts = any(wish.weight == 0 and wish.floor > 0 for wish in call.wishes)
        health = await self.health(group) if cuts else None
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
            ask = self._ask(call.order_id, call.epoch, Wish(mount, 0, owned=True))
            ask.future.add_done_callback(_nobody_waits)
        return not call.wanted

    async def _attempt(self, group: ServerGroup, call: _Call, again: int = 0) -> bool:
        """Ask and read back. True when it is no use to ask once more."""
        if again:
            await self._pace(group).wait()
            call.ours_at = None
        await self._make_sure(call)
        call.error = await self._set(group, call)
        if isinstance(call.error, BalancerRefused):
            call.after = await self._read_if_possible(group)
            return True
        if isinstance(call.error, BalancerBusy | BalancerThrottled):
            return False
        call.after = await self._read_back(group, call.wanted)
        if call.after is None:
            return False
        return _all_there(call.wanted, call.after) or _somebody_else(call, again)

    async def _make_sure(self, call: _Call) -> None:
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

    async def _set(self, group: ServerGroup, call: _Call) -> BalancerError | None:
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

    async def _close(self, call: _Call) -> tuple[MoveResult, ...]:
        if not call.opened.verdicts:  # the group could not be read: nothing was decided, written or asked
            assert call.error is not None, "a call that was not opened has an error"
            return tuple(_unread(ask.wish, call.error) for ask in call.asks)
        results = tuple(
            _result(wish, verdict, call) for wish, verdict in zip(call.wishes, call.opened.verdicts, strict=True)
        )
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

    async def _settle(self, order_id: int, epoch: int) -> None:
        """What can't be read now is left as it is: the next call of the order completes it as well."""
        try:
            groups: frozenset[ServerGroup] = await self._journal.write(
                order_id, epoch, lambda conn: lost_groups(conn, order_id)
            )
            for group in sorted(groups, key=str):
                async with self._writer(group):
                    seen, now = await self._read(group), self._clock.now()
                    await self._journal.write(order_id, epoch, _completing(order_id, group, seen, now))
        except ProblemError as error:
            log.warning("order %s: weights in doubt stay so for now: %s", order_id, error)

    async def _read_back(self, group: ServerGroup, wanted: Sequence[MountWeight]) -> Seen | None:
        """The configuration goes out after the answer, so a weight that is not there yet is looked at again."""
        seen: Seen | None = None
        for attempt in range(READ_BACKS):
            if attempt:
                await self._clock.sleep(0.2 * 2**attempt)
            read = await self._read_if_possible(group)
            seen = read if read is not None else seen
            if read is not None and _all_there(wanted, read):
                return read
        return seen

    async def _read_if_possible(self, group: ServerGroup) -> Seen | None:
        try:
            return await self._read(group)
        except BalancerError:
            return None  # cannot tell: the result of the call says so

    async def _read(self, group: ServerGroup) -> Seen:
        """The group's weights now. Raises BalancerError when they can't be read, after a few tries."""
        for attempt in range(1, READS):
            try:
                return await self._balancers.read_weights(group)
            except (BalancerBusy, BalancerThrottled, BalancerUnknown):
                await self._clock.sleep(self._backoff_s(attempt))
        return await self._balancers.read_weights(group)

    def _pace(self, group: ServerGroup) -> Pace:
        return self._turns.pace(self._endpoints.get(group.region, ""), group.region)

    def _writer(self, group: ServerGroup) -> asyncio.Lock:
        return self._turns.writer(self._endpoints.get(group.region, ""), group.region, group.balancer_id)

    def _backoff_s(self, attempt: int) -> float:
        doubled = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** (attempt - 1))
        return doubled * self._chance.uniform(0.8, 1.2)


def _next_batch(waiting: list[_Ask]) -> list[_Ask]:
    """Take up to 20 asks of one order off the list, at most one a mount, in order: two asks for one mount are two calls."""
    taken: list[_Ask] = []
    mounts: set[Mount] = set()
    for ask in list(waiting):
        if len(taken) == SERVERS_A_CALL:
            break
        if ask.order_id == waiting[0].order_id and ask.wish.mount not in mounts:
            mounts.add(ask.wish.mount)
            taken.append(ask)
    for ask in taken:
        waiting.remove(ask)
    return taken


def _still_ours(conn: sa.Connection) -> None:
    """Writes nothing: the journal checks the order's epoch, so an engine that was frozen meanwhile makes no further call."""


def _completing(order_id: int, group: ServerGroup, seen: Seen, now: float) -> Callable[[sa.Connection], None]:
    return lambda conn: complete_lost_calls(conn, order_id, group, seen, now)


def _lines_of(order_id: int, group: ServerGroup) -> Callable[[sa.Connection], tuple[WeightLine, ...]]:
    return lambda conn: load_weights(conn, order_id, group)


def _health_of(
    order_id: int, group: ServerGroup, found: Mapping[tuple[str, int], Health], now: float
) -> Callable[[sa.Connection], bool]:
    return lambda conn: write_health(conn, order_id, group, found, now)


def _nobody_waits(future: asyncio.Future[MoveResult]) -> None:
    """The ledger's own ask: its outcome is in its rows; an error has no other listener."""
    if not future.cancelled() and future.exception() is not None:
        log.warning("cutting once more failed: %s", future.exception())


def _key(mount: Mount) -> tuple[str, int]:
    return mount.server_id, mount.port


def _all_there(wanted: Sequence[MountWeight], weights: Seen) -> bool:
    return all(weights.get(_key(line.mount)) == line.weight for line in wanted)


def _somebody_else(call: _Call, again: int) -> bool:
    """Whether a weight is neither what it was nor what was asked for: somebody else is writing it. Nobody fights in a loop: only
    a host that is to be out is taken out once more."""
    after = call.after or {}
    strange = [
        line
        for line in call.wanted
        if after.get(_key(line.mount)) not in (line.weight, call.before.get(_key(line.mount)))
    ]
    return bool(strange) and (again > 0 or any(line.weight > 0 for line in strange))


def _tell(call: _Call) -> None:
    """Whoever looks on learns why nothing has happened yet."""
    for ask, verdict in zip(call.asks, call.opened.verdicts, strict=True):
        problem = _result(ask.wish, verdict, call).problem
        if verdict.call and problem is not None and not ask.future.done():
            ask.told(problem)  # who has gone has closed what would be written to


def _result(wish: Wish, verdict: Verdict, call: _Call) -> MoveResult:
    mount, asked = wish.mount, verdict.weight
    if verdict.problem is not None:
        return MoveResult(mount, asked, call.before.get(_key(mount)), Verified.NO, verdict.problem)
    if call.after is None:
        problem = call.error.problem if call.error else _cannot_read(mount, asked)
        return MoveResult(mount, asked, None, Verified.CANNOT_TELL, problem)
    now = call.after.get(_key(mount))
    if now == asked:
        return MoveResult(mount, asked, now, Verified.YES, kept=verdict.kept)
    problem = call.error.problem if call.error else _not_applied(mount, asked, now)
    return MoveResult(mount, asked, now, Verified.NO, problem)


def _unread(wish: Wish, error: BalancerError) -> MoveResult:
    return MoveResult(wish.mount, wish.weight, None, Verified.CANNOT_TELL, error.problem)


def _withdrawn(wish: Wish) -> MoveResult:
    problem = Problem(
        "weight_withdrawn",
        message("The weight of {host} was not set: the order turned back first.", host=wish.mount.host),
        message("Look at what the order does now."),
    )
    return MoveResult(wish.mount, wish.weight, None, Verified.NO, problem)


def _cannot_read(mount: Mount, asked: int) -> Problem:
    return Problem(
        "weight_cannot_tell",
        message("Weight {asked} was requested for {host} in {group}, but could not be read back.",
                host=mount.host, group=str(mount.server_group), asked=asked),
        message("Look at the balancer's console; retry the host when the balancer answers again."),
    )  # fmt: skip


def _not_applied(mount: Mount, asked: int, now: int | None) -> Problem:
    if now is None:
        return mount_missing(mount)
    return Problem(
        "weight_not_applied",
        message("The balancer accepted weight {asked} for {host} in {group} but shows {now}.",
                asked=asked, host=mount.host, group=str(mount.server_group), now=now),
        message("Somebody else may be changing this server group; look at it, then retry the host."),
    )  # fmt: skip
