"""What it means to skip a step of a failed host, to go on without a host, and to take one out of the order. Pure.

Traffic is never skipped: it comes back behind a health check, or the host stays at weight 0 and is listed as left behind.
"""

from __future__ import annotations

from dataclasses import replace

from engine.domain.acts import Exclude, Skip
from engine.domain.leaving import VERSION, as_it_is, may_be_skipped, version_unknown
from engine.domain.message import Message, message
from engine.domain.orders import HostPlan
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress, RunProgress
from engine.domain.states import Leaving, OrderState, RunState
from engine.domain.steps import StepPlan
from engine.plan import what_if_words as words
from engine.plan.asked import Asked, allows, refuses, time_line
from engine.plan.in_service import crossing
from engine.plan.next import leaves, may_leave
from engine.plan.what_if_words import named
from engine.plan.which_hosts import MOVING, excludable_runs, failed_run, hosts_in, hosts_of_runs
from engine.views.acts import Consequence

_STATES = (*MOVING, OrderState.ROLLING_BACK)


def skip(asked: Asked[Skip]) -> Consequence:
    progress, act = asked.progress, asked.act
    run = failed_run(progress, act.host)
    host = act.host if run is None else run.host
    summary = message("skips {step} on {host}", step=act.step, host=host) if act.step else _goes_on_without(act.host)
    if progress.state not in _STATES:
        return refuses(asked, summary, words.wrong_state(act.name, progress.state))
    if run is None:
        return refuses(asked, summary, words.not_failed((host,) if host else ()))
    choices = _choices(progress, run)
    if act.step:
        return replace(_skip_step(asked, run, summary), choices=choices, chosen=act.step)
    lines = _leaving_lines(progress, run)
    lines.append(message("{host} counts as skipped; a rollback of this order still returns it", host=host))
    return replace(allows(asked, summary, [*lines, *_goes_on(progress, run)], (host,)), choices=choices)


def _choices(progress: OrderProgress, run: RunProgress) -> tuple[str, ...]:
    """The step at which it failed, where that may be skipped, and the whole host."""
    steps = [step for step in progress.host_plan(run).steps if step.key == run.failed_at and may_be_skipped(step)]
    return (*(step.key for step in steps), "")


def exclude(asked: Asked[Exclude]) -> Consequence:
    progress = asked.progress
    host = asked.act.host or next((h for h in hosts_of_runs(progress.current_runs) if excludable_runs(progress, h)), "")
    summary = message("excludes {host} from the order", host=host or "-")
    if progress.state not in _STATES:
        return refuses(asked, summary, words.wrong_state(asked.act.name, progress.state))
    runs = excludable_runs(progress, host)
    if not runs:
        return refuses(asked, summary, _not_excludable(progress, host))
    begun = [run for run in runs if run.begun]
    lines = [line for run in begun[:1] for line in _leaving_lines(progress, run)]
    if not begun:
        lines.append(_keeps(host, progress.host_plan(runs[0]).before.version, touched=False))
        lines.append(message("nothing was done to it, and its weight stays as it is"))
    lines.append(message("the order no longer waits for {host}, and a rollback leaves it as it is", host=host))
    return allows(asked, summary, [*lines, *_goes_on(progress, runs[0])], (host,))


def _goes_on_without(host: str) -> Message:
    """`host` empty: it is not chosen yet."""
    return message("skips {host}: the order goes on without it", host=host) if host else message("skips a failed host")


# ------------------------------------------------------------------------------------------------------------- one step


def _skip_step(asked: Asked[Skip], run: RunProgress, summary: Message) -> Consequence:
    progress, key = asked.progress, asked.act.step
    plan = progress.host_plan(run)
    at = next((at for at, step in enumerate(plan.steps) if step.key == key), None)
    if at is None or run.failed_at != key:
        return refuses(asked, summary, _not_failed_there(run, key), (run.host,))
    step = plan.steps[at]
    if not may_be_skipped(step):
        return refuses(asked, summary, _never_skipped(run.host, step), (run.host,))
    again = replace(run, skips=(*run.skips, key))
    starting = may_leave(progress, [again])
    traffic = crossing(progress, leaving=[each.host for each in starting if leaves(progress, each)])
    if not starting and not hosts_in(progress, RunState.RUNNING):
        return refuses(asked, summary, words.floor_broken_now(crossing(progress, leaving=[run.host])), (run.host,))
    following = plan.steps[at + 1]
    lines = [message("{host} goes on with {step}", host=run.host, step=following.title or following.does)]
    if VERSION in step.sets:
        lines.append(message("from then on nobody knows which version {host} runs, and it is shown so", host=run.host))
    elif step.touches:
        lines.append(message("{host} keeps the state {state}", host=run.host, state=str(plan.on_failure)))
    if plan.restores_traffic:
        lines.append(message("it gets traffic only when its health check passes"))
    lines += words.held_back(1 - len(starting))
    if progress.paused:
        lines.append(words.still_paused())
    lines += [*words.traffic_lines(traffic, progress), *time_line(asked, 1)]
    return allows(asked, summary, lines, (run.host,))


