"""Confirm: the gate is passed, and the weights its healthy hosts have now are what the operator wants them to be."""

from __future__ import annotations

import sqlalchemy as sa

from engine.domain.acts import Confirm
from engine.domain.progress import OrderProgress
from engine.domain.states import NodeState
from engine.plan.which_hosts import healthy, waiting_gate
from engine.run.acts.doing import By
from engine.store import tables as t
from engine.store.plans import set_node_state


def rows(conn: sa.Connection, progress: OrderProgress, act: Confirm, by: By, now: float) -> None:
    """The weight of a host that failed within the budget, or runs again, stays the order's: nobody has decided about it."""
    gate = waiting_gate(progress, act.node)
    plan = progress.current_plan
    assert gate is not None, "what_if accepted a confirm without a gate"
    assert plan is not None, "an order without a plan has no gate"
    set_node_state(conn, progress, plan, gate.key, NodeState.SUCCEEDED, now, by=by.operator)
    decided = [host for host in gate.hosts if healthy(progress, host)]
    conn.execute(
        sa.update(t.weight).where(t.weight.c.order_id == progress.id, t.weight.c.host.in_(decided)).values(owned=False)
    )
