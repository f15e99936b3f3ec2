"""Orders as the api makes them, inside a transaction of the test's own."""

from __future__ import annotations

import sqlalchemy as sa

from engine.domain.orders import HostPlan, OrderSpec, Plan
from engine.domain.progress import OrderProgress, RunProgress
from engine.domain.states import Direction
from engine.kinds.registry import kind_of
from engine.reading.preview import order_apps
from engine.store.facts import load_facts
from engine.store.orders import insert_order


def make_order(
    conn: sa.Connection, workspace_id: int, spec: OrderSpec, *, created_by: str = "alice", now: float = 1.0
) -> int:
    """Its id. Whatever forbids the order is left to its check."""
    kind = kind_of(spec.kind)
    asked = tuple(kind.apps(spec))
    facts = load_facts(conn, workspace_id, asked)
    return insert_order(
        conn,
        workspace_id=workspace_id,
        spec=spec,
        apps=order_apps(asked, facts),
        hosts=tuple(kind.hosts(spec, facts)),
        created_by=created_by,
        now=now,
    )


def run_of(progress: OrderProgress, host: str, direction: Direction = Direction.FORWARD) -> RunProgress:
    """The host's run; it stands in one node of that direction."""
    (run,) = (run for run in progress.towards(direction) if run.host == host)
    return run


def plan_for(plan: Plan, host: str) -> HostPlan:
    """What is done on the host; it stands in one node of the plan."""
    (found,) = (run for run in plan.run_of.values() if run.host == host)
    return found
