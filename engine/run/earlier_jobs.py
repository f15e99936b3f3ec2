"""Before a new attempt begins: what earlier attempts of the order may have left running on its host is stopped, and what they did
to the host while nobody looked is written down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from engine.domain.log_path import job_key, log_path
from engine.domain.message import message
from engine.domain.orders import HostPlan
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress, RunProgress
from engine.domain.states import Leaving, OrderState, RunState, StepState
from engine.domain.steps import touches
from engine.ports import Job, RemoteError, StepEnded, StepStarted, StopOutcome
from engine.run.attempt import Attempt, Earlier, set_facts
from engine.run.logs import HostLog
from engine.store.host_runs import touch_run
from engine.store.progress import load_progress
from engine.store.store import Transaction

_NO_RECORD = ("job_vanished", "remote_deadline")


async def stop_earlier_jobs(attempt: Attempt) -> RunProgress | None:
    """A new attempt, or the way back, must not run beside what an earlier attempt may have left running on the host. One that
    never started its job could not stop its own predecessors, so these are stopped as well. Returns the latest attempt that has
    started one. Raises Failed."""
    if not attempt.untouched_yet:
        return None
    for run, plan in attempt.earlier:
        try:
            job = attempt.job_named(job_key(run.job, run.attempt))
            if await attempt.context.remote.stop(job) is not StopOutcome.NEVER_STARTED:
                await _note_what_it_did(attempt, job, run, plan)
                return run
        except RemoteError as error:
            await attempt.fail(attempt.current(), StepState.FAILED, error.problem)
    return None


def earlier_attempts(progress: OrderProgress, run: RunProgress, of_host: Iterable[RunProgress]) -> tuple[Earlier, ...]:
    """Every attempt of the order on the run's host before this one, the latest first, each as its run was then. `of_host` are the
    runs of the host in plan order, those of the way back behind those forward."""
    before: list[RunProgress] = []
    for other in of_host:
        if other.key == run.key:
            before += _attempts(other, run.attempt - 1)
            break
        # what has succeeded in this direction has ended, with every step of it written down
        if other.begun and not (other.direction is run.direction and other.state is RunState.SUCCEEDED):
            before += _attempts(other, other.attempt)
    return tuple((each, progress.host_plan(each)) for each in reversed(before))


def _attempts(run: RunProgress, upto: int) -> list[RunProgress]:
    """A run that leaves does so in its present attempt."""
    earlier = [replace(run, attempt=number, leaving=Leaving.STAYS) for number in range(1, upto + 1)]
    return [run if each.attempt == run.attempt else each for each in earlier]


async def _note_what_it_did(attempt: Attempt, job: Job, run: RunProgress, plan: HostPlan) -> None:
    """What the earlier attempt did to the host after it was lost sight of. Its log's mark stays where it is: were the rows not
    written now, the next try must read the same records again."""
    touching = {step.key: step for step in plan.steps if step.touches}
    began: set[str] = set()
    ended: set[str] = set()
    try:
        async for event in attempt.context.remote.follow(job, _mark(attempt, run)):
            match event:
                case StepStarted(key) if key in touching:
                    began.add(key)
                case StepEnded(key, 0, False) if key in touching:
                    ended.add(key)
    except RemoteError as error:
        if error.problem.code not in _NO_RECORD:
            raise
        # it is stopped, and what it did nobody can say: a host that went down loses what it wrote last
        began |= touching.keys()
    if not began and not ended:
        return
    context = attempt.context

    def change(conn: Transaction) -> OrderState:
        touch_run(conn, context.order_id, run)
        for key in ended:
            set_facts(conn, context, plan, touching[key])
        return load_progress(conn, context.order_id).state

    state = await context.journal.write(context.order_id, context.epoch, change)
    if state is OrderState.ROLLING_BACK and not touches(attempt.plan.steps):
        await attempt.fail(attempt.current(), StepState.FAILED, _done_unseen(attempt.host, plan))


def _mark(attempt: Attempt, run: RunProgress) -> int:
    log = HostLog(log_path(attempt.context.log_dir, attempt.context.order_id, run.host, run.job, run.attempt))
    offset = log.offset
    log.close()
    return offset


def _done_unseen(host: str, plan: HostPlan) -> Problem:
    if plan.after.version == plan.before.version:
        return Problem(
            "done_unseen",
            message("The order went on unseen on {host}, which may have been changed.", host=host),
            message(
                "Give up the rollback, look at the host, then bring it to the state you want with a separate order."
            ),
        )
    return Problem(
        "deployed_unseen",
        message(
            "The release went on unseen on {host}, which may now run {version}.", host=host, version=plan.after.version
        ),
        message("Give up the rollback, then release the version you want to the hosts that have another one."),
    )
