"""The living engines of a store as an operator sees them. Called inside a read transaction."""

from __future__ import annotations

import platform
from typing import Any

import sqlalchemy as sa

from engine.store.engines import alive
from engine.views.engines import EngineView


def read_engines(conn: sa.Connection, now: float) -> tuple[EngineView, ...]:
    return tuple(_view(row) for row in alive(conn, now))


def _view(row: sa.Row[Any, Any]) -> EngineView:
    given = row.started_with or {}
    return EngineView(
        id=row.id,
        machine=row.machine,
        here=row.machine == platform.node(),
        pid=row.pid,
        started_at=row.started_at,
        user=str(given.get("user", "")),
        embedded=bool(given.get("embedded", False)),
        version=str(given.get("version", "")),
        program=str(given.get("program", "")),
        agent=str(given.get("agent", "")),
        credentials=str(given.get("credentials", "")),
        started_with=given,
    )
