"""The events of an order: written with each change, tailed by whoever watches. Called inside a transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from engine.store import tables as t

_EVENT = sa.insert(t.event)


def add_event(conn: sa.Connection, order_id: int, at: float, kind: str, data: Mapping[str, Any]) -> None:
    conn.execute(_EVENT, {"order_id": order_id, "at": at, "kind": kind, "data": dict(data)})
