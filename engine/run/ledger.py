"""The weight ledger: no weight is changed without a row before the call and a reading back after it.

Changes of many hosts of one server group that are asked for at about the same time become calls of up to 20 servers; one writer
a server group, calls paced per region. Busy and throttled answers back off; an unknown outcome is read back, never assumed; an
answer that lied is found by reading back. Every retry has a bound, and whoever asked learns which of three things is
true: verified yes, no, or cannot tell.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from engine.domain.fleet import Mount, MountWeight, ServerGroup
from engine.domain.message import message
from engine.domain.problem import Problem
from engine.domain.states import Verified
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
from engine.run.pacing import Pace
from engine.store import tables as t
from engine.store.orders import add_event
from engine.store.statements import update

SERVERS_A_CALL = 20
CHANGES_A_MINUTE = 80  # the service allows 90 a minute, account and region; others change weights too
GATHER_S = 0.1
GATHER_LIMIT = 5
TRIES = 8
READ_BACKS = 4
FIRST_BACKOFF_S = 1.0
_INSERT_CALL = sa.insert(t.weight_call).returning(t.weight_call.c.id)
LONGEST_BACKOFF_S = 10.0

Told = Callable[[Problem], None]


@dataclass(frozen=True, slots=True)
class MoveResult:
    """What became of one weight. `read_back` None: it could not be read. `problem` is set unless verified is YES."""

    mount: Mount
    asked: int
    read_back: int | None
    verified: Verified
    problem: Problem | None = None


@dataclass(slots=True, eq=False)
class _Ask:
    order_id: int
    epoch: int
    mount: Mount
    weight: int
    owned: bool
    future: asyncio.Future[MoveResult]
    told: Told


@dataclass(slots=True)
class _Call:
    """One call in the making: its asks, the rows it wrote, what was there before and what came back."""

    asks: list[_Ask]
    before: Mapping[tuple[str, int], int] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)  # of weight_call, one an ask
    request_id: str = ""
    error: BalancerError | None = None


class Ledger:
    """The weights of one workspace's balancers, on behalf of all its orders."""

    def __init__(self, journal: Journal, balancers: Balancers, clock: Clock, *, seed: int = 0) -> None:
        self._journal = journal
        self._balancers = balancers
        self._clock = clock
        self._chance = random.Random(seed)
        self._asks: dict[ServerGroup, list[_Ask]] = defaultdict(list)
        self._writers: dict[ServerGroup, asyncio.Task[None]] = {}
        self._paces: dict[str, Pace] = {}

    async def move(
        self,
        order_id: int,
        epoch: int,
        weights: Sequence[MountWeight],
        *,
        owned: bool,
        told: Told = lambda _problem: None,
    ) -> tuple[MoveResult, ...]:
        """Bring the weights to what is asked and say for each whether the balancer shows it. `owned`: the order keeps the
        weight in its hands (a cut, a gray step); False gives it back. `told` is called with the reason each time a weight is
        asked for again. Raises StaleEpoch and StoreError, never BalancerError."""
        loop = asyncio.get_running_loop()
        asks = [_Ask(order_id, epoch, line.mount, line.weight, owned, loop.create_future(), told) for line in weights]
        for ask in asks:
            self._asks[ask.mount.server_group].append(ask)
        for group in {ask.mount.server_group for ask in asks}:
            if group not in self._writers:
                self._writers[group] = loop.create_task(self._write_group(group), name=f"ledger {group}")
        return tuple(await asyncio.gather(*(ask.future for ask in asks)))

    async def close(self) -> None:
        for writer in list(self._writers.values()):
            writer.cancel()
        await asyncio.gather(*self._writers.values(), return_exceptions=True)

    async def _write_group(self, group: ServerGroup) -> None:
        try:
            while self._asks[group]:
                await self._gather(group)
                asks = _next_batch(self._asks[group])
                await self._change(group, asks)
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

    async def _change(self, group: ServerGroup, asks: list[_Ask]) -> None:
        """One batch from row to read-back. Whatever goes wrong here reaches those who asked, and only them."""
        call = _Call(asks)
        try:
            results = await self._call(group, call)
        except asyncio.CancelledError:
            for ask in asks:
                ask.future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - the writer's boundary: StaleEpoch, StoreError and bugs alike go to who asked
            for ask in asks:
                if not ask.future.done():
                    ask.future.set_exception(error)
            return
        for ask, result in zip(asks, results, strict=True):
            if not ask.future.done():
                ask.future.set_result(result)

    async def _call(self, group: ServerGroup, call: _Call) -> tuple[MoveResult, ...]:
        call.before = await self._read(group) or {}
        await self._journal_asked(call)
        after: Mapping[tuple[str, int], int] | None = None
        for attempt in range(TRIES):
            if attempt:
                _tell(call, after)
                await self._clock.sleep(self._backoff_s(attempt))
            call.error = await self._set(group, call)
            if isinstance(call.error, BalancerRefused):
                after = await self._read(group)
                break
            if isinstance(call.error, BalancerBusy | BalancerThrottled):
                continue
            after = await self._read_back(group, call.asks)
            if after is not None and _all_there(call.asks, after):
                break
        results = tuple(_result(ask, call, after) for ask in call.asks)
        await self._journal_outcome(call, results)
        return results

    async def _set(self, group: ServerGroup, call: _Call) -> BalancerError | None:
        await self._pace(group).wait()
        try:
            wanted = [MountWeight(ask.mount, ask.weight) for ask in call.asks]
            call.request_id = await self._balancers.set_weights(group, wanted)
        except BalancerError as error:
            call.request_id = error.request_id or call.request_id
            return error
        return None

    async def _read_back(self, group: ServerGroup, asks: Sequence[_Ask]) -> Mapping[tuple[str, int], int] | None:
        """The configuration goes out after the answer, so a weight that is not there yet is looked at again."""
        seen: Mapping[tuple[str, int], int] | None = None
        for attempt in range(READ_BACKS):
            if attempt:
                await self._clock.sleep(0.2 * 2**attempt)
            read = await self._read(group)
            seen = read if read is not None else seen
            if read is not None and _all_there(asks, read):
                return read
        return seen

    async def _read(self, group: ServerGroup) -> Mapping[tuple[str, int], int] | None:
        """The group's weights now, or None when they could not be read."""
        for attempt in range(3):
            if attempt:
                await self._clock.sleep(self._backoff_s(attempt))
            try:
                return await self._balancers.read_weights(group)
            except BalancerRefused:
                return None
            except (BalancerBusy, BalancerThrottled, BalancerUnknown):
                continue
        return None

    def _pace(self, group: ServerGroup) -> Pace:
        return self._paces.setdefault(group.region, Pace(self._clock, CHANGES_A_MINUTE))

    def _backoff_s(self, attempt: int) -> float:
        doubled = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** (attempt - 1))
        return doubled * self._chance.uniform(0.8, 1.2)

    async def _journal_asked(self, call: _Call) -> None:
        now = self._clock.now()
        order_id, epoch = call.asks[0].order_id, call.asks[0].epoch

        def change(conn: sa.Connection) -> list[int]:
            rows = []
            for ask in call.asks:
                before = call.before.get((ask.mount.server_id, ask.mount.port))
                row = {**_key(ask), "before": before, "asked": ask.weight, "epoch": epoch, "at": now}
                rows.append(int(conn.execute(_INSERT_CALL, row).scalar_one()))
                asked = {"intended": ask.weight, "asked": ask.weight, "owned": True, "verified": None}
                update(conn, t.weight, _key(ask), asked)
            return rows

        call.rows = await self._journal.write(order_id, epoch, change)

    async def _journal_outcome(self, call: _Call, results: Sequence[MoveResult]) -> None:
        now = self._clock.now()
        order_id, epoch = call.asks[0].order_id, call.asks[0].epoch

        def change(conn: sa.Connection) -> None:
            for ask, result, row in zip(call.asks, results, call.rows, strict=True):
                self._write_outcome(conn, ask, result, call, row, now)

        await self._journal.write(order_id, epoch, change)

    def _write_outcome(
        self, conn: sa.Connection, ask: _Ask, result: MoveResult, call: _Call, row: int, now: float
    ) -> None:
        outcome = {
            "read_back": result.read_back,
            "verified": str(result.verified),
            "request_id": call.request_id,
            "api_code": call.error.api_code if call.error else "",
            "ended_at": now,
        }
        update(conn, t.weight_call, {"id": row}, outcome)
        given_back = not ask.owned and result.verified is Verified.YES
        values: dict[str, object] = {
            "verified": str(result.verified),
            "owned": not given_back,
            "problem": result.problem.to_json() if result.problem else None,
        }
        if result.read_back is not None:
            values |= {"confirmed": result.read_back, "confirmed_at": now}
        update(conn, t.weight, _key(ask), values)
        data = {
            "host": ask.mount.host,
            "server_group": str(ask.mount.server_group),
            "before": call.before.get((ask.mount.server_id, ask.mount.port)),
            "asked": ask.weight,
            "read_back": result.read_back,
            "verified": str(result.verified),
        }
        add_event(conn, ask.order_id, now, "weight", data)


