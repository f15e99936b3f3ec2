"""What it means to change an order's limits while it runs, to pause it before a group, and to hand it over. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from engine.domain.acts import HandOver, PauseBefore, SetLimits
from engine.domain.message import Message, message
from engine.domain.orders import PlanNode
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress
from engine.domain.states import NodeState, OrderState, RunState
from engine.plan import what_if_words as words
from engine.plan.asked import Asked, allows, refuses
from engine.plan.next import node_state, runs_of
from engine.plan.what_if_words import named
from engine.plan.which_hosts import hosts_in
from engine.views.acts import Consequence

MOST_AT_ONCE = 10_000


# ------------------------------------------------------------------------------------------------------------- the limits


def set_limits(asked: Asked[SetLimits]) -> Consequence:
    progress, act = asked.progress, asked.act
    at_once = progress.parallelism if act.parallelism is None else act.parallelism
    failures = progress.max_failures if act.max_failures is None else act.max_failures
    summary = message(
        "hosts at once: {at_once}; failures allowed per group: {failures}", at_once=at_once, failures=failures
    )
    if progress.state.complete or progress.state is OrderState.CANCELLING:
        return refuses(asked, summary, words.wrong_state(act.name, progress.state))
    if not 1 <= at_once <= MOST_AT_ONCE:
        return refuses(asked, summary, _no_number(message("hosts at once"), at_once, 1))
    if not 0 <= failures <= MOST_AT_ONCE:
        return refuses(asked, summary, _no_number(message("failures allowed per group"), failures, 0))
    lines = [
        message("hosts at once: {before} → {after}, from the next host on", before=progress.parallelism, after=at_once),
        message("failures allowed per group: {before} → {after}", before=progress.max_failures, after=failures),
    ]
    running = hosts_in(progress, RunState.RUNNING)
    if len(running) > at_once:
        lines.append(message("those at work go on, no other begins before fewer than {count} are", count=at_once))
    return allows(asked, summary, [*lines, *_budget_lines(progress, failures)], running)


def _budget_lines(progress: OrderProgress, failures: int) -> list[Message]:
    """Groups that go on, or are halted, because of it."""
    plan, lines = progress.current_plan, list[Message]()
    for node in plan.nodes if plan is not None else ():
        runs = [] if plan is None else runs_of(progress, plan, node)
        failed = [run.host for run in runs if run.state is RunState.FAILED]
        left = [run.host for run in runs if run.state is RunState.PENDING]
        if progress.max_failures < len(failed) <= failures:
            lines.append(message("{node} goes on although these failed: {hosts}", node=node.label, hosts=named(failed)))
        elif failures < len(failed) <= progress.max_failures and left:
            lines.append(message("{node} begins no further host: {hosts} failed", node=node.label, hosts=named(failed)))
    return lines


def _no_number(what: Message, value: int, least: int) -> Problem:
    return Problem(
        "limit_out_of_range",
        message("{value} is no number for: {what}.", value=value, what=what),
        message("Give a whole number from {least} to {most}.", least=least, most=MOST_AT_ONCE),
    )


# ------------------------------------------------------------------------------------------------------ a pause at a group


def pause_before(asked: Asked[PauseBefore]) -> Consequence:
    progress, act, plan = asked.progress, asked.act, asked.progress.current_plan
    nodes = [] if plan is None else [node for node in plan.nodes if node.kind.runs_hosts]
    pending = [] if plan is None else [n for n in nodes if node_state(progress, plan, n.key) is NodeState.PENDING]
    node = next((node for node in (nodes if act.node else pending) if act.node in ("", node.key)), None)
    label: object = (act.node or "-") if node is None else node.label
    summary = (
        message("the order does not pause before {node}", node=label)
        if act.off
        else message("the order pauses before {node} begins", node=label)
    )
    if progress.state.complete or progress.state is OrderState.CANCELLING:
        return refuses(asked, summary, words.wrong_state(act.name, progress.state))
    if node is None:
        return refuses(asked, summary, _no_such_group(act.node, nodes))
    if act.off != (node.key in progress.pauses_before):
        return refuses(asked, summary, _nothing_changes(node, off=act.off))
    if plan is not None and not act.off and node_state(progress, plan, node.key) is not NodeState.PENDING:
        return refuses(asked, summary, _has_begun(node))
    if act.off:
        lines = [
            message("{node} begins when what is before it is done: {hosts}", node=node.label, hosts=named(node.hosts))
        ]
    else:
        lines = [
            message(
                "when its turn comes, no host of it begins until the order is resumed: {hosts}", hosts=named(node.hosts)
            ),
            message("what is before it goes on as planned"),
        ]
        if len(progress.apps) > 1:
            lines.append(message("the whole order is paused then, other apps' groups as well"))
    return allows(asked, summary, lines, node.hosts)


def _no_such_group(key: str, nodes: list[PlanNode]) -> Problem:
    return Problem(
        "no_such_group",
        message("The order has no group {key} now.", key=key or "-"),
        message("Choose one of: {keys}.", keys=named([node.key for node in nodes]) or "-"),
    )


def _nothing_changes(node: PlanNode, *, off: bool) -> Problem:
    what = (
        message("The order does not pause before {node}.", node=node.label)
        if off
        else message("The order already pauses before {node}.", node=node.label)
    )
    return Problem("nothing_changes", what, message("There is nothing to do."))


def _has_begun(node: PlanNode) -> Problem:
    return Problem(
        "group_has_begun",
        message("{node} has begun already.", node=node.label),
        message("Pause the order now, or choose a later group."),
    )


# ------------------------------------------------------------------------------------------------------------ another person


def hand_over(asked: Asked[HandOver]) -> Consequence:
    progress, to = asked.progress, asked.act.to
    summary = message("hands the order over to {to}", to=to or "-")
    if progress.state.complete:
        return refuses(asked, summary, words.wrong_state(asked.act.name, progress.state))
    if to == progress.responsible:
        return refuses(asked, summary, _responsible_already(to))
    lines = [
        message("responsible now: {before}; from then on: {to}", before=progress.responsible, to=to or "-"),
        message("the order goes on as it is; whoever has the role may act on it, as before"),
    ]
    return allows(asked, summary, lines, ())


def nobody_to_hand_to(to: str, others: Sequence[str]) -> Problem:
    """`others`: who could take it over; nobody: no other operator has the role here."""
    if not others:
        return Problem(
            "nobody_to_hand_to",
            message("Nobody else may act on this order."),
            message("Name another operator in the catalogue, with the role operator here, then hand it over."),
        )
    return Problem(
        "nobody_to_hand_to",
        message("{to} may not act on this order.", to=to),
        message("Hand it over to one of: {names}.", names=named(others)),
    )


def _responsible_already(to: str) -> Problem:
    return Problem(
        "responsible_already",
        message("{to} is responsible for this order already.", to=to),
        message("Name somebody else."),
    )
