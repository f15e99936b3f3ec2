"""What a decision writes: nodes, runs that start, the order's state, and what its end means for apps and weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.domain.message import message
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress
from engine.domain.states import Direction, OrderState, RunState
from engine.kinds.kind import Succeeded
from engine.kinds.registry import kind_of
from engine.plan.next import Decision, left_out, weights_left_at_zero
from engine.plan.what_if_words import named
from engine.store.events import add_event
from engine.store.fleets import record_success, set_host
from engine.store.host_runs import start_run
from engine.store.orders import set_order_state, update_order
from engine.store.plans import set_node_state
from engine.store.store import Transaction
from engine.store.weights import let_go_of_weights


def write_decision(conn: Transaction, progress: OrderProgress, decision: Decision, now: float) -> None:
    plan = progress.current_plan
    if plan is None:
        return
    if decision.pauses_before:
        left = [key for key in progress.pauses_before if key != decision.pauses_before]
        update_order(conn, progress.id, now, paused=True, pauses_before=left)
        label = plan.node(decision.pauses_before).label
        add_event(conn, progress.id, now, "paused", {"key": decision.pauses_before, "label": label.to_json()})
    for key, state in decision.nodes.items():
        set_node_state(conn, progress, plan, key, state, now)
    for run in decision.start:
        host = progress.host_plan(run)
        start_run(conn, progress.id, run, [step.key for step in host.steps], now)
        set_host(conn, progress.workspace_id, run.host, state=str(host.during))
    if decision.order is not progress.state:
        problem = _why_halted(progress, decision) if decision.order is OrderState.HALTED else None
        set_order_state(conn, progress, decision.order, now, problem=problem)
        if decision.order.complete:
            _end(conn, progress, decision.order, now)


def _end(conn: Transaction, progress: OrderProgress, state: OrderState, now: float) -> None:
    given = state in (OrderState.SUCCEEDED, OrderState.ROLLED_BACK)
    hosts = {line.mount.host for line in progress.weights} - left_out(progress) if given else set()
    let_go_of_weights(conn, progress.id, decided=hosts)
    if state is OrderState.SUCCEEDED:
        for succeeded in _reached(progress, kind_of(progress.kind).records(progress)):
            record_success(conn, progress.id, succeeded.service_instance_id, succeeded.version, now)


def _reached(progress: OrderProgress, recorded: Sequence[Succeeded]) -> Iterator[Succeeded]:
    """A version has succeeded where a host got it: not if all of the app's were left out, or what brings it was skipped on each."""
    reached = set()
    for run in progress.towards(Direction.FORWARD):
        plan = progress.host_plan(run)
        if run.state is RunState.SUCCEEDED and not any(s.touches and s.key in run.skips for s in plan.steps):
            reached.add(plan.app)
    instances = {app.service_instance_id for app in progress.apps if app.app in reached}
    yield from (each for each in recorded if each.service_instance_id in instances)


def _why_halted(progress: OrderProgress, decision: Decision) -> Problem | None:
    silent = tuple(dict.fromkeys(ln.mount.host for ln in progress.weights if ln.believed > 0 and not ln.serves))
    if decision.held_by_floor and silent:
        return Problem(
            "floor_reached",
            message("No more hosts of {app} can leave the balancer: these have a weight but do not answer: {hosts}.",
                    app=progress.named, hosts=named(silent)),
            message("Bring them back into service (the order then goes on by itself), or roll back."),
        )  # fmt: skip
    if decision.held_by_floor:
        return Problem(
            "floor_reached",
            message("No more hosts of {app} can leave the balancer without breaking the floor.", app=progress.named),
            message("Bring hosts back into service (retry the failed ones, give weights), or roll back."),
        )
    failed = [run for run in progress.runs.values() if run.state is RunState.FAILED and run.problem is not None]
    if failed:
        return failed[0].problem
    left = weights_left_at_zero(progress)
    if not left or progress.paused:
        return None
    return Problem(
        "weight_left_at_zero",
        message("These hosts took traffic before the order and would end without: {hosts}.", hosts=", ".join(left)),
        message("Give them a weight, or roll back."),
    )
