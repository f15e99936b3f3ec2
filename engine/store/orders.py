"""Orders: the rows that a change of the order itself writes, and which orders are open. Called inside a transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from engine.domain.orders import OrderApp, OrderSpec
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress
from engine.domain.states import OrderState
from engine.store import tables as t
from engine.store.encoding import encode_problem, encode_spec
from engine.store.events import add_event
from engine.store.order_states import OPEN_STATES
from engine.store.statements import HOSTS_NAMED_IN_A_QUERY, update

_OPEN_ORDERS = (
    sa.select(t.order.c.id, t.order.c.workspace_id).where(t.order.c.state.in_(OPEN_STATES)).order_by(t.order.c.id)
)

_EPOCHS = (
    sa.select(t.order.c.id, t.order.c.epoch)
    .where(t.order.c.id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(t.order.c.id)
    .with_for_update()
)


def open_orders(conn: sa.Connection) -> list[tuple[int, int]]:
    """(order id, workspace id) of every order that has not ended."""
    return [(row.id, row.workspace_id) for row in conn.execute(_OPEN_ORDERS)]


def open_orders_on(
    conn: sa.Connection,
    workspace_id: int,
    service_instances: Collection[int],
    hosts: Collection[str],
    *,
    besides: int = 0,
) -> list[int]:
    """Open orders of the workspace that are about one of the service instances or act on one of the hosts."""
    apps = sa.select(t.order_app.c.order_id).where(t.order_app.c.service_instance_id.in_(service_instances))
    named = sa.select(t.order_host.c.order_id)
    if len(hosts) <= HOSTS_NAMED_IN_A_QUERY:
        named = named.where(t.order_host.c.host.in_(hosts))
    else:
        named = named.where(
            t.order_host.c.host.in_(
                sa.select(t.host.c.name)
                .join(t.service_instance_host, t.service_instance_host.c.host_id == t.host.c.id)
                .where(t.service_instance_host.c.service_instance_id.in_(service_instances))
            )
        )
    rows = conn.execute(
        sa.select(t.order.c.id).where(
            t.order.c.workspace_id == workspace_id,
            t.order.c.state.in_(OPEN_STATES),
            t.order.c.id != besides,
            sa.or_(t.order.c.id.in_(apps), t.order.c.id.in_(named)),
        )
    )
    return sorted(rows.scalars())


def insert_order(
    conn: sa.Connection,
    *,
    workspace_id: int,
    spec: OrderSpec,
    apps: Sequence[OrderApp],
    hosts: Sequence[str],
    created_by: str,
    now: float,
) -> int:
    """A new order in state `initialising`; its plan is made when it has been checked."""
    inserted = conn.execute(
        sa.insert(t.order)
        .values(
            workspace_id=workspace_id,
            kind=spec.kind,
            title=spec.title,
            state=str(OrderState.INITIALISING),
            spec=encode_spec(spec),
            problems=[],
            parallelism=spec.parallelism,
            reason=spec.reason,
            created_by=created_by,
            created_at=now,
            changed_at=now,
        )
        .returning(t.order.c.id)
    )
    order_id = int(inserted.scalar_one())
    for position, app in enumerate(apps):
        conn.execute(
            sa.insert(t.order_app).values(
                order_id=order_id,
                position=position,
                service_instance_id=app.service_instance_id,
                from_version=app.from_version,
                to_version=app.to_version,
                needs=list(app.needs),
            )
        )
    if hosts:
        conn.execute(sa.insert(t.order_host), [{"order_id": order_id, "host": host} for host in dict.fromkeys(hosts)])
    add_event(conn, order_id, now, "order", {"state": str(OrderState.INITIALISING), "was": ""})
    return order_id


def update_order(conn: sa.Connection, order_id: int, now: float, **values: Any) -> None:
    update(conn, t.order, {"id": order_id}, {"changed_at": now, **values})


def set_order_state(
    conn: sa.Connection, progress: OrderProgress, state: OrderState, now: float, *, problem: Problem | None = None
) -> None:
    values: dict[str, Any] = {"state": str(state), "problem": encode_problem(problem)}
    if state.complete:
        values["ended_at"] = now
    update_order(conn, progress.id, now, **values)
    data: dict[str, Any] = {"state": str(state), "was": str(progress.state)}
    if problem is not None:
        data["problem"] = problem.to_json()
    add_event(conn, progress.id, now, "order", data)


def take_over(conn: sa.Connection, order_id: int, engine_id: str, now: float) -> int:
    """The engine has the order from here on, and waits for no balancer on it yet; returns the order's new epoch."""
    query = sa.update(t.order).where(t.order.c.id == order_id)
    taken = query.values(epoch=t.order.c.epoch + 1, engine_id=engine_id, outages=None).returning(t.order.c.epoch)
    epoch = int(conn.execute(taken).scalar_one())
    add_event(conn, order_id, now, "engine", {"engine": engine_id, "epoch": epoch})
    return epoch


def lock_epochs(conn: sa.Connection, order_ids: Collection[int]) -> dict[int, int]:
    """The epochs of these orders, whose rows nobody else writes before the transaction ends."""
    return {row.id: row.epoch for row in conn.execute(_EPOCHS, {"ids": sorted(order_ids)})}


def ended_before(conn: sa.Connection, at: float) -> list[int]:
    """Orders that ended before that time, oldest first."""
    return list(conn.execute(sa.select(t.order.c.id).where(t.order.c.ended_at < at).order_by(t.order.c.id)).scalars())
