"""The balancers an order waits for, in its row. Called inside a transaction."""

from __future__ import annotations

import sqlalchemy as sa

from engine.domain.fleet import ServerGroup
from engine.domain.outage import Outage
from engine.store import tables as t
from engine.store.events import add_event
from engine.store.statements import update


def load_outages(conn: sa.Connection, order_id: int) -> tuple[Outage, ...]:
    stored = conn.execute(sa.select(t.order.c.outages).where(t.order.c.id == order_id)).scalar_one()
    return tuple(map(Outage.from_json, stored or ()))


def note_outage(conn: sa.Connection, order_id: int, outage: Outage, now: float) -> None:
    """The order waits for this balancer; an event says so once per wait."""
    before = load_outages(conn, order_id)
    others = [each for each in before if each.group != outage.group]
    _write(conn, order_id, [*others, outage])
    if len(others) == len(before):
        add_event(conn, order_id, now, "outage", outage.to_json())


def end_outage(conn: sa.Connection, order_id: int, group: ServerGroup, now: float, *, answered: bool) -> None:
    """It is not waited for any more: it has answered, or it was given up."""
    before = load_outages(conn, order_id)
    ended = next((each for each in before if each.group == group), None)
    if ended is None:
        return
    _write(conn, order_id, [each for each in before if each.group != group])
    if answered:
        add_event(conn, order_id, now, "outage", {**ended.to_json(), "answered_at": now})


def _write(conn: sa.Connection, order_id: int, outages: list[Outage]) -> None:
    update(conn, t.order, {"id": order_id}, {"outages": [each.to_json() for each in outages] or None})
