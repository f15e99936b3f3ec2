"""Reading how far an order is. Called inside a transaction, never opens one; nothing is written here."""

from __future__ import annotations

import sqlalchemy as sa

from engine.domain.acts import UnreadableAct, decode
from engine.domain.message import Message, message
from engine.domain.orders import OrderApp
from engine.domain.outage import Outage
from engine.domain.problem import Problem
from engine.domain.progress import ActAtWork, OrderProgress
from engine.domain.states import CommandState, Direction, OrderState
from engine.store import tables as t
from engine.store.encoding import decode_problem, decode_stored_plan, decode_stored_spec
from engine.store.host_runs import load_runs
from engine.store.plans import load_nodes
from engine.store.statements import columns, text_of
from engine.store.store import StoreError
from engine.store.weights import load_weights

_ORDER = sa.bindparam("order_id", type_=sa.BigInteger)
_ONE_ORDER = sa.select(
    *[column for column in t.order.c if column.name not in ("plan", "back_plan", "spec")],
    text_of(t.order.c.spec).label("spec_text"),
    text_of(t.order.c.plan).label("plan_text"),
    text_of(t.order.c.back_plan).label("back_plan_text"),
    sa.exists()
    .where(t.command.c.order_id == t.order.c.id, t.command.c.state == str(CommandState.WORKING))
    .label("works"),
).where(t.order.c.id == _ORDER)
_APPS = (
    sa.select(
        *columns(t.order_app, "service_instance_id", "from_version", "to_version", "needs"), t.app.c.name.label("app")
    )
    .join(t.service_instance, t.service_instance.c.id == t.order_app.c.service_instance_id)
    .join(t.app, t.app.c.id == t.service_instance.c.app_id)
    .where(t.order_app.c.order_id == _ORDER)
    .order_by(t.order_app.c.position)
)
_AT_WORK = (
    sa.select(t.command)
    .where(t.command.c.order_id == _ORDER, t.command.c.state == str(CommandState.WORKING))
    .order_by(t.command.c.id)
)


def load_progress(conn: sa.Connection, order_id: int) -> OrderProgress:
    """How far the order is. Raises StoreError `no_such_order`."""
    row = conn.execute(_ONE_ORDER, {"order_id": order_id}).one_or_none()
    if row is None:
        raise StoreError(
            Problem(
                "no_such_order",
                message("There is no order #{id}.", id=order_id),
                message("List the orders of this workspace and choose one."),
            )
        )
    return OrderProgress(
        id=row.id,
        workspace_id=row.workspace_id,
        apps=load_apps(conn, order_id),
        kind=row.kind,
        title=row.title,
        state=OrderState(row.state),
        direction=Direction(row.direction),
        spec=decode_stored_spec(row.spec_text),
        plan=decode_stored_plan(row.plan_text),
        back_plan=decode_stored_plan(row.back_plan_text),
        nodes=load_nodes(conn, order_id),
        runs=load_runs(conn, order_id),
        weights=load_weights(conn, order_id),
        paused=row.paused,
        parallelism=row.parallelism,
        epoch=row.epoch,
        problems=tuple((item["host"], Problem.from_json(item["problem"])) for item in row.problems or ()),
        problem=decode_problem(row.problem),
        reason=row.reason,
        created_by=row.created_by,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        at_work=_at_work(conn, order_id) if row.works else (),
        outages=tuple(map(Outage.from_json, row.outages or ())),
        max_failures_now=row.max_failures,
        pauses_before=tuple(row.pauses_before or ()),
        handed_to=row.handed_to,
    )


def _at_work(conn: sa.Connection, order_id: int) -> tuple[ActAtWork, ...]:
    """What can't be read is no act of this version; it is refused when it is answered."""
    found = []
    for row in conn.execute(_AT_WORK, {"order_id": order_id}):
        try:
            act = decode(row.act, row.params)
        except UnreadableAct:
            continue
        since = row.sent_at if row.begun_at is None else row.begun_at
        found.append(ActAtWork(row.id, act, row.operator, since, Message.from_json(row.waits_for)))
    return tuple(found)


def load_apps(conn: sa.Connection, order_id: int) -> tuple[OrderApp, ...]:
    rows = conn.execute(_APPS, {"order_id": order_id})
    return tuple(
        OrderApp(row.service_instance_id, row.app, row.from_version, row.to_version, tuple(row.needs)) for row in rows
    )
