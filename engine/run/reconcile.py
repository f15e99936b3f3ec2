"""One order moved on: `advance` reads its rows, decides what is next, writes it and hands out the host runs.

Level-triggered: it may be called at any time, from a fresh engine as well, and does the same thing for the same rows. Commands of
the order are answered here too, one after another, so an act and a decision never cross.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from engine.dispatch.local import LocalDispatch
from engine.domain.fleet import MountWeight, Package
from engine.domain.health import HealthSeen
from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError
from engine.domain.progress import OrderProgress, RunProgress
from engine.domain.states import Act, CommandState, Direction, NodeState, OrderState, RunState
from engine.plan.back import plan_cancel, plan_rollback
from engine.plan.in_service import floors_of, server_groups
from engine.plan.next import MOVING, Decision, decide, weights_left_at_zero
from engine.plan.release import plan_release
from engine.plan.what_if import consequence
from engine.plan.what_if_words import named
from engine.ports import Balancers, Clock, Packages, Remote
from engine.run import acts
from engine.run.background import Background
from engine.run.health import of_balancers
from engine.run.health_watch import HealthWatch
from engine.run.host_run import HostRun
from engine.run.initialise import Checked, Expiring, fleet_of, floor_broken, initialise, record
from engine.run.journal import Journal, StaleEpoch
from engine.run.ledger import Ledger
from engine.run.order_context import OrderContext
from engine.store import orders as rows
from engine.store import tables as t
from engine.store.fleets import InstanceFacts, deployable_versions, load_instance, load_package
from engine.store.store import Store, StoreError

log = logging.getLogger(__name__)
STORE_PAUSE_S = 1.0
BREAKS = 3  # a host run that broke so often in a row is a failed one
_SENT_COMMANDS = (
    sa.select(t.command)
    .where(t.command.c.order_id == sa.bindparam("order_id"), t.command.c.state == "sent")
    .order_by(t.command.c.id)
)
# Between two decisions, which cost the more the more hosts there are: many ends become one decision.
REST_PER_HOST_S = 0.0002


@dataclass(frozen=True, slots=True)
class Ports:
    """What an order of one workspace reaches the world through."""

    store: Store
    journal: Journal
    ledger: Ledger
    remote: Remote
    packages: Packages
    balancers: Balancers
    clock: Clock
    log_dir: Path
    dispatch: LocalDispatch
    background: Background
    expiring: Expiring = lambda by: ()


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
        self._active: dict[tuple[Direction, str], HostRun] = {}
        self._breaks: dict[tuple[Direction, str], list[BaseException]] = defaultdict(list)
        self._checking: asyncio.Task[None] | None = None
        self._health = HealthWatch(order_id, epoch, ports.ledger, self.wake)
        self._rest_s = 0.0
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
            await self._ports.dispatch.cancel([self._key(run) for run in self._active])

    async def _turn(self) -> bool:
        """Answer what was asked, then move on; True when the order is complete. A store that is away is waited for."""
        try:
            await self._answer_commands()
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
        self.quiet = decision.order in (OrderState.READY, OrderState.INIT_FAILED, OrderState.DRAFT)
        if decision.order is OrderState.INITIALISING:
            self._check()
            return False
        if decision.order.complete:
            return True
        self._health.look_at(tuple(server_groups(progress)) if decision.order in MOVING else ())
        turning = _turning_back(progress)
        await self._hand_out(progress, advanced.start, stop=turning)
        return False

    def _decide_and_write(self, conn: sa.Connection) -> _Advanced:
        progress, now = rows.load_progress(conn, self.order_id), self._now()
        if _turning_back(progress) and not _running(progress):
            progress = self._go_back(conn, progress, now)
        if _turning_back(progress):
            return _Advanced(progress, Decision(progress.state), ())
        decision = decide(progress)
        plan = progress.current_plan
        if plan is None:
            return _Advanced(progress, decision, ())
        for key, state in decision.nodes.items():
            rows.set_node_state(conn, progress, plan, key, state, now)
        start = tuple(progress.runs[plan.direction, host] for host in decision.start)
        for run in start:
            rows.start_run(conn, progress.id, plan.direction, run, plan.hosts[run.host].steps, now)
            rows.set_host(conn, progress.workspace_id, run.host, state="deploying")
        if decision.order is not progress.state:
            problem = _why_halted(progress, decision) if decision.order is OrderState.HALTED else None
            rows.set_order_state(conn, progress, decision.order, now, problem=problem)
            if decision.order.complete:
                given = decision.order in (OrderState.SUCCEEDED, OrderState.ROLLED_BACK)
                hosts = {line.mount.host for line in progress.weights} if given else set()
                rows.release_weights(conn, progress.id, decided=hosts)
            if decision.order is OrderState.SUCCEEDED:
                _record_success(conn, progress, now)
        return _Advanced(progress, decision, start)

    def _go_back(self, conn: sa.Connection, progress: OrderProgress, now: float) -> OrderProgress:
        if progress.state is OrderState.CANCELLING:
            plan = plan_cancel(progress)
        else:
            plan = plan_rollback(progress, _asked_version(conn, progress.id))
        acts.turn_back(conn, progress, now)
        rows.insert_plan(conn, progress.id, plan, now)
        rows.update_order(conn, progress.id, now, direction=str(Direction.BACK))
        return rows.load_progress(conn, progress.id)

    async def _hand_out(self, progress: OrderProgress, start: tuple[RunProgress, ...], *, stop: bool) -> None:
        """Start the new runs, and those that an earlier engine left running; stop them all when the order turns back."""
        plan = progress.current_plan
        if plan is None:
            return
        wanted = [(plan.direction, run) for run in start]
        wanted += [(direction, run) for (direction, _), run in progress.runs.items() if run.state is RunState.RUNNING]
        new = [(direction, run) for direction, run in wanted if not self._handed_out(direction, run)]
        if new:
            context, steps = await self._ports.background.call(self._read_context, progress, new)
            for direction, run in new:
                its_plan = progress.back_plan if direction is Direction.BACK else progress.plan
                assert its_plan is not None, "a run without a plan"
                host_steps = list(steps[direction][run.host, run.attempt])
                breaks = self._breaks[direction, run.host]
                broken = _run_broke(run.host, breaks[-1]) if len(breaks) >= BREAKS else None
                self._dispatch(HostRun(context, direction, run, its_plan.hosts[run.host], host_steps, broken=broken))
        for host_run in self._active.values():
            host_run.hold(progress.paused)
            if stop:
                host_run.stop()

    def _handed_out(self, direction: Direction, run: RunProgress) -> bool:
        return (direction, run.host) in self._active

    def _read_context(
        self, progress: OrderProgress, new: list[tuple[Direction, RunProgress]]
    ) -> tuple[OrderContext, dict[Direction, dict[tuple[str, int], Any]]]:
        with self._ports.store.reading() as conn:
            facts = load_instance(conn, progress.service_instance_id, hosts=[run.host for _, run in new])
            versions = {run.to_version for _, run in new}
            found = {version: load_package(conn, facts.app_id, version) for version in versions}
            steps = {
                direction: rows.load_steps(
                    conn, self.order_id, direction, hosts=[run.host for d, run in new if d is direction]
                )
                for direction in {d for d, _ in new}
            }
        packages = {version: package for version, package in found.items() if package is not None}
        return self._context(progress, facts, packages), steps

    def _context(self, progress: OrderProgress, facts: InstanceFacts, versions: dict[str, Package]) -> OrderContext:
        ports = self._ports
        return OrderContext(
            order_id=self.order_id,
            created_at=progress.created_at,
            epoch=self.epoch,
            facts=facts,
            versions=versions,
            remote=ports.remote,
            packages=ports.packages,
            ledger=ports.ledger,
            journal=ports.journal,
            clock=ports.clock,
            log_dir=ports.log_dir,
            floors=floors_of(progress),
        )

    def _dispatch(self, host_run: HostRun) -> None:
        key = (host_run.direction, host_run.run.host)
        self._active[key] = host_run
        self._ports.dispatch.start(self._key(key), host_run.go, lambda error: self._run_ended(key, error))

    def _key(self, run: tuple[Direction, str]) -> Hashable:
        return (self.order_id, self.epoch, *run)

    def _run_ended(self, key: tuple[Direction, str], error: BaseException | None) -> None:
        """A run that broke instead of ending has left its rows as they were: it is handed out again, after a pause."""
        self._active.pop(key, None)
        if error is None or isinstance(error, StaleEpoch):
            self._breaks.pop(key, None)
            self.wake()
            return
        log.error("order %s, host %s: the run broke", self.order_id, key[1], exc_info=error)
        if not isinstance(error, StoreError):
            self._breaks[key].append(error)
        asyncio.get_running_loop().call_later(STORE_PAUSE_S, self.wake)

    # ---------------------------------------------------------------------------------------------------- initialising

    def _check(self) -> None:
        """Beside the reconciler: a check takes as long as the slowest host, and the order can be cancelled meanwhile."""
        if self._checking is None:
            self._checking = asyncio.create_task(self._initialise(), name=f"check of order {self.order_id}")
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

    async def _initialise(self) -> None:
        progress, facts, package, others = await self._ports.background.call(self._read_for_check)
        try:
            checked = await initialise(
                facts,
                progress.spec,
                package,
                others=others,
                remote=self._ports.remote,
                packages=self._ports.packages,
                balancers=self._ports.balancers,
                clock=self._ports.clock,
                expiring=self._ports.expiring,
            )
        except ProblemError as error:
            checked = Checked(None, (("", error.problem),))
        await self._write(lambda conn: self._write_checked(conn, checked))

    def _read_for_check(self) -> tuple[OrderProgress, InstanceFacts, Package | None, list[int]]:
        with self._ports.store.reading() as conn:
            progress = rows.load_progress(conn, self.order_id)
            facts = load_instance(conn, progress.service_instance_id)
            package = load_package(conn, facts.app_id, progress.spec.version)
            others = rows.open_orders_of_instance(conn, progress.service_instance_id, besides=self.order_id)
        return progress, facts, package, others

    def _write_checked(self, conn: sa.Connection, checked: Checked) -> None:
        progress, now = rows.load_progress(conn, self.order_id), self._now()
        if progress.state is not OrderState.INITIALISING:
            return
        problems = [{"host": host, "problem": problem.to_json()} for host, problem in checked.problems]
        rows.update_order(conn, self.order_id, now, problems=problems)
        if checked.plan is None:
            rows.set_order_state(conn, progress, OrderState.INIT_FAILED, now, problem=checked.problems[0][1])
            return
        rows.insert_plan(conn, self.order_id, checked.plan, now)
        rows.insert_weights(conn, self.order_id, checked.plan, now, checked.health)
        rows.set_node_state(conn, progress, checked.plan, "initialise", NodeState.SUCCEEDED, now)
        rows.set_order_state(conn, progress, OrderState.READY, now)
        for _, problem in checked.problems:
            rows.add_event(conn, self.order_id, now, "warning", {"problem": problem.to_json()})

    # -------------------------------------------------------------------------------------------------------- commands

    async def _answer_commands(self) -> None:
        for command in await self._ports.background.call(self._read_commands):
            await self._answer(command)

    def _read_commands(self) -> list[sa.Row[Any]]:
        with self._ports.store.reading() as conn:
            return list(conn.execute(_SENT_COMMANDS, {"order_id": self.order_id}))

    async def _answer(self, command: sa.Row[Any]) -> None:
        refusal = await self._write(lambda conn: self._refusal(conn, command))
        if refusal is None and command.act == str(Act.START):
            refusal = await self._changed_since_plan()
        if refusal is None and command.act == str(Act.SET_WEIGHTS):
            refusal = await self._set_weights(command.params)
        await self._write(lambda conn: self._write_answer(conn, command, refusal))

    def _refusal(self, conn: sa.Connection, command: sa.Row[Any]) -> Problem | None:
        progress = rows.load_progress(conn, self.order_id)
        if progress.state.complete:  # an act before this one has ended it
            return acts.order_ended(self.order_id, progress.state)
        facts = load_instance(conn, progress.service_instance_id)
        meaning = consequence(
            progress,
            Act(command.act),
            command.params,
            succeeded_versions=deployable_versions(conn, progress.service_instance_id),
            production=facts.production,
            now=self._now(),
        )
        return None if meaning.allowed else meaning.refusal

    def _write_answer(self, conn: sa.Connection, command: sa.Row[Any], refusal: Problem | None) -> None:
        now = self._now()
        if not acts.unanswered(conn, command):
            return  # written before, and the answer to that was lost
        refusal = refusal or self._refusal(conn, command)  # asked again: the rows may have moved on since
        if refusal is not None:
            acts.answer(conn, command, CommandState.REFUSED, now, refusal)
            return
        acts.carry_out(conn, rows.load_progress(conn, self.order_id), command, now)
        acts.answer(conn, command, CommandState.ACCEPTED, now)
        # What follows is written with the answer: whoever looks after it must not find the order waiting for this very act.
        self._decide_and_write(conn)

    async def _changed_since_plan(self) -> Problem | None:
        """The plan was made of a fleet, weights and a package: if one of them is another now, it is not the plan any more."""
        progress, facts, package, others = await self._ports.background.call(self._read_for_check)
        if others:
            return Problem(
                "open_order",
                message("Order #{id} is open on {app} or one of its hosts.", id=others[0], app=facts.app),
                message("Bring it to its end or cancel it, then start this one."),
            )
        recorded = await record(facts, package, packages=self._ports.packages, balancers=self._ports.balancers)
        if recorded.problems:
            return recorded.problems[0][1]
        told = await of_balancers((line.mount for line in recorded.weights), self._ports.balancers)
        ours = {line.mount: line.own_health for line in progress.weights}
        health = {mount: HealthSeen(said, ours.get(mount)) for mount, said in told.items()}
        fleet = fleet_of(facts, recorded.weights, self._now(), health)
        now_plan = plan_release(progress.spec, fleet, recorded.package_facts)
        if progress.plan is not None and now_plan.fleet_hash == progress.plan.fleet_hash:
            died = now_plan.breaks_floor and not progress.plan.breaks_floor and not progress.spec.override_reason
            return floor_broken(now_plan) if died else None
        return Problem(
            "fleet_changed",
            message("Hosts, weights or the package of {app} changed since this order was checked.", app=facts.app),
            message("Initialise the order again, look at the plan, then start it."),
        )

    async def _set_weights(self, params: dict[str, Any]) -> Problem | None:
        progress = await self._ports.background.call(self._read_progress)
        asked = {str(host): int(weight) for host, weight in dict(params.get("weights") or {}).items()}
        moves = [
            MountWeight(line.mount, asked[line.mount.host]) for line in progress.weights if line.mount.host in asked
        ]
        floors = floors_of(progress)
        results = await self._ports.ledger.move(
            self.order_id, self.epoch, moves, owned=True, by_hand=True, floors=floors
        )
        return next((result.problem for result in results if result.problem), None)

    # ------------------------------------------------------------------------------------------------------------ rows

    def _read_progress(self) -> OrderProgress:
        with self._ports.store.reading() as conn:
            return rows.load_progress(conn, self.order_id)

    async def _write(self, change: Any) -> Any:
        return await self._ports.journal.write(self.order_id, self.epoch, change)

    def _now(self) -> float:
        return self._ports.clock.now()


def _run_broke(host: str, error: BaseException) -> Problem:
    return Problem(
        "run_broke",
        message("The engine could not go on with {host}: it broke {times} times in a row.", host=host, times=BREAKS),
        message("Read the engine's log, solve what it names (a full disk?), then retry the host."),
        f"{type(error).__name__}: {error}",
    )


def _turning_back(progress: OrderProgress) -> bool:
    """A cancel or rollback was accepted and the way back is not planned yet: first everything that runs is stopped."""
    back = (OrderState.CANCELLING, OrderState.ROLLING_BACK)
    return progress.state in back and progress.direction is Direction.FORWARD


def _running(progress: OrderProgress) -> bool:
    return any(run.state is RunState.RUNNING for run in progress.runs.values())


def _asked_version(conn: sa.Connection, order_id: int) -> str | None:
    """The version the accepted rollback named, if it named one."""
    params = conn.execute(
        sa.select(t.command.c.params)
        .where(
            t.command.c.order_id == order_id,
            t.command.c.act == str(Act.ROLL_BACK),
            t.command.c.state == str(CommandState.ACCEPTED),
        )
        .order_by(t.command.c.id.desc())
    ).scalar()
    return (params or {}).get("version") or None


def _why_halted(progress: OrderProgress, decision: Decision) -> Problem | None:
    silent = tuple(dict.fromkeys(ln.mount.host for ln in progress.weights if ln.believed > 0 and not ln.serves))
    if decision.held_by_floor and silent:
        return Problem(
            "floor_reached",
            message("No further host of {app} may leave its balancer: these have a weight and do not answer: {hosts}.",
                    app=progress.spec.app, hosts=named(silent)),
            message("Bring them back into service (the order goes on by itself then), or roll back."),
        )  # fmt: skip
    if decision.held_by_floor:
        return Problem(
            "floor_reached",
            message(
                "No further host of {app} may leave the balancer without breaking the floor.", app=progress.spec.app
            ),
            message("Bring hosts back into service (retry the failed ones, give weights), or roll back."),
        )
    failed = [run for run in progress.runs.values() if run.state is RunState.FAILED and run.problem is not None]
    if failed:
        return failed[0].problem
    left = weights_left_at_zero(progress)
    if not left or progress.paused:
        return None
    return Problem(
        "weight_left_at_zero",
        message("These hosts took traffic before the order and would end without: {hosts}.", hosts=", ".join(left)),
        message("Give them a weight, or roll back."),
    )


def _record_success(conn: sa.Connection, progress: OrderProgress, now: float) -> None:
    instance, version = progress.service_instance_id, progress.spec.version
    conn.execute(
        sa.update(t.service_instance).where(t.service_instance.c.id == instance).values(current_version=version)
    )
    conn.execute(
        sa.insert(t.succeeded_version).values(
            service_instance_id=instance, version=version, order_id=progress.id, at=now
        )
    )
