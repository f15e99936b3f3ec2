"""What an act would do if it were asked for now, and why it can't be done when it can't.

The one place that decides whether an act is acceptable: screens show the answer before the key is pressed, the engine asks the same
question before it obeys, so the two agree by construction. Pure: no clock, no I/O, nothing is changed by asking.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from engine.domain.acts import (
    AnyAct,
    Cancel,
    Confirm,
    Exclude,
    GiveBack,
    HandOver,
    Initialise,
    Pause,
    PauseBefore,
    Remedy,
    Resume,
    Retry,
    RollBack,
    SetLimits,
    SetWeights,
    Skip,
    Start,
)
from engine.domain.message import Message, message
from engine.domain.orders import Plan, PlanNode
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress
from engine.domain.states import Direction, NodeKind, OrderState, RunState
from engine.plan import remedies
from engine.plan import what_if_words as words
from engine.plan.asked import Asked, allows, refuses, time_line
from engine.plan.back import SucceededVersions, WayBack, can_go_back, plan_cancel, versions_to_go_back_to
from engine.plan.in_service import crossing
from engine.plan.kept import begins, keeps_something
from engine.plan.next import leaves, may_leave
from engine.plan.problems import floor_broken, no_version_for_several_apps, rollback_never_succeeded
from engine.plan.what_if_leaving import exclude, skip
from engine.plan.what_if_running import hand_over, pause_before, set_limits
from engine.plan.what_if_words import named
from engine.plan.which_hosts import (
    MOVING,
    all_hosts,
    failed_hosts,
    hosts_in,
    hosts_left_behind,
    hosts_of,
    hosts_of_runs,
    in_doubt,
    opened_by,
    pending_in_open_groups,
    settable_hosts,
    started_hosts,
    touched_hosts,
    waiting_gate,
    without_traffic,
)
from engine.views.acts import Consequence

MAX_WEIGHT = 100
_GOES_ON = (Confirm, Resume, Retry, Remedy, Skip)  # what lets hosts begin


def consequence(
    progress: OrderProgress,
    act: AnyAct,
    *,
    succeeded_versions: SucceededVersions,
    production: bool,
    now: float,
    way_back: WayBack | None,
) -> Consequence:
    """What `act` would do to the order now. `allowed` false: the engine refuses it for `refusal`.

    `succeeded_versions` are those that a way back may lead to; `now` in epoch seconds. What an act leaves open is answered for
    what the engine would take. `way_back` is the order's kind's; None: it has none.

    A rollback of an ended order is an order of its own: it is allowed here, and no command of the ended one.
    """
    answer = _ANSWERS[type(act)](Asked(progress, act, succeeded_versions, production, now, way_back))
    if isinstance(act, _GOES_ON) and any(isinstance(each.act, RollBack) for each in progress.at_work):
        return replace(answer, allowed=False, refusal=words.rollback_at_work())
    return answer


# ------------------------------------------------------------------------------------------------------- the acts, one by one


def _initialise(asked: Asked[Initialise]) -> Consequence:
    progress, summary = asked.progress, message("initialises again")
    if progress.state not in (OrderState.INIT_FAILED, OrderState.READY):
        return refuses(asked, summary, words.wrong_state(asked.act.name, progress.state))
    lines = [words.checks(again=progress.plan is None)]
    if progress.problems:
        lines.append(message("problems found last time: {count}", count=len(progress.problems)))
    return allows(asked, summary, lines, all_hosts(progress))


def _start(asked: Asked[Start]) -> Consequence:
    progress, plan = asked.progress, asked.progress.plan
    if progress.state is not OrderState.READY or plan is None:
        return refuses(asked, message("starts the order"), words.wrong_state(asked.act.name, progress.state))
    if any(isinstance(each.act, Start) for each in progress.at_work):
        return refuses(asked, message("starts the order"), words.starting_already())
    opened = opened_by(progress, plan, {node.key for node in plan.nodes if node.kind is NodeKind.INITIALISE})
    hosts = hosts_of(opened)
    traffic = crossing(progress, leaving=hosts)
    summary = words.starts(opened, traffic)
    if plan.breaks_floor and not progress.spec.override_reason:
        return refuses(asked, summary, floor_broken(plan.lowest_in_service, plan.in_service, plan.floor), hosts)
    return allows(asked, summary, [*words.starting(opened), *words.traffic_lines(traffic, progress)], hosts)


def _confirm(asked: Asked[Confirm]) -> Consequence:
    progress, plan = asked.progress, asked.progress.current_plan
    gate = waiting_gate(progress, asked.act.node)
    if plan is None or gate is None or progress.state not in MOVING:
        return refuses(asked, message("confirms the gate"), words.nothing_to_confirm(asked.act.node))
    opened = opened_by(progress, plan, {gate.key})
    hosts = hosts_of(opened)
    traffic = crossing(progress, leaving=hosts)
    summary = words.confirms(_confirmed(plan, gate), opened, traffic)
    moving = tuple(host for host in gate.hosts if host in progress.weights_at_work)
    if moving:
        return refuses(asked, summary, words.weights_at_work(moving), hosts)
    idle = without_traffic(progress, gate) if gate.sliders else ()
    if idle:
        return refuses(asked, summary, words.gate_without_traffic(idle), hosts)
    doubtful = in_doubt(progress, gate) if gate.sliders else ()
    if doubtful:
        return refuses(asked, summary, words.gate_in_doubt(doubtful), hosts)
    if traffic.breaks_floor and not progress.spec.override_reason:
        return refuses(asked, summary, words.floor_broken_now(traffic), hosts)
    lines = [*words.starting(opened), *words.traffic_lines(traffic, progress), *time_line(asked, len(hosts))]
    if progress.paused:
        lines.append(words.still_paused())
    return allows(asked, summary, lines, hosts)


def _confirmed(plan: Plan, gate: PlanNode) -> Message:
    """What the gate stands behind."""
    return plan.node(gate.needs[0]).label if gate.needs else gate.label


def _set_weights(asked: Asked[SetWeights]) -> Consequence:
    progress = asked.progress
    settable = settable_hosts(progress)
    if not settable:
        return refuses(asked, message("sets weights"), words.no_weights_now(progress.state))
    wanted = asked.act.weights
    if not wanted:
        summary = message("sets weights of {hosts}", hosts=named(settable))
        return allows(asked, summary, words.weights_now(progress, settable), settable)
    summary = words.sets(wanted)
    problem = _bad_weights(wanted, settable)
    if problem is not None:
        return refuses(asked, summary, problem, tuple(wanted))
    traffic = crossing(progress, weights=wanted)
    if traffic.breaks_floor and not progress.spec.override_reason:
        return refuses(asked, summary, words.floor_broken_now(traffic), tuple(wanted))
    lines = [*words.weight_changes(progress, wanted), *words.traffic_lines(traffic, progress)]
    return allows(asked, summary, lines, tuple(wanted))


def _pause(asked: Asked[Pause]) -> Consequence:
    progress, summary = asked.progress, message("pauses the order")
    if progress.paused:
        return refuses(asked, summary, words.already_paused())
    if progress.state not in (OrderState.RUNNING, OrderState.WAITING, OrderState.ROLLING_BACK):
        return refuses(asked, summary, words.wrong_state(asked.act.name, progress.state))
    running = hosts_in(progress, RunState.RUNNING)
    lines = [message("no further host starts until the order is resumed")]
    if running:
        lines.append(
            message(
                "running hosts stop before their next move on the balancer; a job on a host finishes first: {hosts}",
                hosts=named(running),
            )
        )
        lines.append(message("those whose traffic is cut by then stay without it until the order is resumed"))
    return allows(asked, summary, lines, running)


def _resume(asked: Asked[Resume]) -> Consequence:
    progress, summary = asked.progress, message("resumes the order")
    if progress.state not in (*MOVING, OrderState.ROLLING_BACK):
        return refuses(asked, summary, words.wrong_state(asked.act.name, progress.state))
    if not progress.paused:
        return refuses(asked, summary, words.not_paused())
    pending = pending_in_open_groups(progress)
    hosts = hosts_of_runs(pending)
    starting = may_leave(progress, pending)
    traffic = crossing(progress, leaving=[run.host for run in starting if leaves(progress, run)])
    lines = [message("hosts that may start now: {hosts}", hosts=named(hosts_of_runs(starting)))] if starting else []
    lines += words.held_back(len(pending) - len(starting))
    failed = failed_hosts(progress)
    if failed:
        lines.append(message("failed hosts still to be decided on: {hosts}", hosts=named(failed)))
    lines += [*words.traffic_lines(traffic, progress), *time_line(asked, len(hosts))]
    return allows(asked, summary, lines, hosts)


def _retry(asked: Asked[Retry]) -> Consequence:
    progress, failed = asked.progress, failed_hosts(asked.progress)
    hosts = tuple(dict.fromkeys(asked.act.hosts or failed))
    summary = message("retries {hosts}", hosts=named(hosts) or "-")
    if progress.state not in (*MOVING, OrderState.ROLLING_BACK):
        return refuses(asked, summary, words.wrong_state(asked.act.name, progress.state))
    others = tuple(host for host in hosts if host not in failed)
    if others or not hosts:
        return refuses(asked, summary, words.not_failed(others), hosts)
    failed_runs = [run for run in progress.current_runs if run.state is RunState.FAILED and run.host in hosts]
    again = [replace(run, from_start=asked.act.from_start) for run in failed_runs]
    starting = may_leave(progress, again)
    traffic = crossing(progress, leaving=[run.host for run in starting if leaves(progress, run)])
    if not starting and not hosts_in(progress, RunState.RUNNING):
        return refuses(asked, summary, words.floor_broken_now(crossing(progress, leaving=hosts[:1])), hosts)
    lines = [words.tries_again(run, begins(progress.host_plan(run), run)) for run in again[: words.SHOWN_HOSTS]]
    may_keep = any(keeps_something(progress.host_plan(run), run) for run in failed_runs)
    if may_keep and not asked.act.from_start:
        lines.append(words.asked_first())
    lines += words.held_back(len(again) - len(starting))
    if progress.paused:
        lines.append(words.still_paused())
    lines += [*words.traffic_lines(traffic, progress), *time_line(asked, len(hosts))]
    return replace(allows(asked, summary, lines, hosts), may_keep=may_keep)


def _remedy(asked: Asked[Remedy]) -> Consequence:
    """What is done on the hosts, and then what trying them again means."""
    offers = remedies.asked_for(asked.progress, asked.act)
    if isinstance(offers, Problem):
        return refuses(asked, remedies.summary(()), offers, asked.act.hosts)
    hosts = tuple(offer.host for offer in offers)
    checked = asked.progress.state is OrderState.INIT_FAILED
    again: Asked[Any] = replace(asked, act=Initialise() if checked else Retry(hosts))  # type: ignore[arg-type]
    then = _ANSWERS[type(again.act)](again)
    if not then.allowed:
        return replace(then, act=asked.act.name)
    lines = [*remedies.lines(offers, asked.act.deadline_s, checked=checked), *then.lines]
    return allows(asked, remedies.summary(offers), lines, hosts)


def _cancel(asked: Asked[Cancel]) -> Consequence:
    progress, summary = asked.progress, message("cancels the order")
    if progress.state.complete or progress.state in (OrderState.CANCELLING, OrderState.ROLLING_BACK):
        return refuses(asked, summary, words.wrong_state(asked.act.name, progress.state))
    if progress.direction is Direction.BACK:
        return _give_up_rollback(asked)
    if progress.plan is None or not started_hosts(progress):
        lines = [message("nothing was changed yet: no host and no weight is touched, the order ends at once")]
        return allows(asked, summary, lines, ())
    back = plan_cancel(progress)
    hosts = back.hosts
    lines = words.cancelling(progress, hosts, hosts_in(progress, RunState.RUNNING))
    return allows(asked, summary, lines, hosts)


def _give_up_rollback(asked: Asked[Cancel]) -> Consequence:
    """Cancelling a way back that halted: it ends as it stands. Nothing may be running then."""
    progress = asked.progress
    summary = message("gives up the rollback: the order ends as failed")
    running = hosts_in(progress, RunState.RUNNING)
    if running:
        return refuses(asked, summary, words.wrong_state(asked.act.name, OrderState.ROLLING_BACK), running)
    left = hosts_left_behind(progress)
    return allows(asked, summary, words.giving_up(progress, left), left)


def _roll_back(asked: Asked[RollBack]) -> Consequence:
    progress = asked.progress
    if progress.state.complete:
        return _roll_back_afterwards(asked)
    hosts = started_hosts(progress)
    summary = words.rolls_back(hosts)
    if progress.direction is Direction.BACK or progress.state is OrderState.CANCELLING:
        return refuses(asked, summary, words.wrong_state(asked.act.name, progress.state), hosts)
    if asked.way_back is None:
        return refuses(asked, summary, words.no_way_back())
    if not hosts:
        return refuses(asked, summary, words.nothing_to_roll_back())
    version = asked.act.version
    answer = asked.way_back.undo(progress, version or None, asked.succeeded_versions)
    if answer.refusal is not None:
        return replace(refuses(asked, summary, answer.refusal, hosts), choices=answer.choices)
    back, touched = answer.plan, touched_hosts(progress)
    summary = words.rolls_back(hosts, back)
    # What is below the floor already is no reason against going back; taking more away is.
    if back.lowest_in_service < min(back.floor, back.in_service) and not progress.spec.override_reason:
        return refuses(asked, summary, floor_broken(back.lowest_in_service, back.in_service, back.floor), hosts)
    lines = words.rolling_back(progress, back, touched)
    if progress.state is OrderState.RUNNING:
        lines.append(words.paused_for_the_look())
    lines += time_line(asked, len(hosts), len([n for n in back.nodes if n.kind.runs_hosts]))
    allowed = allows(asked, summary, lines, hosts)
    return replace(allowed, choices=answer.choices, chosen=version)


def _roll_back_afterwards(asked: Asked[RollBack]) -> Consequence:
    progress = asked.progress
    hosts = all_hosts(progress)
    if not can_go_back(progress, asked.way_back):
        return refuses(asked, words.rolls_back(hosts), words.no_way_back())
    choices = versions_to_go_back_to(progress, asked.succeeded_versions)
    version = asked.act.version or (choices[0] if choices else "")
    summary = words.creates_rollback(progress, version)
    if not choices:
        return refuses(asked, summary, _never_succeeded(asked), hosts)
    if version not in choices:
        several = len(progress.apps) > 1
        problem = (
            no_version_for_several_apps(version) if several else rollback_never_succeeded(asked.app, version, choices)
        )
        return replace(refuses(asked, summary, problem, hosts), choices=choices)
    lines = [message("this order has ended: the rollback is an order of its own, checked before it starts")]
    allowed = allows(asked, summary, lines, hosts)
    return replace(allowed, choices=choices, chosen=version, makes_order=True)


def _never_succeeded(asked: Asked[RollBack]) -> Problem:
    """Of the first app that can't go back."""
    succeeded = asked.succeeded_versions
    apps = (app.app for app in asked.progress.apps if app.from_version not in succeeded.get(app.app, ()))
    return rollback_never_succeeded(next(apps, asked.app), "", ())


