"""One host through its steps, forward or back, from wherever its rows say it is.

A pause takes effect before the next step on the balancer and before a job: the consecutive remote steps are one program on the host
and run to their end. A step whose outcome nobody knows is settled by its policy (`engine.domain.in_doubt`).

The steps on the balancer are done here through the ledger; the consecutive remote steps are one job on the host that is started
or re-attached to. A step's *running* row is committed before its effect, its outcome after it. A failed step ends the run: the
host keeps weight 0 until a person decides. Nothing in here decides what other hosts do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from shlex import quote

import sqlalchemy as sa

from engine.diagnose import explain
from engine.domain.fleet import Host, MountWeight
from engine.domain.in_doubt import POLICIES, RERUNS, InDoubt
from engine.domain.log_path import log_path
from engine.domain.message import message
from engine.domain.orders import HostPlan
from engine.domain.problem import Problem, ProblemError
from engine.domain.progress import RunProgress, StepProgress
from engine.domain.states import Direction, Health, OrderState, RunState, StepName, StepState
from engine.ports import Job, JobEnded, LogBytes, RemoteError, StepEnded, StepStarted, StopOutcome
from engine.run.logs import HostLog
from engine.run.order_context import OrderContext, job_key
from engine.run.weight_rows import MoveResult
from engine.steps.context import ReleaseContext, parameter, port, seconds, variables
from engine.steps.drain import drain_script
from engine.steps.release import remote_steps
from engine.store import orders as rows

BALANCER_STEPS = (StepName.CUT_TRAFFIC, StepName.RESTORE_TRAFFIC)
DRAIN_GRACE_S = 20.0
SERVES_WITHIN_S = 60.0
DEFAULT_DRAIN_S = 10.0
_NO_RECORD = ("job_vanished", "remote_deadline")


class _Failed(Exception):
    """A step ended badly: its outcome row is written, the run ends with this problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class _Stopped(Exception):
    """The run was told to stop and has stopped what it had running on the host."""

    def __init__(self, problem: Problem | None = None) -> None:
        super().__init__("stopped")
        self.problem = problem


class _Held(Exception):
    """The order is paused and the run stands between two steps; its rows say so."""


