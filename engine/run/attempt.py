"""One attempt of one host in one node: where its rows stand, and how each change gets there. It decides nothing.

A step's *running* row is committed before its effect, its outcome after it. What a step sets about its host, and that it touches
it, is written in the same transaction as the step.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from engine.domain.log_path import job_key, log_path
from engine.domain.orders import HostPlan
from engine.domain.problem import Problem, ProblemError
from engine.domain.progress import RunProgress, StepProgress, leaves_host
from engine.domain.states import Health, RunState, StepState
from engine.domain.steps import HEALTH, StepPlan, Traffic
from engine.ports import Job, RemoteError
from engine.run.leaving_rows import write_as_it_is
from engine.run.logs import HostLog
from engine.run.order_context import OrderContext
from engine.store.fleets import set_host
from engine.store.host_runs import end_run, go_on_with, hold_run, set_step, touch_run
from engine.store.progress import load_progress
from engine.store.store import Transaction
from engine.store.weight_calls import keep_at_zero
from engine.store.weights import write_own_health


class Failed(Exception):
    """A step ended badly: its outcome row is written, the run ends with this problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Stopped(Exception):
    """The run was told to stop and has stopped what it had running on the host."""

    def __init__(self, problem: Problem | None = None) -> None:
        super().__init__("stopped")
        self.problem = problem


class Held(Exception):
    """The order is paused and the run stands between two steps; its rows say so."""


class Withdrawn(Exception):
    """The step at the balancer was given up before it was done, because the order was paused or turned back."""


