"""The steps of a host at its balancers: what the step asks for is done by the weight ledger, and a host that leaves is drained."""

from __future__ import annotations

import asyncio

from engine.domain.fleet import Host
from engine.domain.message import Message, message
from engine.domain.problem import ProblemError
from engine.domain.progress import StepProgress
from engine.domain.states import StepState, Verified
from engine.ports import RemoteError
from engine.run.attempt import Attempt, Withdrawn
from engine.run.logs import HostLog
from engine.steps.context import parameter, port, seconds
from engine.steps.drain import drain_script
from engine.steps.registry import weight_change
from engine.steps.weight_change import WeightChange
from engine.store.weight_calls import MoveResult

DRAIN_GRACE_S = 20.0
SERVES_WITHIN_S = 60.0
DEFAULT_DRAIN_S = 10.0


async def take_balancer_step(
    attempt: Attempt, step: StepProgress, log: HostLog, *, stopping: asyncio.Event, leaving: asyncio.Event
) -> None:
    """When `leaving` is set, no balancer is waited for. Raises Failed and Withdrawn."""
    await attempt.begin(step, log)
    try:
        change = weight_change(attempt.plan_of(step), attempt.plan)
    except ProblemError as error:
        await attempt.fail(step, StepState.FAILED, error.problem)
        return
    if change.by_hand:
        log.heading(message("gray: this host's weight is given by hand"), attempt.now())
        await attempt.finish(step, StepState.SKIPPED)
        return
    await _move(attempt, step, change, log, leaving)
    if change.drain and change.weights:
        await _drain(attempt, step, log)
    if not change.owned:
        await _until_it_serves(attempt, change, log, stopping)
    await attempt.finish(step, StepState.SUCCEEDED)


async def _move(
    attempt: Attempt, step: StepProgress, change: WeightChange, log: HostLog, leaving: asyncio.Event
) -> None:
    if not change.weights:
        log.heading(message("not mounted on a load balancer: no traffic to move"), attempt.now())
        return
    context = attempt.context
    results = await context.ledger.move(
        context.order_id,
        context.epoch,
        change.weights,
        owned=change.owned,
        floors=context.floors,
        told=lambda said: log.heading(said, attempt.now()),
        leave=leaving,
    )
    for result in results:
        log.heading(_weight_line(result), attempt.now())
    problem = next((result.problem for result in results if result.problem and not result.withdrawn), None)
    if problem is not None:
        await attempt.fail(step, StepState.FAILED, problem)
    if any(result.withdrawn for result in results):
        raise Withdrawn


async def _until_it_serves(attempt: Attempt, change: WeightChange, log: HostLog, stopping: asyncio.Event) -> None:
    """The next group leaves only when this host takes traffic again, so its balancer is given time to see that it answers. One that
    still says no after that keeps its weight and counts as out of service."""
    mounts = [line.mount for line in change.weights if line.weight > 0]
    if not mounts:
        return
    context = attempt.context
    silent = await context.ledger.until_healthy(
        context.order_id, context.epoch, mounts, within_s=SERVES_WITHIN_S, enough=stopping.is_set
    )
    for mount in silent:
        group = str(mount.server_group)
        log.heading(
            message("the health check of {group} does not pass yet: not in service", group=group), attempt.now()
        )


async def _drain(attempt: Attempt, step: StepProgress, log: HostLog) -> None:
    """Give running requests time to end: the balancer has no drain timer of its own."""
    try:
        host, ports, drain_s = _drain_plan(attempt)
    except ProblemError as error:
        await attempt.fail(step, StepState.FAILED, error.problem)
        return
    if not ports or drain_s <= 0:
        return
    script = drain_script(host, sorted(ports), drain_s)
    try:
        result = await attempt.context.remote.run(host, script, deadline_s=drain_s + DRAIN_GRACE_S)
    except RemoteError as error:
        await attempt.fail(step, StepState.FAILED, error.problem)
        return
    log.output(result.output, log.offset)
    if result.exit_status is None:
        waits = message("the link broke while draining: waiting {drain_s} s instead", drain_s=f"{drain_s:g}")
        log.heading(waits, attempt.now())
        await attempt.context.clock.sleep(drain_s)


def _drain_plan(attempt: Attempt) -> tuple[Host, set[int], float]:
    """The app's ports on the host and how long to wait for them. Raises ProblemError for a value that is no number."""
    context = attempt.context.step_context(attempt.plan)
    host, stack = context.host, context.stack
    ports = {line.mount.port for line in attempt.plan.recorded if line.mount.port}
    if not ports and parameter(context, "app_port", ""):
        ports = {port(host, stack, "app_port", "")}
    wanted = parameter(context, "drain_s", str(DEFAULT_DRAIN_S))
    return host, ports, 0.0 if wanted.strip() == "0" else seconds(context, "drain_s", DEFAULT_DRAIN_S)


def _weight_line(result: MoveResult) -> Message:
    where = f"{result.mount.server_group}" + (f":{result.mount.port}" if result.mount.port else "")
    what = {"where": where, "asked": result.asked, "seen": "-" if result.read_back is None else result.read_back}
    if result.verified is Verified.YES and result.kept:
        return message("weight in {where}: {asked}, as somebody else has set it; the balancer shows it", **what)
    if result.verified is Verified.YES:
        return message("weight in {where}: {asked}; the balancer shows it", **what)
    if result.verified is Verified.NO:
        return message("weight in {where}: {asked} was asked for, the balancer shows {seen}", **what)
    return message("weight in {where}: {asked} was asked for, but could not be read back", **what)
