"""The consecutive remote steps of a host: one job there, started or re-attached to, followed to its end, or stopped.

Every record of the job's log becomes a row before the log's mark passes it. A record of a step that the plan does not have is an
error, never log text. A step whose outcome nobody knows is settled by its policy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from shlex import quote

from engine.diagnose import explain
from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError
from engine.domain.progress import StepProgress
from engine.domain.states import StepState
from engine.domain.steps import RERUNS, InDoubt
from engine.ports import Job, JobEnded, LogBytes, RemoteError, StepEnded, StepStarted
from engine.run.attempt import Again, Attempt, Failed, Stopped
from engine.run.logs import HostLog
from engine.steps.context import setup, variables
from engine.steps.registry import remote_step


class RemoteJob:
    """`block` are the steps of the job, those already complete included; those kept from an earlier attempt are none of it."""

    def __init__(self, attempt: Attempt, block: Sequence[StepProgress], log: HostLog, stopping: asyncio.Event) -> None:
        self._attempt = attempt
        self._keys = [step.key for step in block if not step.kept_from and step.state is not StepState.SKIPPED]
        self._log = log
        self._stopping = stopping

    @property
    def _block(self) -> list[StepProgress]:
        return [step for step in self._attempt.steps if step.key in self._keys]

    @property
    def begun(self) -> bool:
        return any(step.begun for step in self._block)

    async def go(self) -> None:
        """To the job's end. Raises Failed, Stopped, Again."""
        attempt, began = self._attempt, self.begun
        first = next(step for step in self._block if not step.state.complete)
        if first.state is not StepState.RUNNING:
            await attempt.begin(first, self._log)  # the intent of the whole job: committed before anything is started
        try:
            job = self._job()
        except ProblemError as error:
            # a job that had begun goes on, and nobody looks
            attempt.unseen = attempt.unseen or began
            await attempt.fail(attempt.current(), StepState.FAILED, error.problem)
            return
        follow = asyncio.create_task(self._follow(job))
        stop = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({follow, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            if not follow.done():
                follow.cancel()
                await asyncio.gather(follow, return_exceptions=True)
        if follow.cancelled():
            await self.stop()
        else:
            follow.result()

    async def stop(self) -> None:
        """Stop it, then read what it did before it stopped: it may have begun a step that nobody has heard of. Raises Stopped."""
        attempt = self._attempt
        try:
            job = attempt.job_named(attempt.job_key)
            await attempt.context.remote.stop(job)
            await self._read_to_end(job)
        except RemoteError as error:
            attempt.unseen = True
            await attempt.finish(attempt.current(), StepState.CANCELLED, error.problem)
            raise Stopped(error.problem) from error
        await attempt.finish(attempt.current(), StepState.CANCELLED)
        raise Stopped

    def _job(self) -> Job:
        """Raises ProblemError."""
        attempt, plans = self._attempt, [self._attempt.plan_of(step) for step in self._block]
        context = attempt.context.step_context(attempt.plan, plans)
        return Job(
            order_id=attempt.context.order_id,
            host=context.host,
            key=attempt.job_key,
            epoch=attempt.context.epoch,
            steps=tuple(remote_step(plan, context) for plan in plans),
            variables=variables(context),
            order_created_at=attempt.context.created_at,
            setup=setup(context),
        )

    async def _follow(self, job: Job) -> None:
        try:
            async for event in self._attempt.context.remote.follow(job, self._log.offset):
                match event:
                    case LogBytes(data, offset):
                        self._log.output(data, offset)
                    case StepStarted(key, _, offset):
                        await self._step_started(key, offset)
                    case StepEnded():
                        await self._step_ended(event)
                    case JobEnded(stopped, _):
                        await self._ended(stopped)
        except RemoteError as error:
            await self._lost(error.problem)

    async def _read_to_end(self, job: Job) -> None:
        async for event in self._attempt.context.remote.follow(job, self._log.offset):
            match event:
                case LogBytes(data, offset):
                    self._log.output(data, offset)
                case StepStarted(key, _, offset):
                    await self._step_started(key, offset)
                case StepEnded():
                    await self._step_ended(event)

    async def _step_started(self, key: str, offset: int) -> None:
        """The log's mark passes a record only when its row is committed: a successor would never hear of it otherwise."""
        step = await self._named(key)
        if step.state is StepState.PENDING:
            await self._attempt.begin(step, self._log)
        self._log.offset = max(self._log.offset, offset)

    async def _step_ended(self, event: StepEnded) -> None:
        attempt, step = self._attempt, await self._named(event.step)
        if not step.state.complete:
            if event.exit_status == 0 and not event.timed_out:
                await attempt.finish(step, StepState.SUCCEEDED)
            else:
                problem = self._explain(step, event.exit_status, self._log.tail(), timed_out=event.timed_out)
                await attempt.fail(step, StepState.TIMED_OUT if event.timed_out else StepState.FAILED, problem)
        self._log.offset = max(self._log.offset, event.offset)
        self._log.mark()

    async def _named(self, key: str) -> StepProgress:
        """Raises Failed: a job that does what its plan does not say is somebody else's, or a newer version's."""
        step = self._attempt.named(key)
        if step is None:
            self._attempt.unseen = True
            await self._attempt.fail(self._attempt.current(), StepState.FAILED, _strange(key, self._attempt.host))
        assert step is not None, "fail raises"
        return step

    async def _ended(self, stopped: bool) -> None:
        if stopped:
            raise Stopped
        failed = next((step for step in self._block if step.state.halts), None)
        if failed is not None and failed.problem is not None:
            raise Failed(failed.problem)
        if not all(step.state.complete for step in self._block):
            await self._attempt.fail(
                self._attempt.current(),
                StepState.FAILED,
                Problem(
                    "job_incomplete",
                    message("The job on {host} ended before all of its steps did.", host=self._attempt.host),
                    message("Read the end of the host's log, then retry the host."),
                ),
            )

    # ------------------------------------------------------------------------------------------------------- in doubt

    async def _lost(self, problem: Problem) -> None:
        """The host can't be asked, or can't say what became of the step: then the step's policy decides."""
        attempt = self._attempt
        attempt.unseen = True
        step = attempt.current()
        if problem.code != "job_vanished":
            await attempt.fail(step, StepState.FAILED, problem)
        policy = attempt.plan_of(step).in_doubt if step.state is StepState.RUNNING else InDoubt.RERUN
        if policy is InDoubt.PROBE:
            await self._probe(step)
        elif policy is InDoubt.RERUN and attempt.run.attempt <= RERUNS:
            raise Again(problem)
        else:
            await attempt.fail(step, StepState.FAILED, _ask_a_person(step.key, attempt.host, problem))

    async def _probe(self, step: StepProgress) -> None:
        """Ask the world itself: a check changes nothing, so it is made anew, apart from the job that is gone."""
        attempt, plan = self._attempt, self._attempt.plan_of(step)
        context = attempt.context.step_context(attempt.plan, [plan])
        built = remote_step(plan, context)
        exports = [f"export {name}={quote(value)}" for name, value in variables(context).items()]
        script = "\n".join([*exports, built.body])
        try:
            result = await attempt.context.remote.run(context.host, script, deadline_s=built.deadline_s)
        except RemoteError as error:
            await attempt.fail(step, StepState.FAILED, error.problem)
            return
        self._log.output(result.output, self._log.offset)
        if result.exit_status == 0:
            await attempt.finish(step, StepState.SUCCEEDED)
            return
        tail = result.output[-8192:].decode("utf-8", "replace")
        status = -1 if result.exit_status is None else result.exit_status
        await attempt.fail(step, StepState.FAILED, self._explain(step, status, tail))

    def _explain(self, step: StepProgress, status: int | None, tail: str, *, timed_out: bool = False) -> Problem:
        attempt = self._attempt
        return explain(attempt.plan_of(step), status, timed_out, tail, host=attempt.host, app=attempt.plan.app)


def _ask_a_person(step: str, host: str, problem: Problem) -> Problem:
    return Problem(
        "step_in_doubt",
        message(
            "It is not known whether {step} was done on {host}: {why}", step=step, host=host, why=str(problem.what)
        ),
        message("Look at the host and its log; then retry it, or roll back."),
        problem.evidence,
    )


def _strange(key: str, host: str) -> Problem:
    return Problem(
        "step_unknown",
        message("The job on {host} reports a step {step} that is not in its plan.", host=host, step=key),
        message("Look at the host and its log: something else wrote there. Then retry the host, or cancel."),
    )
