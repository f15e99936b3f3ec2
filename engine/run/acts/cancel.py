"""Cancel: before the start there is nothing to give back; during a way back that halted, cancelling gives it up as it is."""

from __future__ import annotations

from engine.domain.acts import Cancel
from engine.domain.progress import OrderProgress
from engine.domain.states import Direction, OrderState, RunState
from engine.run.acts.doing import By
from engine.run.turning_back import end_pending
from engine.store.orders import set_order_state, update_order
from engine.store.store import Transaction
from engine.store.weights import let_go_of_weights


def write(conn: Transaction, progress: OrderProgress, act: Cancel, by: By, now: float) -> None:
    update_order(conn, progress.id, now, reason=by.reason, paused=False)
    if progress.started_at is None:
        set_order_state(conn, progress, OrderState.CANCELLED, now)
    elif progress.direction is Direction.BACK:
        end_pending(conn, progress, now)
        set_order_state(conn, progress, OrderState.FAILED, now, problem=progress.problem)
        let_go_of_weights(conn, progress.id, decided=_brought_back(progress))
    else:
        set_order_state(conn, progress, OrderState.CANCELLING, now)


def _brought_back(progress: OrderProgress) -> set[str]:
    """Hosts that have got their weight back on the way back."""
    return {run.host for run in progress.towards(Direction.BACK) if run.state is RunState.SUCCEEDED}
