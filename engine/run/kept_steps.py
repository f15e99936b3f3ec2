"""Before a host that is tried again does anything, it is asked what of its earlier attempts is still so. That is kept, and the rest
is done again.

The host itself decides: its record of the job, and a look at what each step is about. What nobody can tell is done again. A host
that cannot be asked fails where it stands; what was done before is not forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from engine.domain.log_path import job_key
from engine.domain.message import Message, message
from engine.domain.problem import ProblemError
from engine.domain.progress import RunProgress, StepProgress
from engine.domain.states import Health, StepState, Verified
from engine.domain.steps import HEALTH, Holds, StepPlan
from engine.plan.kept import Kept, begins_at, first_again, kept, works
from engine.ports import Job, Recall, Since
from engine.run.attempt import Attempt, set_facts
from engine.run.journal import StaleEpoch
from engine.run.logs import HostLog
from engine.steps.context import StepContext, setup, variables
from engine.steps.registry import look, weight_change
from engine.steps.service import WORDS
from engine.store.host_runs import begins_event, keep_steps, touch_run
from engine.store.store import StoreError, Transaction
from engine.store.weights import write_own_health

_BY_RECORD = (Holds.RECORD, Holds.RECORD_AND_LOOK)
_BY_LOOK = (Holds.LOOK, Holds.RECORD_AND_LOOK)


async def keep_what_is_still_so(attempt: Attempt, before: RunProgress | None, log: HostLog) -> None:
    """`before` is the latest attempt on this host that has started a job there. Raises Failed, StaleEpoch, StoreError."""
    if attempt.run.attempt == 1 or attempt.run.leaving or not attempt.untouched_yet:
        return
    if attempt.run.from_start:
        await _write(attempt, log, Kept(frozenset(), message("it was asked for")), {})
        return
    try:
        done, found = await _Asking(attempt, before).found()
        if not done:
            return
        found |= dict.fromkeys(attempt.run.skips)  # a person said so: nobody is asked
        result = kept(attempt.plan.steps, found)
        if works([step for step in attempt.plan.steps if step.key not in result.keys]):
            for step in attempt.plan.steps:
                if step.on_balancer and step.prepares and step.key in found:
                    found[step.key] = await _not_shown(attempt, step)
            result = kept(attempt.plan.steps, found)
    except (StaleEpoch, StoreError):
        raise
    except ProblemError as error:  # RemoteError among them
        await attempt.fail(attempt.current(), StepState.FAILED, error.problem)
        return
    await _write(attempt, log, result, done)


@dataclass(slots=True)
class _Asking:
    """What was done before (step → the attempt that did it), and of each whether it is still so."""

    attempt: Attempt
    before: RunProgress | None
    done: dict[str, int] = field(default_factory=dict)
    doubts: dict[str, Message | None] = field(default_factory=dict)

    async def found(self) -> tuple[Mapping[str, int], dict[str, Message | None]]:
        """Raises ProblemError."""
        attempt = self.attempt
        self.done = {step.key: step.kept_from for step in attempt.steps if step.kept_from}
        context = attempt.context.step_context(attempt.plan)
        last = attempt.run.attempt - 1
        seen = self.before is not None and self.before.key == attempt.run.key and self.before.attempt == last
        for number in sorted(set(self.done.values()) - {last}):
            await self._ask(context, number, self._of(number))
        if not seen:
            self.doubts |= {step.key: _no_record(attempt.host, last) for step in self._of(last)}
        if seen:
            said = await self._ask(context, last, self._of(last))
            # what it did when nobody looked any more
            more = [s for s in attempt.plan.steps if s.key in said.done - self.done.keys() and not s.on_balancer]
            if more:
                self.done |= dict.fromkeys((step.key for step in more), last)
                await self._ask(context, last, more)
        for step in attempt.plan.steps:
            if step.on_balancer and step.key in self.done:
                # whether traffic is still away need not be known while there is nothing to do on the host
                later = step.prepares and step.holds is Holds.SHOWN
                self.doubts[step.key] = None if later else await _not_shown(attempt, step)
        return self.done, self.doubts

    def _of(self, number: int) -> list[StepPlan]:
        return [s for s in self.attempt.plan.steps if self.done.get(s.key) == number and not s.on_balancer]

    async def _ask(self, context: StepContext, number: int, steps: list[StepPlan]) -> Recall:
        attempt = self.attempt
        if not steps and number != attempt.run.attempt - 1:
            return Recall(found=False)
        work = works([step for step in attempt.plan.steps if step.key not in self.done])
        looks = (look(step, context) for step in steps if step.holds in _BY_LOOK and (work or not step.prepares))
        job = Job(
            order_id=attempt.context.order_id,
            host=context.host,
            key=job_key(attempt.run.job, number),
            epoch=attempt.context.epoch,
            steps=tuple(each for each in looks if each is not None),
            variables=variables(context),
            order_created_at=attempt.context.created_at,
            setup=setup(context),
        )
        said = await attempt.context.remote.recall(job)
        for step in steps:
            self.doubts[step.key] = _doubt(step, said, attempt.host, number)
        return said


def _doubt(step: StepPlan, said: Recall, host: str, number: int) -> Message | None:
    """Why what the step did is not, or not surely, so any more."""
    name = step.title or step.does
    if step.holds in _BY_RECORD:
        if not said.found:
            return _no_record(host, number)
        if said.since is Since.RESTARTED:
            return message("{host} was restarted after attempt {attempt}", host=host, attempt=number)
        if said.since is Since.ANOTHER:
            return message("another order has worked on {host} after attempt {attempt}", host=host, attempt=number)
        if said.since is Since.UNKNOWN:
            return message("the record on {host} does not say when attempt {attempt} ended", host=host, attempt=number)
        if not said.same_setup:
            return message(
                "parameters or tech stack of {host} were changed after attempt {attempt}", host=host, attempt=number
            )
        if step.key not in said.done:
            return message("the record on {host} does not say that {step} was done", host=host, step=name)
    if step.holds in _BY_LOOK and step.key in said.looks:
        seen = said.looks[step.key]
        if seen.holds:
            return None
        why = WORDS.get(seen.said)
        return message("{step} is not as it was left on {host}", step=name, host=host) if why is None else why
    return None if step.holds is Holds.RECORD else _nobody_can_tell(step, host)


def _no_record(host: str, number: int) -> Message:
    return message("{host} has no record of attempt {attempt} any more", host=host, attempt=number)


def _nobody_can_tell(step: StepPlan, host: str) -> Message:
    name = step.title or step.does
    return message("nobody can tell whether {step} still is as it was left on {host}", step=name, host=host)


async def _not_shown(attempt: Attempt, step: StepPlan) -> Message | None:
    """Whether the balancer shows something else than what the step has asked for. Raises ProblemError."""
    if step.holds is not Holds.SHOWN:
        return _nobody_can_tell(step, attempt.host)
    context = attempt.context
    weights = weight_change(step, attempt.plan).weights
    shown = await context.ledger.holds(context.order_id, context.epoch, weights)
    if shown is Verified.YES:
        return None
    if shown is Verified.CANNOT_TELL:
        return _nobody_can_tell(step, attempt.host)
    return message("the weights of {host} are not as they were set", host=attempt.host)


async def _write(attempt: Attempt, log: HostLog, result: Kept, done: Mapping[str, int]) -> None:
    """The steps as they stand now, and where the host begins, in one transaction; then remember it."""
    context, run, now = attempt.context, attempt.run, attempt.now()
    steps = [_as_found(step, step.key in result.keys, done) for step in attempt.steps]
    changed = [step for step, was in zip(steps, attempt.steps, strict=True) if step != was]
    unseen = [attempt.plan_of(step) for step in changed if step.kept_from]
    begins = first_again(attempt.plan.steps, result.keys)
    name = "" if begins is None else begins.title or begins.does
    healthy = any(HEALTH in attempt.plan_of(step).sets for step in steps if step.kept_from)

    def change(conn: Transaction) -> None:
        keep_steps(conn, context.order_id, run, changed)
        for plan in unseen:
            set_facts(conn, context, attempt.plan, plan)
            if plan.touches:
                touch_run(conn, context.order_id, run)
        if healthy:
            write_own_health(conn, context.order_id, attempt.host, Health.HEALTHY)
        begins_event(conn, context.order_id, run, name, len(result.keys), result.why, now)

    await context.journal.write(context.order_id, context.epoch, change)
    attempt.steps[:] = steps
    if any(plan.touches for plan in unseen):
        attempt.run = replace(run, touched=True)
    for step in steps:
        if step.kept_from:
            kept = {"step": step.key, "attempt": step.kept_from}
            log.heading(message("{step}: done in attempt {attempt} and still so", **kept), now)
    log.heading(begins_at(name, len(result.keys), result.why), now)


def _as_found(step: StepProgress, keep: bool, done: Mapping[str, int]) -> StepProgress:
    if step.state is StepState.SKIPPED and not step.kept_from:
        return step
    if keep:
        return step if step.kept_from else replace(step, state=StepState.SUCCEEDED, kept_from=done[step.key])
    return (
        replace(step, state=StepState.PENDING, started_at=None, ended_at=None, kept_from=0) if step.kept_from else step
    )
