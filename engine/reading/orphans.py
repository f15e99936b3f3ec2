"""Weights that no living order owns: moved by an order that has ended and not given back. One place says which they are."""

from __future__ import annotations

import sqlalchemy as sa

from engine.domain.progress import WeightLine
from engine.domain.states import OrderState
from engine.reading.scope import Scope
from engine.store import tables as t
from engine.store.order_states import OPEN_STATES
from engine.store.progress import load_apps
from engine.store.weights import load_weights
from engine.views.orders import OrphanView


def read_orphans(conn: sa.Connection, scope: Scope) -> tuple[OrphanView, ...]:
    """Of the workspace, the oldest order first."""
    found = []
    for order in conn.execute(_orders(scope).order_by(t.order.c.id)).all():
        lines = (line for line in load_weights(conn, order.id) if line.left_behind)
        apps = tuple(app.app for app in load_apps(conn, order.id))
        found += [_view(order, apps, line) for line in lines]
    return tuple(found)


def count_orphans(conn: sa.Connection, scope: Scope) -> int:
    return len(read_orphans(conn, scope)) if conn.execute(_orders(scope).limit(1)).first() is not None else 0


def _orders(scope: Scope) -> sa.Select[tuple[int, str, str, float | None]]:
    """Orders that have ended and own a weight: seldom any."""
    order = t.order.c
    owning = sa.select(t.weight.c.order_id).where(t.weight.c.owned)
    return sa.select(order.id, order.kind, order.state, order.ended_at).where(
        order.id.in_(owning), order.workspace_id == scope.workspace_id, order.state.not_in(OPEN_STATES)
    )


def _view(order: sa.Row[tuple[int, str, str, float | None]], apps: tuple[str, ...], line: WeightLine) -> OrphanView:
    return OrphanView(
        order=order.id,
        kind=order.kind,
        apps=apps,
        state=OrderState(order.state),
        ended_at=order.ended_at,
        host=line.mount.host,
        balancer=line.mount.server_group.balancer_id,
        server_group=line.mount.server_group.vserver_group_id,
        port=line.mount.port,
        recorded=line.recorded,
        due=line.due,
        now=line.confirmed,
        verified=line.verified,
    )
