"""What an accepted act writes, inside one transaction with the answer to its command.

Whether an act is acceptable is `engine.plan.what_if`'s to say, the same function that showed the operator its consequence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from engine.domain.message import message
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress, leaves_host
from engine.domain.states import Act, CommandState, Direction, NodeKind, NodeState, OrderState, RunState
from engine.plan.what_if import healthy, waiting_gate
from engine.store import orders as rows
from engine.store import tables as t


def carry_out(conn: sa.Connection, progress: OrderProgress, command: sa.Row[Any], now: float) -> None:
    """The rows of an act that needs nothing but the store. `set_weights` has done its work on the balancer before."""
    act = Act(command.act)
    if act is Act.INITIALISE:
        rows.set_order_state(conn, progress, OrderState.INITIALISING, now)
    elif act is Act.START:
        rows.update_order(conn, progress.id, now, started_at=now)
        rows.set_order_state(conn, progress, OrderState.RUNNING, now)
    elif act is Act.PAUSE:
        rows.update_order(conn, progress.id, now, paused=True)
    elif act is Act.RESUME:
        rows.update_order(conn, progress.id, now, paused=False)
    elif act is Act.CONFIRM:
        _confirm(conn, progress, command.params, command.operator, now)
    elif act is Act.RETRY:
        _retry(conn, progress, command.params, now)
    elif act is Act.CANCEL:
        _cancel(conn, progress, command.reason, now)
    elif act is Act.ROLL_BACK:
        rows.update_order(conn, progress.id, now, reason=command.reason, paused=False)
        rows.set_order_state(conn, progress, OrderState.ROLLING_BACK, now)


def unanswered(conn: sa.Connection, command: sa.Row[Any]) -> bool:
    state = conn.execute(sa.select(t.command.c.state).where(t.command.c.id == command.id)).scalar_one()
    return bool(state == str(CommandState.SENT))


def answer(
    conn: sa.Connection, command: sa.Row[Any], state: CommandState, now: float, problem: Problem | None = None
) -> None:
    data = problem.to_json() if problem else None
    conn.execute(
        sa.update(t.command).where(t.command.c.id == command.id).values(state=str(state), problem=data, answered_at=now)
    )
    event = {"act": command.act, "operator": command.operator, "state": str(state), "reason": command.reason}
    rows.add_event(conn, command.order_id, now, "command", event | ({"problem": data} if data else {}))


def order_ended(order_id: int, state: OrderState) -> Problem:
    return Problem(
        "order_ended",
        message("Order #{id} has ended ({state}).", id=order_id, state=str(state)),
        message("Create another order; a rollback after the end is an order of its own."),
    )


def _confirm(
    conn: sa.Connection, progress: OrderProgress, params: Mapping[str, Any], operator: str, now: float
) -> None:
    """The gate is passed, and the weights its healthy hosts have now are what the operator wants them to be. The weight of one
    that failed within the budget, or runs again, stays the order's: nobody has decided about it."""
    gate = waiting_gate(progress, params.get("node"))
    plan = progress.current_plan
    assert gate is not None, "what_if accepted a confirm without a gate"
    assert plan is not None, "an order without a plan has no gate"
    rows.set_node_state(conn, progress, plan, gate.key, NodeState.SUCCEEDED, now, by=operator)
    decided = [host for host in gate.hosts if healthy(progress, host)]
    conn.execute(
        sa.update(t.weight).where(t.weight.c.order_id == progress.id, t.weight.c.host.in_(decided)).values(owned=False)
    )


def _retry(conn: sa.Connection, progress: OrderProgress, params: Mapping[str, Any], now: float) -> None:
    wanted = set(params.get("hosts") or ())
    for run in progress.current_runs:
        if run.state is RunState.FAILED and (not wanted or run.host in wanted):
            rows.retry_run(conn, progress.id, run, now)


def _cancel(conn: sa.Connection, progress: OrderProgress, reason: str, now: float) -> None:
    """Before the start there is nothing to give back; during a way back that halted, cancelling gives it up as it is."""
    rows.update_order(conn, progress.id, now, reason=reason, paused=False)
    if progress.started_at is None:
        rows.set_order_state(conn, progress, OrderState.CANCELLED, now)
    elif progress.direction is Direction.BACK:
        _end_pending(conn, progress, now)
        rows.set_order_state(conn, progress, OrderState.FAILED, now, problem=progress.problem)
        rows.let_go_of_weights(conn, progress.id, decided=_brought_back(progress))
    else:
        rows.set_order_state(conn, progress, OrderState.CANCELLING, now)


def _brought_back(progress: OrderProgress) -> set[str]:
    """Hosts that have got their weight back on the way back."""
    return {run.host for run in progress.towards(Direction.BACK) if run.state is RunState.SUCCEEDED}


def turn_back(conn: sa.Connection, progress: OrderProgress, now: float) -> None:
    """What had not begun on the way forward never will."""
    plan = progress.plan
    assert plan is not None, "an order without a plan has nothing to go back from"
    for node in plan.nodes:
        row = progress.nodes.get((Direction.FORWARD, node.key))
        if row is not None and not row.state.complete and node.kind is not NodeKind.INITIALISE:
            rows.set_node_state(conn, progress, plan, node.key, NodeState.CANCELLED, now)
    _end_pending(conn, progress, now)


def _end_pending(conn: sa.Connection, progress: OrderProgress, now: float) -> None:
    """What has not begun in this direction never will; a host that stands still between two steps is left there."""
    for run in progress.current_runs:
        if run.state is not RunState.PENDING:
            continue
        rows.end_run(conn, progress.id, run, RunState.CANCELLED, now)
        if run.held:
            state = leaves_host(progress.host_plan(run), RunState.CANCELLED, touched=run.touched)
            rows.set_host(conn, progress.workspace_id, run.host, state=str(state))