def _next_batch(waiting: list[_Ask]) -> list[_Ask]:
    """Take up to 20 asks of one order off the list, at most one a mount, in order: two asks for one mount are two calls."""
    taken: list[_Ask] = []
    mounts: set[Mount] = set()
    for ask in list(waiting):
        if len(taken) == SERVERS_A_CALL:
            break
        if ask.order_id == waiting[0].order_id and ask.mount not in mounts:
            mounts.add(ask.mount)
            taken.append(ask)
    for ask in taken:
        waiting.remove(ask)
    return taken


def _all_there(asks: Iterable[_Ask], weights: Mapping[tuple[str, int], int]) -> bool:
    return all(weights.get((ask.mount.server_id, ask.mount.port)) == ask.weight for ask in asks)


def _tell(call: _Call, after: Mapping[tuple[str, int], int] | None) -> None:
    """Whoever looks on learns why nothing has happened yet."""
    for ask in call.asks:
        problem = _result(ask, call, after).problem
        if problem is not None and not ask.future.done():  # who has gone has closed what would be written to
            ask.told(problem)


def _result(ask: _Ask, call: _Call, after: Mapping[tuple[str, int], int] | None) -> MoveResult:
    if after is None:
        problem = call.error.problem if call.error else _cannot_read(ask)
        return MoveResult(ask.mount, ask.weight, None, Verified.CANNOT_TELL, problem)
    now = after.get((ask.mount.server_id, ask.mount.port))
    if now == ask.weight:
        return MoveResult(ask.mount, ask.weight, now, Verified.YES)
    problem = call.error.problem if call.error else _not_applied(ask, now)
    return MoveResult(ask.mount, ask.weight, now, Verified.NO, problem)


