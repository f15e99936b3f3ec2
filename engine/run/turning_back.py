"""An order that turns back: what had not begun on the way forward never will."""

from __future__ import annotations

from engine.domain.progress import OrderProgress, leaves_host
from engine.domain.states import Direction, NodeKind, NodeState, RunState
from engine.store.fleets import set_host
from engine.store.host_runs import end_run
from engine.store.plans import set_node_state
from engine.store.store import Transaction


def turn_back(conn: Transaction, progress: OrderProgress, now: float) -> None:
    plan = progress.plan
    assert plan is not None, "an order without a plan has nothing to go back from"
    for node in plan.nodes:
        row = progress.nodes.get((Direction.FORWARD, node.key))
        if row is not None and not row.state.complete and node.kind is not NodeKind.INITIALISE:
            set_node_state(conn, progress, plan, node.key, NodeState.CANCELLED, now)
    end_pending(conn, progress, now)


def end_pending(conn: Transaction, progress: OrderProgress, now: float) -> None:
    """What has not begun in this direction never will; a host that stands still between two steps is left there."""
    for run in progress.current_runs:
        if run.state is not RunState.PENDING:
            continue
        end_run(conn, progress.id, run, RunState.CANCELLED, now)
        if run.held:
            state = leaves_host(progress.host_plan(run), RunState.CANCELLED, touched=run.touched)
            set_host(conn, progress.workspace_id, run.host, state=str(state))