class _Again(Exception):
    """Nobody knows what became of a step that does no harm when it is done again: the host is tried once more."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True, slots=True)
class _Earlier:
    """An attempt before this one, and the version it deploys."""

    direction: Direction
    attempt: int
    version: str


@dataclass(slots=True, eq=False)
class HostRun:
    """Run it once with `await go()`; `stop()` makes it end soon, with what runs on the host stopped and verified; `hold()` makes it
    stand still between two steps if the order is paused."""

    context: OrderContext
    direction: Direction
    run: RunProgress
    plan: HostPlan
    steps: list[StepProgress]
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    holding: bool = False
    broken: Problem | None = None  # why it is given up before it begins: it broke too often
    unseen: bool = field(default=False, init=False)  # a job may have gone on where we could not look

    async def go(self) -> None:
        """To the end of the run, written down. Raises StaleEpoch when the order was taken over, StoreError when the store failed;
        being cancelled leaves the rows as they are and the job running on the host: a successor goes on from there."""
        if self.broken is not None:
            await self._give_up(self.broken)
            return
        log = HostLog(self._log_path(), new=all(step.state is StepState.PENDING for step in self.steps))
        try:
            await self._go(log)
        finally:
            log.close()

    def stop(self) -> None:
        self.stopping.set()

    def hold(self, paused: bool) -> None:
        self.holding = paused

    async def _go(self, log: HostLog) -> None:
        try:
            self._log_in_anew()
            await self._stop_earlier_job()
            await self._steps(log)
        except _Failed as failed:
            log.heading(f"{failed.problem.what} {failed.problem.remedy}", self._now())
            await self._end(RunState.FAILED, failed.problem)
        except _Stopped as stopped:
            log.heading("stopped", self._now())
            await self._end(RunState.CANCELLED, stopped.problem)
        except _Held:
            log.heading("the order is paused", self._now())
        except _Again as again:
            log.heading(f"{again.problem.what} It is tried again.", self._now())
            await self._end_and_try_again(again.problem)
        else:
            await self._end(RunState.SUCCEEDED, None)

    async def _steps(self, log: HostLog) -> None:
        at = 0
        while at < len(self.steps):
            step = self.steps[at]
            if step.state.halts and step.problem is not None:
                raise _Failed(step.problem)
            if step.state is StepState.CANCELLED:
                raise _Stopped(step.problem)
            if self.holding and self._between_programs(at):
                await self._stand_still(step)
            if step.state.complete:
                at += 1
            elif self.stopping.is_set():
                await self._stop_here(at, log)
            elif step.name in BALANCER_STEPS:
                await self._balancer_step(step, log)
                at += 1
            else:
                block = self._remote_block(at)
                await self._remote(block, log)
                at = block[-1].position + 1

    def _remote_block(self, at: int) -> list[StepProgress]:
        """The consecutive remote steps around `at`, those already complete included: they are one job on the host."""
        start = at
        while start > 0 and self.steps[start - 1].name not in BALANCER_STEPS:
            start -= 1
        end = at
        while end < len(self.steps) and self.steps[end].name not in BALANCER_STEPS:
            end += 1
        return self.steps[start:end]

    # -------------------------------------------------------------------------------------------------------- balancer

    async def _balancer_step(self, step: StepProgress, log: HostLog) -> None:
        await self._begin(step, log)
        if step.name is StepName.CUT_TRAFFIC:
            await self._cut(step, log)
        elif self.plan.restore_to or not self.plan.recorded:
            await self._move(step, log, self.plan.restore_to, owned=False)
            await self._until_it_serves(log)
        else:
            log.heading("gray: this host's weight is given by hand", self._now())
            await self._finish(step, StepState.SKIPPED)
            return
        await self._finish(step, StepState.SUCCEEDED)

    async def _until_it_serves(self, log: HostLog) -> None:
        """The next group leaves only when this host takes traffic again, so its balancer is given time to see that it answers.
        One that still says no after that keeps its weight and counts as out of service."""
        mounts = [line.mount for line in self.plan.restore_to if line.weight > 0]
        if not mounts:
            return
        silent = await self.context.ledger.until_healthy(
            self.context.order_id, self.context.epoch, mounts, within_s=SERVES_WITHIN_S, enough=self.stopping.is_set
        )
        for mount in silent:
            log.heading(f"the health check of {mount.server_group} does not pass yet: not in service", self._now())

    async def _cut(self, step: StepProgress, log: HostLog) -> None:
        zero = tuple(MountWeight(line.mount, 0) for line in self.plan.recorded)
        await self._move(step, log, zero, owned=True)
        if zero:
            await self._drain(step, log)

    async def _move(self, step: StepProgress, log: HostLog, weights: Sequence[MountWeight], *, owned: bool) -> None:
        if not weights:
            log.heading("not mounted on a load balancer: no traffic to move", self._now())
            return
        results = await self.context.ledger.move(
            self.context.order_id,
            self.context.epoch,
            weights,
            owned=owned,
            floors=self.context.floors,
            told=lambda problem: log.heading(f"{problem.what} It is asked again.", self._now()),
        )
        for result in results:
            log.heading(_weight_line(result), self._now())
        problem = next((result.problem for result in results if result.problem), None)
        if problem is not None:
            await self._fail(step, StepState.FAILED, problem)

    async def _drain(self, step: StepProgress, log: HostLog) -> None:
        """Give running requests time to end: the balancer has no drain timer of its own."""
        try:
            host, ports, drain_s = self._drain_plan()
        except ProblemError as error:
            await self._fail(step, StepState.FAILED, error.problem)
            return
        if not ports or drain_s <= 0:
            return
        script = drain_script(host, sorted(ports), drain_s)
        try:
            result = await self.context.remote.run(host, script, deadline_s=drain_s + DRAIN_GRACE_S)
        except RemoteError as error:
            await self._fail(step, StepState.FAILED, error.problem)
            return
        log.output(result.output, log.offset)
        if result.exit_status is None:
            log.heading(f"the link broke while draining: waiting {drain_s:g} s instead", self._now())
            await self.context.clock.sleep(drain_s)

    def _drain_plan(self) -> tuple[Host, set[int], float]:
        """The app's ports on the host and how long to wait for them. Raises ProblemError for a value that is no number."""
        context = self._release_context(())
        host, stack = context.host, context.stack
        ports = {line.mount.port for line in self.plan.recorded if line.mount.port}
        if not ports and parameter(context, "app_port", ""):
            ports = {port(host, stack, "app_port", "")}
        wanted = parameter(context, "drain_s", str(DEFAULT_DRAIN_S))
        return host, ports, 0.0 if wanted.strip() == "0" else seconds(context, "drain_s", DEFAULT_DRAIN_S)

    # ---------------------------------------------------------------------------------------------------------- remote

    async def _remote(self, block: list[StepProgress], log: HostLog) -> None:
        first = next(step for step in block if not step.state.complete)
        began = any(step.state is not StepState.PENDING for step in block)
        if first.state is not StepState.RUNNING:
            await self._begin(first, log)  # the intent of the whole job: committed before anything is started
        try:
            job = self._job(tuple(step.name for step in block))
        except ProblemError as error:
            self.unseen = self.unseen or began  # a job that had begun goes on, and nobody looks
            await self._fail(self._current(), StepState.FAILED, error.problem)
            return
        follow = asyncio.create_task(self._follow(job, log))
        stop = asyncio.create_task(self.stopping.wait())
        try:
            await asyncio.wait({follow, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            if not follow.done():
                follow.cancel()
                await asyncio.gather(follow, return_exceptions=True)
        if follow.cancelled():
            await self._stop_job(log)
        else:
            follow.result()

    def _job(self, names: tuple[StepName, ...]) -> Job:
        context = self._release_context(names)
        return Job(
            order_id=self.context.order_id,
            host=context.host,
            key=job_key(self.direction, self.run.attempt),
            epoch=self.context.epoch,
            steps=remote_steps(names, context),
            variables=variables(context),
            order_created_at=self.context.created_at,
        )

    async def _follow(self, job: Job, log: HostLog) -> None:
        try:
            async for event in self.context.remote.follow(job, log.offset):
                match event:
                    case LogBytes(data, offset):
                        log.output(data, offset)
                    case StepStarted(name, _, offset):
                        await self._remote_step_started(name, offset, log)
                    case StepEnded():
                        await self._remote_step_ended(event, log)
                    case JobEnded(stopped, _):
                        await self._job_ended(stopped)
        except RemoteError as error:
            await self._lost(error.problem, log)

    async def _lost(self, problem: Problem, log: HostLog) -> None:
        """The host can't be asked, or can't say what became of the step: then the step's policy decides."""
        self.unseen = True
        step = self._current()
        if problem.code != "job_vanished":
            await self._fail(step, StepState.FAILED, problem)
        began = step.state is StepState.RUNNING
        policy = POLICIES[step.name] if began else InDoubt.RERUN
        if policy is InDoubt.PROBE:
            await self._probe(step, log)
        elif policy is InDoubt.RERUN and self.run.attempt <= RERUNS:
            raise _Again(problem)
        else:
            await self._fail(step, StepState.FAILED, _ask_a_person(step.name, self.run.host, problem))

    async def _probe(self, step: StepProgress, log: HostLog) -> None:
        """Ask the world itself: a check changes nothing, so it is made anew, apart from the job that is gone."""
        context = self._release_context((step.name,))
        (built,) = remote_steps((step.name,), context)
        exports = [f"export {name}={quote(value)}" for name, value in variables(context).items()]
        script = "\n".join([*exports, built.body])
        try:
            result = await self.context.remote.run(context.host, script, deadline_s=built.deadline_s)
        except RemoteError as error:
            await self._fail(step, StepState.FAILED, error.problem)
            return
        log.output(result.output, log.offset)
        if result.exit_status == 0:
            await self._finish(step, StepState.SUCCEEDED)
            return
        tail = result.output[-8192:].decode("utf-8", "replace")
        status = -1 if result.exit_status is None else result.exit_status
        app = self.context.facts.app
        await self._fail(step, StepState.FAILED, explain(step.name, status, False, tail, host=self.run.host, app=app))

    async def _remote_step_started(self, name: StepName, offset: int, log: HostLog) -> None:
        """The log's mark passes a record only when its row is committed: a successor would never hear of it otherwise."""
        step = self._named(name)
        if step.state is StepState.PENDING:
            await self._begin(step, log)
        log.offset = max(log.offset, offset)

    async def _remote_step_ended(self, event: StepEnded, log: HostLog) -> None:
        step = self._named(event.step)
        if not step.state.complete:
            if event.exit_status == 0 and not event.timed_out:
                await self._finish(step, StepState.SUCCEEDED)
            else:
                problem = explain(
                    step.name,
                    event.exit_status,
                    event.timed_out,
                    log.tail(),
                    host=self.run.host,
                    app=self.context.facts.app,
                )
                await self._fail(step, StepState.TIMED_OUT if event.timed_out else StepState.FAILED, problem)
        log.offset = max(log.offset, event.offset)
        log.mark()

    async def _job_ended(self, stopped: bool) -> None:
        remote = [step for step in self.steps if step.name not in BALANCER_STEPS]
        if stopped:
            raise _Stopped
        failed = next((step for step in remote if step.state.halts), None)
        if failed is not None and failed.problem is not None:
            raise _Failed(failed.problem)
        if not all(step.state.complete for step in remote):
            await self._fail(
                self._current(),
                StepState.FAILED,
                Problem(
                    "job_incomplete",
                    message("The job on {host} ended before all of its steps did.", host=self.run.host),
                    message("Read the end of the host's log, then retry the host."),
                ),
            )

    async def _stop_here(self, at: int, log: HostLog) -> None:
        """Before and behind a job there is nothing to stop; between two of its steps there is."""
        remote = self.steps[at].name not in BALANCER_STEPS
        if remote and any(step.state is not StepState.PENDING for step in self._remote_block(at)):
            await self._stop_job(log)
        raise _Stopped

    def _between_programs(self, at: int) -> bool:
        """Whether nothing of ours runs on the host or the balancer before this step: a job that has begun goes on by itself."""
        if self.steps[at].name in BALANCER_STEPS:
            return self.steps[at].state is StepState.PENDING
        return all(step.state is StepState.PENDING for step in self._remote_block(at))

    async def _stand_still(self, before: StepProgress) -> None:
        now, context = self._now(), self.context
        held = await context.journal.write(
            context.order_id,
            context.epoch,
            lambda conn: rows.hold_run(conn, context.order_id, self.direction, self.run, before.name, now),
        )
        if held:
            raise _Held
        self.holding = False

    async def _stop_job(self, log: HostLog) -> None:
        """Stop it, then read what it did before it stopped: it may have begun a step that nobody has heard of."""
        try:
            job = self._job_named(job_key(self.direction, self.run.attempt))
            await self.context.remote.stop(job)
            await self._read_to_end(job, log)
        except RemoteError as error:
            self.unseen = True
            await self._finish(self._current(), StepState.CANCELLED, error.problem)
            raise _Stopped(error.problem) from error
        await self._finish(self._current(), StepState.CANCELLED)
        raise _Stopped

    async def _read_to_end(self, job: Job, log: HostLog) -> None:
        async for event in self.context.remote.follow(job, log.offset):
            match event:
                case LogBytes(data, offset):
                    log.output(data, offset)
                case StepStarted(name, _, offset):
                    await self._remote_step_started(name, offset, log)
                case StepEnded():
                    await self._remote_step_ended(event, log)

    def _log_in_anew(self) -> None:
        """Somebody tries again: what was wrong with the host's account may have been put right meanwhile."""
        again = self.run.attempt > 1 or self.direction is Direction.BACK
        if again and all(step.state is StepState.PENDING for step in self.steps):
            with suppress(ProblemError):  # a host that has left the app: the first step that needs it says so
                self.context.remote.log_in_anew([self.context.host(self.run.host)])

    async def _stop_earlier_job(self) -> None:
        """A new attempt, or the way back, must not run beside what an earlier attempt may have left running on the host. One that
        never started its job could not stop its own predecessors, so these are stopped as well."""
        if any(step.state is not StepState.PENDING for step in self.steps):
            return
        for earlier in await self._earlier_attempts():
            try:
                job = self._job_named(job_key(earlier.direction, earlier.attempt))
                if await self.context.remote.stop(job) is not StopOutcome.NEVER_STARTED:
                    await self._note_deployed(job, earlier)
                    return
            except RemoteError as error:
                await self._fail(self.steps[0], StepState.FAILED, error.problem)

    async def _earlier_attempts(self) -> list[_Earlier]:
        """The latest first."""
        before = [_Earlier(self.direction, at, self.plan.to_version) for at in range(self.run.attempt - 1, 0, -1)]
        if self.direction is Direction.BACK:
            forward = await self._forward_run()
            before += [_Earlier(Direction.FORWARD, at, forward.to_version) for at in range(forward.attempt, 0, -1)]
        return before

    async def _note_deployed(self, job: Job, earlier: _Earlier) -> None:
        """What the earlier attempt did to the host's version after it was lost sight of. Its log's mark stays where it is: were
        the rows not written now, the next try must read the same records again."""
        log = HostLog(
            log_path(self.context.log_dir, self.context.order_id, self.run.host, earlier.direction, earlier.attempt)
        )
        offset = log.offset
        log.close()
        began = ended = False
        try:
            async for event in self.context.remote.follow(job, offset):
                match event:
                    case StepStarted(StepName.DEPLOY):
                        began = True
                    case StepEnded(StepName.DEPLOY, 0, False):
                        ended = True
        except RemoteError as error:
            if error.problem.code not in _NO_RECORD:
                raise
            began = (
                True  # it is stopped, and what it did nobody can say: a host that went down loses what it wrote last
            )
        if not began and not ended:
            return

        def change(conn: sa.Connection) -> OrderState:
            rows.touch_run(conn, self.context.order_id, earlier.direction, self.run.host)
            if ended:
                rows.set_host(conn, self.context.facts.workspace_id, self.run.host, version=earlier.version)
            return rows.load_progress(conn, self.context.order_id).state

        state = await self.context.journal.write(self.context.order_id, self.context.epoch, change)
        deploys = any(step.name is StepName.DEPLOY for step in self.steps)
        if state is OrderState.ROLLING_BACK and not deploys:
            await self._fail(self.steps[0], StepState.FAILED, _deployed_unseen(self.run.host, earlier.version))

    def _job_named(self, key: str) -> Job:
        """A job by its name only, enough to stop it. Raises RemoteError: a host that has left the app can't be reached any more."""
        try:
            host = self.context.host(self.run.host)
        except ProblemError as error:
            raise RemoteError(error.problem) from error
        return Job(self.context.order_id, host, key, self.context.epoch, (), order_created_at=self.context.created_at)

    async def _forward_run(self) -> RunProgress:
        def read(conn: sa.Connection) -> RunProgress:
            return rows.load_progress(conn, self.context.order_id).runs[Direction.FORWARD, self.run.host]

        return await self.context.journal.write(self.context.order_id, self.context.epoch, read)

    # ------------------------------------------------------------------------------------------------------------ rows

    async def _begin(self, step: StepProgress, log: HostLog) -> None:
        log.heading(f"{step.name}", self._now())
        await self._set(step, StepState.RUNNING)

    async def _finish(self, step: StepProgress, state: StepState, problem: Problem | None = None) -> None:
        await self._set(step, state, problem)

    async def _fail(self, step: StepProgress, state: StepState, problem: Problem) -> None:
        await self._set(step, state, problem)
        raise _Failed(problem)

    async def _set(self, step: StepProgress, state: StepState, problem: Problem | None = None) -> None:
        """Commit the step's new state, with what it means for the host, then remember it."""
        now, context = self._now(), self.context
        touches = self._touches(step, state)
        await context.journal.write(
            context.order_id, context.epoch, lambda conn: self._write_step(conn, step, state, now, problem)
        )
        self.steps[step.position] = replace(step, state=state, problem=problem)
        if touches:
            self.run = replace(self.run, touched=True)

    def _touches(self, step: StepProgress, state: StepState) -> bool:
        """Whether the step leaves the host with a version that a way back must count with."""
        deploys = step.name is StepName.DEPLOY and state not in (StepState.CANCELLED, StepState.SKIPPED)
        return deploys or self._may_have_deployed()

    def _write_step(
        self, conn: sa.Connection, step: StepProgress, state: StepState, now: float, problem: Problem | None
    ) -> None:
        order_id, host = self.context.order_id, self.run.host
        rows.set_step(
            conn, order_id, self.direction, self.run, step, state, now, epoch=self.context.epoch, problem=problem
        )
        if self._touches(step, state):
            rows.touch_run(conn, order_id, self.direction, host)
        if step.name is StepName.CHECK_HEALTH and state in (StepState.SUCCEEDED, StepState.FAILED, StepState.TIMED_OUT):
            found = Health.HEALTHY if state is StepState.SUCCEEDED else Health.UNHEALTHY
            rows.write_own_health(conn, order_id, host, found)
        if step.name is StepName.DEPLOY and state is StepState.SUCCEEDED:
            rows.set_host(conn, self.context.facts.workspace_id, host, version=self.plan.to_version)

    async def _end(self, state: RunState, problem: Problem | None) -> None:
        now, context = self._now(), self.context

        def change(conn: sa.Connection) -> None:
            rows.end_run(conn, context.order_id, self.direction, self.run, state, now, problem)
            if self._may_have_deployed():
                rows.touch_run(conn, context.order_id, self.direction, self.run.host)
            rows.set_host(conn, context.facts.workspace_id, self.run.host, state=str(self.run.leaves_host(state)))

        await context.journal.write(context.order_id, context.epoch, change)

    async def _give_up(self, problem: Problem) -> None:
        step = self._current()
        self.unseen = any(s.state is not StepState.PENDING for s in self.steps if s.name not in BALANCER_STEPS)
        if step.state is StepState.RUNNING:
            await self._set(step, StepState.FAILED, problem)
        await self._end(RunState.FAILED, problem)

    async def _end_and_try_again(self, problem: Problem) -> None:
        """In one transaction: a step that stands cancelled in a run that goes on would be read as the end of the run."""
        now, context, step = self._now(), self.context, self._current()

        def change(conn: sa.Connection) -> None:
            if step.state is StepState.RUNNING:
                self._write_step(conn, step, StepState.CANCELLED, now, problem)
            elif self._may_have_deployed():
                rows.touch_run(conn, context.order_id, self.direction, self.run.host)
            rows.end_run(conn, context.order_id, self.direction, self.run, RunState.FAILED, now, problem)
            rows.retry_run(conn, context.order_id, self.direction, self.run, now)

        await context.journal.write(context.order_id, context.epoch, change)

    def _may_have_deployed(self) -> bool:
        """The job was lost sight of before its deploy was seen to begin: a way back must count with the new version."""
        deploy = next((step for step in self.steps if step.name is StepName.DEPLOY), None)
        return self.unseen and deploy is not None and deploy.state is StepState.PENDING

    def _current(self) -> StepProgress:
        """The running step, else the first that is not complete."""
        running = (step for step in self.steps if step.state is StepState.RUNNING)
        pending = (step for step in self.steps if not step.state.complete)
        return next(running, None) or next(pending, self.steps[-1])

    def _named(self, name: StepName) -> StepProgress:
        return next(step for step in self.steps if step.name is name)

    def _release_context(self, names: tuple[StepName, ...]) -> ReleaseContext:
        return self.context.release_context(self.plan, names)

    def _now(self) -> float:
        return self.context.clock.now()

    def _log_path(self) -> Path:
        return log_path(self.context.log_dir, self.context.order_id, self.run.host, self.direction, self.run.attempt)


def _ask_a_person(step: StepName, host: str, problem: Problem) -> Problem:
    return Problem(
        "step_in_doubt",
        message(
            "Nobody can say whether {step} was done on {host}: {why}", step=str(step), host=host, why=str(problem.what)
        ),
        message("Look at the host and its log; then retry it, or roll back."),
        problem.evidence,
    )


def _deployed_unseen(host: str, version: str) -> Problem:
    return Problem(
        "deployed_unseen",
        message("The release went on unseen on {host}, which may run {version} now.", host=host, version=version),
        message("Give the rollback up; then release the version you want to the hosts that have another one."),
    )


def _weight_line(result: MoveResult) -> str:
    where = f"{result.mount.server_group}" + (f":{result.mount.port}" if result.mount.port else "")
    seen = "unknown" if result.read_back is None else str(result.read_back)
    kept = " (as somebody else has set it)" if result.kept else ""
    return f"weight in {where}: asked {result.asked}{kept}, read back {seen}, verified {result.verified}"
