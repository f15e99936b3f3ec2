"""The engine: owns open orders of a store, one reconciler each, until it is told to stop or has been idle for a while.

One engine owns an order at a time: all of a file's, or on PostgreSQL those whose lock it got. Others stand by until the first
has gone. At every take-over the order gets a new epoch, so whatever an earlier engine still tries to write or start is refused by
the journal and by the hosts. Every engine has a lease, renewed each second; a frozen one's runs out, and then it is succeeded as
if it were dead: when it wakes up it finds its lease ended and takes nothing over.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from engine.dispatch.local import LocalDispatch
from engine.domain.fleet import Region
from engine.domain.message import message
from engine.domain.problem import Problem
from engine.domain.states import CommandState
from engine.ports import Clock, Cloud, Remote
from engine.run.background import Background, Threads
from engine.run.ended_orders import EndedOrders
from engine.run.journal import Journal, StaleEpoch
from engine.run.ledger import Ledger
from engine.run.log_retention import CLEAR_EVERY_S, clear_old_logs
from engine.run.order_check import Expiring
from engine.run.outages import OUTAGE_S
from engine.run.pacing import Turns
from engine.run.ports import Ports
from engine.run.reconcile import OrderReconciler
from engine.run.unforeseen import Unforeseen
from engine.store import commands, engines
from engine.store.fleets import load_regions
from engine.store.orders import open_orders, take_over
from engine.store.ownership import Ownership, acquire, put_silent_aside
from engine.store.store import Store, StoreError, Transaction

log = logging.getLogger(__name__)
HEARTBEAT_S = 1.0
LOOK_EVERY_S = 0.5
STANDBY_EVERY_S = 0.25
RETRY_STORE_S = 1.0
REST_S = 0.04  # between two looks, which an engine's own writes cause as well
BROKEN_ORDER_S = 5.0
Acquire = Callable[[Store, str, float], Ownership | None]


class LeaseEnded(StoreError):
    """A successor has put this engine aside; code `engine_succeeded`. It may become an engine of the store again."""

    def __init__(self, engine_id: str) -> None:
        super().__init__(
            Problem(
                "engine_succeeded",
                message("Engine {id} was silent for too long and was replaced by another one.", id=engine_id),
                message("Nothing to do: the other engine goes on with its orders."),
            )
        )


class Engine:
    """Run it with `await run()`. `idle_s` None: it never ends by itself. `standby_s`: it ends when there has been no room for it
    for so long; None: it stands by for as long as it takes. `expiring` names what of ours will have expired by a moment; logs of
    orders that ended more than `log_keep_days` ago are cleared away (0: never). `log_place`: where an operator finds the engine's
    own log. `started_with` is for operators: what it can reach and with which keys. A balancer whose API is away is waited for
    for `outage_s`."""

    def __init__(
        self,
        store: Store,
        *,
        remote: Remote,
        cloud: Cloud,
        clock: Clock,
        log_dir: Path,
        idle_s: float | None,
        standby_s: float | None = None,
        background: Background | None = None,
        acquire: Acquire = acquire,
        gather_s: float = 0.0,
        outage_s: float = OUTAGE_S,
        expiring: Expiring = lambda by: (),
        log_keep_days: int = 0,
        log_place: str = "the engine's log",
        started_with: Mapping[str, Any] | None = None,
    ) -> None:
        unforeseen = Unforeseen(log_place)
        self.id = f"{platform.node()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self._store = store
        self._unforeseen = unforeseen
        self._remote = unforeseen.remote(remote)
        self._cloud = unforeseen.cloud(cloud)
        self._clock = clock
        self._log_dir = log_dir
        self._idle_s = idle_s
        self._standby_s = standby_s
        self._gather_s = gather_s
        self._outage_s = outage_s
        self._expiring = expiring
        self._log_keep_days = log_keep_days
        self._started_with = started_with
        self._stopping = asyncio.Event()
        self._ports: dict[int, Ports] = {}
        self._turns = Turns(clock)
        self._ended_orders = EndedOrders(self._take_over)
        self._ended: frozenset[int] = frozenset()  # ended orders that were claimed because something was asked of them
        self._orders: dict[int, tuple[OrderReconciler, asyncio.Task[None]]] = {}
        self._background = background or Threads()
        self._acquire = acquire
        self._busy_at = 0.0

    def stop(self) -> None:
        """End soon; jobs on hosts go on and a successor re-attaches to them."""
        self._stopping.set()

    async def run(self) -> None:
        """Own the store when it is free, until stopped or idle. A lost store is waited for and taken over again."""
        self._busy_at = waiting_since = _loop_time()
        while not self._stopping.is_set():
            try:
                ownership = await self._background.call(self._acquire, self._store, self.id, self._clock.now())
                if ownership is None:
                    if self._idle() or self._waited_enough(waiting_since):
                        return
                    await self._pause(STANDBY_EVERY_S)
                    continue
                if await self._own(ownership):
                    return
            except StoreError as error:
                log.warning("%s", error)
                await self._pause(RETRY_STORE_S)
            waiting_since = _loop_time()

    def _waited_enough(self, since: float) -> bool:
        return self._standby_s is not None and _loop_time() - since >= self._standby_s

    async def _own(self, ownership: Ownership) -> bool:
        """Run the open orders while the ownership holds. Returns True when the engine should end."""
        dispatch = LocalDispatch()
        log.info("engine %s has its place at the store", self.id)
        try:
            async with Journal(self._store, self._background, gather_s=self._gather_s) as journal:
                try:
                    await self._register(journal)
                    return await self._look_after_orders(ownership, journal, dispatch)
                finally:
                    await self._let_go_of_orders()
                    await self._unregister(journal)
        finally:
            await self._background.call(ownership.release)
            log.info("engine %s has left the store", self.id)

    async def _look_after_orders(self, ownership: Ownership, journal: Journal, dispatch: LocalDispatch) -> bool:
        token = await self._background.call(self._store.change_token)
        beat_at, clear_at = _loop_time(), 0.0
        self._busy_at = _loop_time()
        while not self._stopping.is_set():
            if not await self._background.call(ownership.held):
                log.warning("engine %s lost its place to another engine or a broken connection", self.id)
                return False
            if _loop_time() - beat_at >= HEARTBEAT_S:
                await self._beat(journal)
                beat_at = _loop_time()
            await self._adopt_orders(ownership, journal, dispatch)
            await self._pass_commands_on(await self._background.call(self._unanswered), ownership, journal, dispatch)
            if self._log_keep_days and _loop_time() >= clear_at:
                await self._background.call(self._clear_old_logs)
                clear_at = _loop_time() + CLEAR_EVERY_S
            if self._idle():
                return True
            await self._pause(REST_S)
            token = await self._background.changed(self._store, token, LOOK_EVERY_S)
        return True

    def _clear_old_logs(self) -> None:
        clear_old_logs(self._store, self._log_dir, self._log_keep_days, self._clock.now())

    # ---------------------------------------------------------------------------------------------------------- orders

    async def _adopt_orders(self, ownership: Ownership, journal: Journal, dispatch: LocalDispatch) -> None:
        for order_id, (_, task) in list(self._orders.items()):
            if task.done():
                del self._orders[order_id]
                await self._background.call(ownership.give_up, order_id)
        waiting = {
            order_id: workspace_id
            for order_id, workspace_id in await self._background.call(self._open_orders)
            if order_id not in self._orders
        }
        ours = await self._background.call(ownership.claim, tuple(waiting)) if waiting else frozenset()
        for order_id in sorted(ours):
            await self._adopt(order_id, waiting[order_id], journal, dispatch)

    def _open_orders(self) -> list[tuple[int, int]]:
        with self._store.reading() as conn:
            return open_orders(conn)

    async def _adopt(self, order_id: int, workspace_id: int, journal: Journal, dispatch: LocalDispatch) -> None:
        """Take the order over under a new epoch: from here on nobody else can change it."""
        ports = await self._ports_of(workspace_id, journal, dispatch)
        epoch = await journal.write(None, 0, lambda conn: self._take_over(conn, order_id))
        reconciler = OrderReconciler(order_id, epoch, ports)
        task = asyncio.create_task(self._run_order(reconciler), name=f"order {order_id}")
        self._orders[order_id] = (reconciler, task)

    def _take_over(self, conn: Transaction, order_id: int) -> int:
        if not engines.holds_lease(conn, self.id):
            raise LeaseEnded(self.id)
        return take_over(conn, order_id, self.id, self._clock.now())

    async def _run_order(self, reconciler: OrderReconciler) -> None:
        try:
            await reconciler.run()
        except StaleEpoch as error:
            log.warning("%s", error)
        except Exception:
            # The boundary between orders: whatever broke one must not stop the others. It is adopted again after a pause.
            log.exception("order %s: the reconciler broke", reconciler.order_id)
            await self._pause(BROKEN_ORDER_S)

    async def _let_go_of_orders(self) -> None:
        tasks = [task for _, task in self._orders.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._orders.clear()
        self._ended = frozenset()
        await self._ended_orders.close()
        for ports in self._ports.values():
            await ports.ledger.close()
        self._ports.clear()

    async def _ports_of(self, workspace_id: int, journal: Journal, dispatch: LocalDispatch) -> Ports:
        if workspace_id not in self._ports:
            regions = await self._background.call(self._regions, workspace_id)
            balancers = self._cloud.balancers(regions)
            self._ports[workspace_id] = Ports(
                store=self._store,
                journal=journal,
                ledger=Ledger(
                    journal, balancers, self._clock, turns=self._turns, regions=regions, outage_s=self._outage_s
                ),
                remote=self._remote,
                packages=self._cloud.packages(regions),
                balancers=balancers,
                clock=self._clock,
                log_dir=self._log_dir,
                dispatch=dispatch,
                background=self._background,
                expiring=self._expiring,
                unforeseen=self._unforeseen,
            )
        return self._ports[workspace_id]

    def _regions(self, workspace_id: int) -> tuple[Region, ...]:
        with self._store.reading() as conn:
            return load_regions(conn, workspace_id)

    def _unanswered(self) -> Sequence[commands.Command]:
        with self._store.reading() as conn:
            return commands.unanswered(conn)

    async def _pass_commands_on(
        self, asked: Sequence[commands.Command], ownership: Ownership, journal: Journal, dispatch: LocalDispatch
    ) -> None:
        for command in asked:
            if command.order_id in self._orders:
                if command.state is CommandState.SENT:  # what is at work wakes its order itself
                    self._orders[command.order_id][0].wake()
            elif command.order_state.complete:
                if command.order_id not in self._ended:
                    self._ended |= await self._background.call(ownership.claim, (command.order_id,))
                if command.order_id in self._ended:  # else another engine does it
                    ports = await self._ports_of(command.workspace_id, journal, dispatch)
                    self._ended_orders.answer(command.order_id, ports)

    # ------------------------------------------------------------------------------------------------------------ life

    def _idle(self) -> bool:
        if self._ended_orders.busy or any(not reconciler.quiet for reconciler, _ in self._orders.values()):
            self._busy_at = _loop_time()
        return self._idle_s is not None and _loop_time() - self._busy_at >= self._idle_s

    async def _register(self, journal: Journal) -> None:
        now = self._clock.now()
        await journal.write(None, 0, lambda conn: engines.register(conn, self.id, now, self._started_with))

    async def _beat(self, journal: Journal) -> None:
        """Renew the lease, and put aside those who did not. Raises LeaseEnded."""
        now = self._clock.now()
        if not await journal.write(None, 0, lambda conn: engines.beat(conn, self.id, now)):
            raise LeaseEnded(self.id)
        if not self._store.is_sqlite:
            await self._background.call(partial(put_silent_aside, self._store, now, besides=self.id))

    async def _unregister(self, journal: Journal) -> None:
        now = self._clock.now()
        try:
            await journal.write(None, 0, lambda conn: engines.end(conn, self.id, now))
        except StoreError as error:
            log.warning("%s", error)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return


def _loop_time() -> float:
    """Seconds on the event loop's own clock: every wait of the engine is counted on the same one."""
    return asyncio.get_running_loop().time()
