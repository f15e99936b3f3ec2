"""Resume: go on after a pause, also with a group before which the order was to pause: it has."""

from __future__ import annotations

from engine.domain.acts import Resume
from engine.domain.progress import OrderProgress
from engine.plan.next import groups_to_pause_before, node_state
from engine.run.acts.doing import By
from engine.store.orders import update_order
from engine.store.store import Transaction


def write(conn: Transaction, progress: OrderProgress, act: Resume, by: By, now: float) -> None:
    plan = progress.current_plan
    states = {} if plan is None else {node.key: node_state(progress, plan, node.key) for node in plan.nodes}
    due = [] if plan is None else groups_to_pause_before(progress, plan, states)
    later = [key for key in progress.pauses_before if key not in due]
    update_order(conn, progress.id, now, paused=False, pauses_before=later)
