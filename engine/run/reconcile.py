"""One order moved on: `advance` reads its rows, decides what is next, writes it and hands out the host runs.

Level-triggered: it may be called at any time, from a fresh engine as well, and does the same thing for the same rows. Commands of
the order are answered before each decision (`engine.run.answering`), and what is decided next is written with the answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from engine.domain.fleet import Facts, InstanceFacts, Package
from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError
from engine.domain.progress import OrderProgress, RunKey, RunProgress, StepProgress
from engine.domain.states import Direction, NodeState, OrderState
from engine.kinds.registry import kind_of, not_understood
from engine.plan.back import plan_cancel, plan_rollback
from engine.plan.in_service import floors_of, server_groups
from engine.plan.next import MOVING, Decision, decide, running, turning_back
from engine.run.answering import Answering
from engine.run.decision_rows import write_decision
from engine.run.earlier_jobs import earlier_attempts
from engine.run.health_watch import HealthWatch
from engine.run.host_checks import PassedHosts
from engine.run.host_run import HostRun
from engine.run.journal import StaleEpoch
from engine.run.order_check import Checked, check_order
from engine.run.order_context import OrderContext
from engine.run.ports import Ports
from engine.run.turning_back import turn_back
from engine.run.unforeseen import CheckBroke
from engine.store.commands import asked_version
from engine.store.events import add_event
from engine.store.facts import load_facts
from engine.store.fleets import load_instance, load_package
from engine.store.host_runs import load_steps
from engine.store.orders import set_order_state, update_order
from engine.store.plans import insert_plan, set_node_state
from engine.store.progress import load_progress
from engine.store.store import StoreError, Transaction
from engine.store.weights import hold_again, insert_weights

log = logging.getLogger(__name__)
STORE_PAUSE_S = 1.0
BREAKS = 3  # a host run that broke so often in a row is a failed one
# Between two decisions, which cost the more the more hosts there are: many ends become one decision.
REST_PER_HOST_S = 0.0002


@dataclass(frozen=True, slots=True)
class _Advanced:
    progress: OrderProgress
    decision: Decision
    start: tuple[RunProgress, ...]


class OrderReconciler:
    """Owns one open order at one epoch until the order is complete or was taken over."""

    def __init__(self, order_id: int, epoch: int, ports: Ports) -> None:
        self.order_id = order_id
        self.epoch = epoch
        self._ports = ports
        self._wake = asyncio.Event()
        self._active: dict[RunKey, HostRun] = {}
        self._breaks: dict[RunKey, list[BaseException]] = defaultdict(list)
        self._checking: asyncio.Task[None] | None = None
        self._health = HealthWatch(order_id, epoch, ports.ledger, self.wake)
        self._rest_s = 0.0
        self._answering = Answering(order_id, epoch, ports, moved_on=self._decide_and_write, wake=self.wake)
        self._passed = PassedHosts()
        self.quiet = False  # nothing runs and nothing will until a person acts on a draft, ready or init_failed order

    def wake(self) -> None:
        """Something of the order may have changed: look again soon."""
        self._wake.set()

    async def run(self) -> None:
        """Until the order is complete. Raises StaleEpoch when another engine has it."""
        self._ports.ledger.settle(self.order_id, self.epoch)
        try:
            self._wake.set()
            while True:
                await self._wake.wait()
                self._wake.clear()
                if await self._turn():
                    return
                await self._ports.clock.sleep(self._rest_s)
        finally:
            if self._checking is not None:
                self._checking.cancel()
                await asyncio.gather(self._checking, return_exceptions=True)
            await self._health.close()
            await self._answering.close()
            await self._ports.dispatch.cancel([self._key(run) for run in self._active])

    async def _turn(self) -> bool:
        """Answer what was asked, then move on; True when the order is complete. A store that is away is waited for."""
        try:
            await self._answering.answer_all()
            return await self.advance()
        except StaleEpoch:
            raise
        except StoreError as error:
            log.warning("order %s: %s", self.order_id, error)
            await self._ports.clock.sleep(STORE_PAUSE_S)
            self._wake.set()
            return False

    # ------------------------------------------------------------------------------------------------------- advancing

    async def advance(self) -> bool:
        """Read, decide, write, hand out. Returns True when the order is complete."""
        advanced = await self._write(self._decide_and_write)
        progress, decision = advanced.progress, advanced.decision
        self._rest_s = REST_PER_HOST_S * len(progress.runs)
        left_alone = not_understood(progress) is not None
        waits = decision.order in (OrderState.READY, OrderState.INIT_FAILED)
        self.quiet = left_alone or (waits and not self._answering.busy)
        if left_alone:
            return False
        if decision.order is OrderState.INITIALISING:
            self._check()
            return False
        if decision.order.complete:
            return True
        self._health.look_at(tuple(server_groups(progress)) if decision.order in MOVING else ())
        turning = turning_back(progress)
        await self._hand_out(progress, advanced.start, stop=turning)
        return False

    def _decide_and_write(self, conn: Transaction) -> _Advanced:
        progress, now = load_progress(conn, self.order_id), self._now()
        if not_understood(progress) is not None:
            return _Advanced(progress, Decision(progress.state), ())
        if turning_back(progress) and not running(progress) and not progress.weights_at_work:
            progress = self._go_back(conn, progress, now)
        if turning_back(progress):
            return _Advanced(progress, Decision(progress.state), ())
        decision = decide(progress)
        if decision.order.complete and progress.weights_at_work:
            return _Advanced(progress, Decision(progress.state), ())  # a weight that is still moved has an owner
        write_decision(conn, progress, decision, now)
        paused = progress.paused or bool(decision.pauses_before)
        return _Advanced(replace(progress, paused=paused), decision, decision.start)

    def _go_back(self, conn: Transaction, progress: OrderProgress, now: float) -> OrderProgress:
        if progress.state is OrderState.CANCELLING:
            plan = plan_cancel(progress)
        else:
            plan = plan_rollback(progress, asked_version(conn, progress.id))
        turn_back(conn, progress, now)
        insert_plan(conn, progress.id, plan, now)
        hold_again(conn, progress.id, plan.hosts)
        update_order(conn, progress.id, now, direction=str(Direction.BACK))
        return load_progress(conn, progress.id)

    async def _hand_out(self, progress: OrderProgress, start: tuple[RunProgress, ...], *, stop: bool) -> None:
        """Start the new runs, and those that an earlier engine left running; stop them all when the order turns back."""
        if progress.current_plan is None:
            return
        wanted = {run.key: run for run in [*start, *running(progress)]}
        new = [run for key, run in wanted.items() if key not in self._active]
        if new:
            context, steps = await self._ports.background.call(self._read_context, progress, new)
            of_host = _by_host(progress)
            for run in new:
                self._dispatch(
                    HostRun(
                        context,
                        run,
                        progress.host_plan(run),
                        list(steps[run.key, run.attempt]),
                        earlier_attempts(progress, run, of_host[run.host]),
                        broken=self._broken(run),
                    )
                )
        for host_run in self._active.values():
            host_run.hold(progress.paused)
            if stop:
                host_run.stop()

    def _broken(self, run: RunProgress) -> Problem | None:
        breaks = self._breaks[run.key]
        return _run_broke(run.host, breaks[-1]) if len(breaks) >= BREAKS else None

    def _read_context(
        self, progress: OrderProgress, new: list[RunProgress]
    ) -> tuple[OrderContext, dict[tuple[RunKey, int], tuple[StepProgress, ...]]]:
        hosts = list(dict.fromkeys(run.host for run in new))
        with self._ports.store.reading() as conn:
            apps = {app.app: load_instance(conn, app.service_instance_id, hosts=hosts) for app in progress.apps}
            wanted = {(progress.host_plan(run).app, progress.host_plan(run).after.version) for run in new}
            found = {key: load_package(conn, apps[key[0]].app_id, key[1]) for key in wanted if key[0] in apps}
            steps = load_steps(conn, self.order_id, hosts=hosts)
        packages = {key: package for key, package in found.items() if package is not None}
        return self._context(progress, apps, packages), steps

    def _context(
        self,
        progress: OrderProgress,
        apps: dict[str, InstanceFacts],
        packages_of: dict[tuple[str, str], Package],
    ) -> OrderContext:
        ports = self._ports
        return OrderContext(
            order_id=self.order_id,
            created_at=progress.created_at,
            epoch=self.epoch,
            workspace_id=progress.workspace_id,
            apps=apps,
            packages_of=packages_of,
            remote=ports.remote,
            packages=ports.packages,
            ledger=ports.ledger,
            journal=ports.journal,
            clock=ports.clock,
            log_dir=ports.log_dir,
            floors=floors_of(progress),
        )

    def _dispatch(self, host_run: HostRun) -> None:
        key = host_run.run.key
        self._active[key] = host_run
        self._ports.dispatch.start(self._key(key), host_run.go, lambda error: self._run_ended(key, error))

    def _key(self, run: RunKey) -> Hashable:
        return (self.order_id, self.epoch, *run)

    def _run_ended(self, key: RunKey, error: BaseException | None) -> None:
        """A run that broke instead of ending has left its rows as they were: it is handed out again, after a pause."""
        self._active.pop(key, None)
        if error is None or isinstance(error, StaleEpoch):
            self._breaks.pop(key, None)
            self.wake()
            return
        log.error("order %s, host %s: the run broke", self.order_id, key[-1], exc_info=error)
        if not isinstance(error, StoreError):
            self._breaks[key].append(error)
        asyncio.get_running_loop().call_later(STORE_PAUSE_S, self.wake)

    # ------------------------------------------------------------------------------------------------------- the check

    def _check(self) -> None:
        """Beside the reconciler: a check takes as long as the slowest host, and the order can be cancelled meanwhile."""
        if self._checking is None:
            self._checking = asyncio.create_task(self._check_order(), name=f"check of order {self.order_id}")
            self._checking.add_done_callback(self._checked)

    def _checked(self, task: asyncio.Task[None]) -> None:
        self._checking = None
        if task.cancelled():
            return
        error = task.exception()
        if error is None or isinstance(error, StaleEpoch):
            self.wake()
            return
        log.error("order %s: the check broke", self.order_id, exc_info=error)
        asyncio.get_running_loop().call_later(STORE_PAUSE_S, self.wake)

    async def _check_order(self) -> None:
        checking = partial(self._ports.unforeseen.checking, self.order_id)
        try:
            checked = await checking(self._look())
        except (StaleEpoch, StoreError):
            raise  # taken over, or a store that is away: waited for
        except ProblemError as error:
            checked = _ended_with(error)
        try:
            await checking(self._write(lambda conn: self._write_checked(conn, checked)))
        except CheckBroke as error:
            broke = _ended_with(error)
            await self._write(lambda conn: self._write_checked(conn, broke))

    async def _look(self) -> Checked:
        progress, facts = await self._ports.background.call(self._read_for_check)
        if progress.plan is not None:  # it was ready and is to be checked anew: all of it
            self._passed.clear()
        return await check_order(
            progress.spec,
            facts,
            remote=self._ports.remote,
            packages=self._ports.packages,
            balancers=self._ports.ledger.patient(self.order_id, self.epoch),
            clock=self._ports.clock,
            expiring=self._ports.expiring,
            passed=self._passed,
        )

    def _read_for_check(self) -> tuple[OrderProgress, Facts]:
        with self._ports.store.reading() as conn:
            progress = load_progress(conn, self.order_id)
            asked = kind_of(progress.kind).apps(progress.spec)
            return progress, load_facts(conn, progress.workspace_id, asked, besides=self.order_id)

    def _write_checked(self, conn: Transaction, checked: Checked) -> None:
        progress, now = load_progress(conn, self.order_id), self._now()
        if progress.state is not OrderState.INITIALISING:
            return
        problems = [{"host": host, "problem": problem.to_json()} for host, problem in checked.problems]
        update_order(conn, self.order_id, now, problems=problems)
        if checked.plan is None:
            set_order_state(conn, progress, OrderState.INIT_FAILED, now, problem=checked.problems[0][1])
            return
        insert_plan(conn, self.order_id, checked.plan, now)
        insert_weights(conn, self.order_id, checked.plan, now, checked.health, checked.weights)
        set_node_state(conn, progress, checked.plan, "initialise", NodeState.SUCCEEDED, now)
        set_order_state(conn, progress, OrderState.READY, now)
        for _, problem in checked.problems:
            add_event(conn, self.order_id, now, "warning", {"problem": problem.to_json()})

    # ------------------------------------------------------------------------------------------------------------ rows

    async def _write(self, change: Any) -> Any:
        return await self._ports.journal.write(self.order_id, self.epoch, change)

    def _now(self) -> float:
        return self._ports.clock.now()


def _run_broke(host: str, error: BaseException) -> Problem:
    return Problem(
        "run_broke",
        message("The engine could not go on with {host}: it failed {times} times in a row.", host=host, times=BREAKS),
        message("Read the engine's log, solve what it names (a full disk?), then retry the host."),
        f"{type(error).__name__}: {error}",
    )


def _by_host(progress: OrderProgress) -> dict[str, list[RunProgress]]:
    found: dict[str, list[RunProgress]] = defaultdict(list)
    for run in progress.runs.values():
        found[run.host].append(run)
    return found


def _ended_with(error: ProblemError) -> Checked:
    return Checked(None, (("", error.problem),))