def _give_back(asked: Asked[GiveBack]) -> Consequence:
    """What an ended order left behind, host by host, each where its health check passes; with `force` without that check."""
    progress, left = asked.progress, hosts_left_behind(asked.progress)
    hosts = tuple(dict.fromkeys(asked.act.hosts or left))
    summary = message("gives the weights back: {hosts}", hosts=named(hosts) or "-")
    if not progress.state.complete:
        return refuses(asked, summary, words.wrong_state(asked.act.name, progress.state), hosts)
    others = tuple(host for host in hosts if host not in left)
    if others or not hosts:
        return refuses(asked, summary, words.nothing_left_behind(others), hosts)
    forced = asked.act.force
    return allows(asked, summary, words.giving_back(progress, hosts, forced=forced), hosts)


_ANSWERS: Mapping[type[AnyAct], Callable[[Asked[Any]], Consequence]] = {
    Initialise: _initialise,
    Start: _start,
    Confirm: _confirm,
    SetWeights: _set_weights,
    Pause: _pause,
    Resume: _resume,
    Retry: _retry,
    Remedy: _remedy,
    Skip: skip,
    Exclude: exclude,
    SetLimits: set_limits,
    PauseBefore: pause_before,
    HandOver: hand_over,
    Cancel: _cancel,
    RollBack: _roll_back,
    GiveBack: _give_back,
}


# ------------------------------------------------------------------------------------------------------------ their parts


def _bad_weights(wanted: Mapping[str, int], settable: tuple[str, ...]) -> Problem | None:
    strange = tuple(host for host in wanted if host not in settable)
    if strange:
        return words.weights_not_settable(strange, settable)
    wrong = {host: value for host, value in wanted.items() if not _is_weight(value)}
    if wrong:
        return words.weights_out_of_range(wrong)
    return None


def _is_weight(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_WEIGHT
