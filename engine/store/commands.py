"""What operators write: commands for the engine to answer, and the audit of every act. Called inside a transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from engine.domain.states import Act
from engine.store import tables as t


def insert_command(
    conn: sa.Connection, *, order_id: int, act: Act, params: Mapping[str, Any], operator: str, reason: str, now: float
) -> int:
    """A command in state `sent`; returns its id. The engine answers it."""
    inserted = conn.execute(
        sa.insert(t.command)
        .values(order_id=order_id, act=str(act), params=dict(params), operator=operator, reason=reason, sent_at=now)
        .returning(t.command.c.id)
    )
    return int(inserted.scalar_one())


def write_audit(
    conn: sa.Connection,
    *,
    tenant_id: int | None,
    workspace_id: int | None,
    at: float,
    operator: str,
    act: str,
    target: str,
    reason: str = "",
    before: Any = None,
    after: Any = None,
) -> None:
    """Who did what to what, when and why, with before and after as JSON data."""
    conn.execute(
        sa.insert(t.audit).values(
            tenant_id=tenant_id,
            workspace_id=workspace_id,
            at=at,
            operator=operator,
            act=act,
            target=target,
            reason=reason,
            before=before,
            after=after,
        )
    )
