"""How long the steps of an app took here: from what ended orders of the workspace recorded, the newest of them.

Read once until another order has ended; a screen that watches an order asks several times a second.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa

from engine.domain.states import StepState
from engine.plan.time_left import AppStep, StepTimes, step_time
from engine.store import tables as t
from engine.store.encoding import decode_stored_plan
from engine.store.order_states import ENDED_STATES
from engine.store.statements import text_of

# the newest orders, and the newest of their steps, that are looked at
ORDERS = 20
STEPS = 20_000
INSTANCES_REMEMBERED = 64


class RecordedTimes:
    """One per `Api`; may be used from several threads: what is remembered is replaced as a whole."""

    def __init__(self) -> None:
        self._remembered: dict[tuple[int, ...], tuple[tuple[int, ...], StepTimes]] = {}

    def read(self, conn: sa.Connection, service_instances: Collection[int]) -> StepTimes:
        """(app, step) → its time, of the steps that are recorded."""
        asked = tuple(sorted(service_instances))
        orders = tuple(_ended_orders(conn, asked))
        known = self._remembered.get(asked)
        if known is not None and known[0] == orders:
            return known[1]
        found = _times(conn, orders) if orders else {}
        others = [(key, value) for key, value in self._remembered.items() if key != asked]
        self._remembered = dict([*others, (asked, (orders, found))][-INSTANCES_REMEMBERED:])
        return found


def _ended_orders(conn: sa.Connection, service_instances: tuple[int, ...]) -> list[int]:
    query = (
        sa.select(t.order.c.id)
        .join(t.order_app, t.order_app.c.order_id == t.order.c.id)
        .where(t.order_app.c.service_instance_id.in_(service_instances), t.order.c.state.in_(ENDED_STATES))
        .distinct()
        .order_by(t.order.c.id.desc())
        .limit(ORDERS)
    )
    return list(conn.execute(query).scalars())


def _times(conn: sa.Connection, orders: Collection[int]) -> StepTimes:
    apps, step = _apps_of(conn, orders), t.step.c
    rows = conn.execute(
        sa.select(step.order_id, step.direction, step.node, step.host, step.key, step.started_at, step.ended_at)
        .where(
            step.order_id.in_(orders),
            step.state == str(StepState.SUCCEEDED),
            step.kept_from == 0,
            step.started_at.is_not(None),
            step.ended_at.is_not(None),
        )
        .order_by(step.order_id.desc())
        .limit(STEPS)
    )
    took: dict[AppStep, list[float]] = defaultdict(list)
    for order_id, direction, node, host, key, started_at, ended_at in rows:
        app = apps.get((order_id, direction, node, host)) or apps.get((order_id, "", "", ""))
        if app:
            took[app, key].append(max(0.0, ended_at - started_at))
    return {each: step_time(times) for each, times in took.items()}


def _apps_of(conn: sa.Connection, orders: Collection[int]) -> Mapping[tuple[int, str, str, str], str]:
    """(order, direction, node, host) → its app; of an order of one app (order, "", "", "") → that."""
    app = t.order_app.c
    rows = conn.execute(
        sa.select(app.order_id, t.app.c.name)
        .join(t.service_instance, t.service_instance.c.id == app.service_instance_id)
        .join(t.app, t.app.c.id == t.service_instance.c.app_id)
        .where(app.order_id.in_(orders))
    )
    names: dict[int, list[str]] = defaultdict(list)
    for order_id, name in rows:
        names[order_id].append(name)
    found = {(order_id, "", "", ""): each[0] for order_id, each in names.items() if len(each) == 1}
    several = [order_id for order_id, each in names.items() if len(each) > 1]
    return found | _apps_in_plans(conn, several)


def _apps_in_plans(conn: sa.Connection, orders: Collection[int]) -> dict[tuple[int, str, str, str], str]:
    if not orders:
        return {}
    query = sa.select(t.order.c.id, text_of(t.order.c.plan), text_of(t.order.c.back_plan))
    rows: list[Any] = list(conn.execute(query.where(t.order.c.id.in_(orders))).all())
    plans = [(order_id, decode_stored_plan(text)) for order_id, *texts in rows for text in texts]
    return {
        (order_id, str(plan.direction), node, host): run.app
        for order_id, plan in plans
        if plan is not None
        for (node, host), run in plan.run_of.items()
    }