def _cannot_read(ask: _Ask) -> Problem:
    return Problem(
        "weight_cannot_tell",
        message("The weight of {host} in {group} was asked to be {asked} and could not be read back.",
                host=ask.mount.host, group=str(ask.mount.server_group), asked=ask.weight),
        message("Look at the balancer's console; retry the host when the balancer answers again."),
    )  # fmt: skip


def _not_applied(ask: _Ask, now: int | None) -> Problem:
    if now is None:
        return Problem(
            "mount_missing",
            message("{host} is not in server group {group}.", host=ask.mount.host, group=str(ask.mount.server_group)),
            message("Correct the mount in the catalogue or add the server to the group, then retry the host."),
        )
    return Problem(
        "weight_not_applied",
        message("The balancer accepted weight {asked} for {host} in {group} but shows {now}.",
                asked=ask.weight, host=ask.mount.host, group=str(ask.mount.server_group), now=now),
        message("Somebody else may be changing this server group; look at it, then retry the host."),
    )  # fmt: skip


def _key(ask: _Ask) -> dict[str, object]:
    group = ask.mount.server_group
    return {
        "order_id": ask.order_id,
        "balancer_id": group.balancer_id,
        "vserver_group_id": group.vserver_group_id,
        "host": ask.mount.host,
        "port": ask.mount.port,
    }