def _not_failed_there(run: RunProgress, key: str) -> Problem:
    return Problem(
        "step_not_failed",
        message(
            "{host} failed at {at}: {step} can't be skipped there.", host=run.host, at=run.failed_at or "-", step=key
        ),
        message("Skip the step at which it failed, or the whole host."),
    )


def _never_skipped(host: str, step: StepPlan) -> Problem:
    return Problem(
        "step_never_skipped",
        message(
            "{step} is never skipped: traffic goes only to a host that was cut, changed and found healthy.",
            step=step.title or step.does,
        ),
        message(
            "Retry it, or skip the whole host: {host} then gets its weight back if it answers, else stays at 0.",
            host=host,
        ),
    )


# ------------------------------------------------------------------------------------------------------------ whole hosts


def _leaving_lines(progress: OrderProgress, run: RunProgress) -> list[Message]:
    """What becomes of a failed host that leaves: what it runs, and its traffic."""
    plan, host = progress.host_plan(run), run.host
    version = "" if version_unknown(plan, run) else as_it_is(plan, run).version
    lines = [_keeps(host, version, touched=run.touched), *_not_done(plan, run)]
    weights = [line.weight for line in plan.recorded]
    mounted = [line for line in progress.weights if line.mount.host == host]
    if not mounted:
        return [*lines, message("it stands behind no balancer: no traffic moves")]
    had = named([str(weight) for weight in dict.fromkeys(weights)]) or "0"
    lines.append(
        message("its health is checked; if it passes {host} gets back what it had: {weight}", host=host, weight=had)
    )
    lines.append(message("if not, it stays at weight 0 and is listed as left behind when the order ends"))
    if progress.paused:
        lines.append(message("that begins when the order is resumed: it is paused"))
    return lines


def _keeps(host: str, version: str, *, touched: bool) -> Message:
    if version:
        return message("{host} keeps what it runs: {version}", host=host, version=version)
    if touched:
        return message("nobody knows which version {host} runs, and it is shown so", host=host)
    return message("{host} stays as it is", host=host)


def _not_done(plan: HostPlan, run: RunProgress) -> list[Message]:
    keys = [step.key for step in plan.steps]
    if run.failed_at not in keys:
        return []
    rest = [step.title or step.does for step in plan.steps[keys.index(run.failed_at) :] if not step.on_balancer]
    return [message("not done there: {steps}", steps=", ".join(rest))] if rest else []


def _goes_on(progress: OrderProgress, run: RunProgress) -> list[Message]:
    """Who begins next in its group, or that its group is done then."""
    others = [each for each in progress.current_runs if each.node == run.node and each.host != run.host]
    failed = [each.host for each in others if each.state is RunState.FAILED]
    if len(failed) > progress.max_failures:
        return [message("failed hosts still to be decided on: {hosts}", hosts=named(failed))]
    waiting = [each.host for each in others if each.state is RunState.PENDING and each.leaving is Leaving.STAYS]
    node = progress.plan_towards(run.direction).node(run.node)
    if waiting and run.state is RunState.FAILED:
        return [message("{node} goes on with {hosts}", node=node.label, hosts=named(waiting))]
    if all(each.state.complete for each in others):
        return [message("{node} has no other host left to do", node=node.label)]
    return []


def _not_excludable(progress: OrderProgress, host: str) -> Problem:
    runs = [run for run in progress.current_runs if run.host == host]
    if not runs:
        return Problem(
            "not_of_order",
            message("{host} is not a host of this order now.", host=host or "-"),
            message("Choose a host that has not begun, or that failed."),
        )
    if any(run.state is RunState.RUNNING or run.held for run in runs):
        return Problem(
            "host_at_work",
            message("The order is at work on {host}.", host=host),
            message("Wait until it has ended there; what has failed can be excluded then."),
        )
    return Problem(
        "host_done",
        message("The order has nothing left to do on {host}.", host=host),
        message("Only a host that has not begun, or that failed, can be excluded."),
    )