class Again(Exception):
    """Nobody knows what became of a step that does no harm when it is done again: the host is tried once more."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


Earlier = tuple[RunProgress, HostPlan]  # an attempt before this one, and what it was to do


@dataclass(slots=True, eq=False)
class Attempt:
    """`earlier` are the order's attempts on this host before this one, the latest first. `unseen`: a job may have gone on where we
    could not look."""

    context: OrderContext
    run: RunProgress
    plan: HostPlan
    steps: list[StepProgress]
    earlier: tuple[Earlier, ...] = ()
    unseen: bool = field(default=False, init=False)

    @property
    def host(self) -> str:
        return self.run.host

    @property
    def untouched_yet(self) -> bool:
        """Nothing of this attempt has begun."""
        return not any(step.begun for step in self.steps)

    def plan_of(self, step: StepProgress) -> StepPlan:
        return self.plan.steps[step.position]

    def open_log(self) -> HostLog:
        path = log_path(self.context.log_dir, self.context.order_id, self.host, self.run.job, self.run.attempt)
        return HostLog(path, new=self.untouched_yet)

    def current(self) -> StepProgress:
        """The running step, else the first that is not complete."""
        running = (step for step in self.steps if step.state is StepState.RUNNING)
        pending = (step for step in self.steps if not step.state.complete)
        return next(running, None) or next(pending, self.steps[-1])

    @property
    def stands_at(self) -> str:
        """The first step that is not done."""
        done = (StepState.SUCCEEDED, StepState.SKIPPED)
        return next((step.key for step in self.steps if step.state not in done), "")

    def named(self, key: str) -> StepProgress | None:
        return next((step for step in self.steps if step.key == key), None)

    def job_named(self, key: str) -> Job:
        """A job by its name only, enough to stop it. Raises RemoteError: a host that has left the app can't be reached any more."""
        try:
            host = self.context.host(self.plan)
        except ProblemError as error:
            raise RemoteError(error.problem) from error
        return Job(self.context.order_id, host, key, self.context.epoch, (), order_created_at=self.context.created_at)

    @property
    def job_key(self) -> str:
        return job_key(self.run.job, self.run.attempt)

    def now(self) -> float:
        return self.context.clock.now()

    # ------------------------------------------------------------------------------------------------------------ writing

    async def begin(self, step: StepProgress, log: HostLog) -> None:
        log.heading(step.key, self.now())
        await self._set(step, StepState.RUNNING)

    async def finish(self, step: StepProgress, state: StepState, problem: Problem | None = None) -> None:
        await self._set(step, state, problem)

    async def fail(self, step: StepProgress, state: StepState, problem: Problem) -> None:
        """Raises Failed."""
        await self._set(step, state, problem)
        raise Failed(problem)

    async def end(self, state: RunState, problem: Problem | None) -> None:
        now, context = self.now(), self.context

        def change(conn: Transaction) -> None:
            # one that leaves failed where it stood before
            failed_at = self.stands_at if state is RunState.FAILED and not self.run.leaving else ""
            end_run(conn, context.order_id, self.run, state, now, problem, failed_at=failed_at)
            touched = self.run.touched
            if self._may_have_touched():
                touch_run(conn, context.order_id, self.run)
                touched = True
            if self.run.leaving:
                healthy = state is RunState.SKIPPED and problem is None
                write_as_it_is(conn, load_progress(conn, context.order_id), self.run.key, healthy=healthy)
                return
            left = leaves_host(self.plan, state, touched=touched, skips=self.run.skips)
            set_host(conn, context.workspace_id, self.host, state=str(left))

        await context.journal.write(context.order_id, context.epoch, change)

    async def give_up(self, problem: Problem) -> None:
        """It broke too often before it began: a failed run, whose job may go on unseen."""
        step = self.current()
        remote = (each for each in self.steps if not self.plan_of(each).on_balancer)
        self.unseen = any(each.begun for each in remote)
        if step.state is StepState.RUNNING:
            await self._set(step, StepState.FAILED, problem)
        await self.end(RunState.FAILED, problem)

    async def end_and_try_again(self, problem: Problem) -> None:
        """In one transaction: a step that stands cancelled in a run that goes on would be read as the end of the run."""
        now, context, step = self.now(), self.context, self.current()

        def change(conn: Transaction) -> None:
            if step.state is StepState.RUNNING:
                self._write_step(conn, step, StepState.CANCELLED, now, problem)
            elif self._may_have_touched():
                touch_run(conn, context.order_id, self.run)
            end_run(conn, context.order_id, self.run, RunState.FAILED, now, problem)
            go_on_with(conn, context.order_id, self.run, now)

        await context.journal.write(context.order_id, context.epoch, change)

    async def hold(self, before: StepProgress) -> bool:
        """Stand still before this step, if the order is paused; False: it is not (any more)."""
        now, context = self.now(), self.context

        def change(conn: Transaction) -> bool:
            held = hold_run(conn, context.order_id, self.run, before.key, now)
            if held and before.state is StepState.RUNNING:  # it waited for its balancer: it is taken anew
                self._write_step(conn, before, StepState.PENDING, now, None)
            return held

        return await context.journal.write(context.order_id, context.epoch, change)

    async def _set(self, step: StepProgress, state: StepState, problem: Problem | None = None) -> None:
        """Commit the step's new state, with what it means for the host, then remember it."""
        now, context = self.now(), self.context
        touches = self._touches(step, state)
        await context.journal.write(
            context.order_id, context.epoch, lambda conn: self._write_step(conn, step, state, now, problem)
        )
        self.steps[step.position] = replace(step, state=state, problem=problem)
        if touches:
            self.run = replace(self.run, touched=True)

    def _write_step(
        self, conn: Transaction, step: StepProgress, state: StepState, now: float, problem: Problem | None
    ) -> None:
        order_id = self.context.order_id
        set_step(conn, order_id, self.run, step, state, now, epoch=self.context.epoch, problem=problem)
        if self._touches(step, state):
            touch_run(conn, order_id, self.run)
        if HEALTH in self.plan_of(step).sets and state in (StepState.SUCCEEDED, StepState.FAILED, StepState.TIMED_OUT):
            found = Health.HEALTHY if state is StepState.SUCCEEDED else Health.UNHEALTHY
            write_own_health(conn, order_id, self.host, found)
        if state is StepState.SUCCEEDED and self.plan_of(step).traffic is Traffic.STAYS_OUT:
            keep_at_zero(conn, order_id, self.host)
        if state is StepState.SUCCEEDED:
            set_facts(conn, self.context, self.plan, self.plan_of(step))

    def _touches(self, step: StepProgress, state: StepState) -> bool:
        """Whether the host may no longer be what it was, so that a way back must count with it."""
        done = state not in (StepState.CANCELLED, StepState.SKIPPED)
        return (self.plan_of(step).touches and done) or self._may_have_touched()

    def _may_have_touched(self) -> bool:
        """The job was lost sight of before the step that touches the host was seen to begin."""
        touching = next((step for step in self.steps if self.plan_of(step).touches), None)
        return self.unseen and touching is not None and touching.state is StepState.PENDING


def set_facts(conn: Transaction, context: OrderContext, plan: HostPlan, step: StepPlan) -> None:
    """What the step's success means for the host."""
    facts = {"version": plan.after.version, "state": str(plan.after.state)}
    values = {name: facts[name] for name in step.sets if name in facts}
    if values:
        set_host(conn, context.workspace_id, plan.host, **values)
