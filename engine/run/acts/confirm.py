"""Confirm: the gate is passed, and the weights its healthy hosts have now are what the operator wants them to be."""

from __future__ import annotations

from engine.domain.acts import Confirm
from engine.domain.progress import OrderProgress
from engine.domain.states import NodeState
from engine.plan.which_hosts import healthy, waiting_gate
from engine.run.acts.doing import By
from engine.store.plans import set_node_state
from engine.store.store import Transaction
from engine.store.weights import let_go_of_hosts


def write(conn: Transaction, progress: OrderProgress, act: Confirm, by: By, now: float) -> None:
    """The weight of a host that failed within the budget, or runs again, stays the order's: nobody has decided about it."""
    gate = waiting_gate(progress, act.node)
    plan = progress.current_plan
    assert gate is not None, "what_if accepted a confirm without a gate"
    assert plan is not None, "an order without a plan has no gate"
    set_node_state(conn, progress, plan, gate.key, NodeState.SUCCEEDED, now, by=by.operator)
    decided = [host for host in gate.hosts if healthy(progress, host)]
    let_go_of_hosts(conn, progress.id, decided)
