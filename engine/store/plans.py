"""The plan of an order and the state of its nodes. Called inside a transaction."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from engine.domain.orders import Plan
from engine.domain.progress import NodeProgress, OrderProgress, job_of
from engine.domain.states import Direction, NodeState
from engine.store import tables as t
from engine.store.encoding import encode_plan
from engine.store.events import add_event
from engine.store.orders import update_order
from engine.store.statements import update

_ORDER = sa.bindparam("order_id", type_=sa.BigInteger)
_NODES = sa.select(t.order_node).where(t.order_node.c.order_id == _ORDER).order_by(t.order_node.c.position)


def load_nodes(conn: sa.Connection, order_id: int) -> dict[tuple[Direction, str], NodeProgress]:
    rows = conn.execute(_NODES, {"order_id": order_id})
    return {
        (Direction(row.direction), row.key): NodeProgress(
            row.key, NodeState(row.state), row.started_at, row.ended_at, row.confirmed_by
        )
        for row in rows
    }


def insert_plan(conn: sa.Connection, order_id: int, plan: Plan, now: float) -> None:
    """Store the plan and its nodes and host runs, all pending; an earlier plan of the same direction is replaced."""
    column = "plan" if plan.direction is Direction.FORWARD else "back_plan"
    update_order(conn, order_id, now, **{column: encode_plan(plan)})
    direction = str(plan.direction)
    for table in (t.step, t.host_run, t.order_node):
        conn.execute(sa.delete(table).where(table.c.order_id == order_id, table.c.direction == direction))
    conn.execute(
        sa.insert(t.order_node),
        [
            {"order_id": order_id, "direction": direction, "key": node.key, "position": at, "kind": str(node.kind)}
            for at, node in enumerate(plan.nodes)
        ],
    )
    runs = [
        {
            "order_id": order_id,
            "direction": direction,
            "node": node,
            "host": host,
            "position": position,
            "job": job_of(plan.direction, node),
            "from_version": run.before.version,
            "to_version": run.after.version,
        }
        for position, ((node, host), run) in enumerate(plan.run_of.items())
    ]
    if runs:
        conn.execute(sa.insert(t.host_run), runs)


def replace_plan(conn: sa.Connection, order_id: int, plan: Plan, now: float) -> None:
    """The plan with other parts of its steps: its nodes, its hosts and how far they are stay as they are."""
    column = "plan" if plan.direction is Direction.FORWARD else "back_plan"
    update_order(conn, order_id, now, **{column: encode_plan(plan)})


def set_node_state(
    conn: sa.Connection, progress: OrderProgress, plan: Plan, key: str, state: NodeState, now: float, by: str = ""
) -> None:
    node = plan.node(key)
    before = progress.nodes.get((plan.direction, key))
    values: dict[str, Any] = {"state": str(state)}
    if before is None or before.started_at is None:
        values["started_at"] = now
    values["ended_at"] = now if state.complete else None
    if by:
        values["confirmed_by"] = by
    update(conn, t.order_node, {"order_id": progress.id, "direction": str(plan.direction), "key": key}, values)
    was = str(before.state) if before else str(NodeState.PENDING)
    data = {"key": key, "label": node.label.to_json(), "state": str(state), "was": was, "by": by}
    add_event(conn, progress.id, now, "node", data)
