"""One host through its steps, forward or back, from wherever its rows say it is.

A pause takes effect before the next step on the balancer and before a job: the consecutive remote steps are one program on the host
and run to their end. A failed step ends the run: the host keeps the weight it has until a person decides. Nothing in here decides
what other hosts do, and nothing in here knows what kind of order it is.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from engine.domain.message import message
from engine.domain.orders import HostPlan
from engine.domain.problem import Problem, ProblemError
from engine.domain.progress import RunProgress, StepProgress
from engine.domain.states import Direction, RunState, StepState
from engine.run.attempt import Again, Attempt, Earlier, Failed, Held, Stopped, Withdrawn
from engine.run.balancer_steps import take_balancer_step
from engine.run.earlier_jobs import stop_earlier_jobs
from engine.run.kept_steps import keep_what_is_still_so
from engine.run.logs import HostLog
from engine.run.order_context import OrderContext
from engine.run.remote_job import RemoteJob


@dataclass(slots=True, eq=False)
class HostRun:
    """Run it once with `await go()`; `stop()` makes it end soon, with what runs on the host stopped and verified; `hold()` makes it
    stand still between two steps if the order is paused. `broken`: why it is given up before it begins: it broke too often."""

    context: OrderContext
    run: RunProgress
    plan: HostPlan
    steps: list[StepProgress]
    earlier: tuple[Earlier, ...] = ()
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    holding: bool = False
    leaving: asyncio.Event = field(
        default_factory=asyncio.Event
    )  # either of them: nothing is waited for at the balancer
    broken: Problem | None = None
    _attempt: Attempt = field(init=False)

    def __post_init__(self) -> None:
        self._attempt = Attempt(self.context, self.run, self.plan, self.steps, self.earlier)

    async def go(self) -> None:
        """To the end of the run, written down. Raises StaleEpoch when the order was taken over, StoreError when the store failed;
        being cancelled leaves the rows as they are and the job running on the host: a successor goes on from there."""
        if self.broken is not None:
            await self._attempt.give_up(self.broken)
            return
        log = self._attempt.open_log()
        try:
            await self._go(log)
        finally:
            log.close()

    def stop(self) -> None:
        self.stopping.set()
        self.leaving.set()

    def hold(self, paused: bool) -> None:
        self.holding = paused
        if paused or self.stopping.is_set():
            self.leaving.set()
        else:
            self.leaving.clear()

    async def _go(self, log: HostLog) -> None:
        attempt = self._attempt
        try:
            self._log_in_anew()
            before = await stop_earlier_jobs(attempt)
            await keep_what_is_still_so(attempt, before, log)
            await self._steps(log)
        except Failed as failed:
            log.heading(failed.problem.what, attempt.now())
            log.heading(failed.problem.remedy, attempt.now())
            await attempt.end(self._failed(), failed.problem)
        except Stopped as stopped:
            log.heading(message("stopped"), attempt.now())
            await attempt.end(RunState.CANCELLED, stopped.problem)
        except Held:
            log.heading(message("the order is paused"), attempt.now())
        except Again as again:
            log.heading(message("{what} It is tried again.", what=again.problem.what), attempt.now())
            await attempt.end_and_try_again(again.problem)
        else:
            await attempt.end(RunState.SKIPPED if self.run.leaving else RunState.SUCCEEDED, None)

    def _failed(self) -> RunState:
        """A host that leaves and is not healthy has left: it keeps weight 0. At the balancer a person decides once more."""
        attempt = self._attempt
        at = attempt.named(attempt.stands_at)
        at_balancer = at is not None and self._on_balancer(at)
        return RunState.SKIPPED if self.run.leaving and not at_balancer else RunState.FAILED

    async def _steps(self, log: HostLog) -> None:
        at, steps = 0, self._attempt.steps
        while at < len(steps):
            step = steps[at]
            if step.state.halts and step.problem is not None:
                raise Failed(step.problem)
            if step.state is StepState.CANCELLED:
                raise Stopped(step.problem)
            if self.holding and self._between_programs(at):
                await self._stand_still(step)
            if step.state.complete:
                at += 1
            elif self.stopping.is_set():
                await self._stop_here(at, log)
            elif self._on_balancer(step):
                try:
                    await take_balancer_step(self._attempt, step, log, stopping=self.stopping, leaving=self.leaving)
                except Withdrawn:
                    await self._turn_away(at)
                else:
                    at += 1
            else:
                block = self._block(at)
                await RemoteJob(self._attempt, block, log, self.stopping).go()
                at = block[-1].position + 1

    def _on_balancer(self, step: StepProgress) -> bool:
        return self._attempt.plan_of(step).on_balancer

    def _block(self, at: int) -> list[StepProgress]:
        """The consecutive remote steps around `at`, those already complete included: they are one job on the host."""
        steps, start, end = self._attempt.steps, at, at
        while start > 0 and not self._on_balancer(steps[start - 1]):
            start -= 1
        while end < len(steps) and not self._on_balancer(steps[end]):
            end += 1
        return steps[start:end]

    async def _stop_here(self, at: int, log: HostLog) -> None:
        """Before and behind a job there is nothing to stop; between two of its steps there is."""
        if not self._on_balancer(self._attempt.steps[at]):
            job = RemoteJob(self._attempt, self._block(at), log, self.stopping)
            if job.begun:
                await job.stop()
        raise Stopped

    async def _turn_away(self, at: int) -> None:
        """The step waited for its balancer, and the order was paused or turned back. With neither it is taken again."""
        if self.stopping.is_set():
            step = self._attempt.steps[at]
            await self._attempt.finish(step, StepState.CANCELLED)
            raise Stopped
        await self._stand_still(self._attempt.steps[at])

    def _between_programs(self, at: int) -> bool:
        """Whether nothing of ours runs on the host or the balancer before this step: a job that has begun goes on by itself."""
        step = self._attempt.steps[at]
        if self._on_balancer(step):
            return step.state is StepState.PENDING
        return not any(each.begun for each in self._block(at))

    async def _stand_still(self, before: StepProgress) -> None:
        if await self._attempt.hold(before):
            raise Held
        self.hold(False)

    def _log_in_anew(self) -> None:
        """Somebody tries again: what was wrong with the host's account may have been put right meanwhile."""
        attempt = self._attempt
        again = attempt.run.attempt > 1 or attempt.run.direction is Direction.BACK
        if again and attempt.untouched_yet:
            # of a host that has left the app the first step that needs it says so
            with suppress(ProblemError):
                self.context.remote.log_in_anew([self.context.host(self.plan)])
