"""The history of an order: what people did and asked, with the engine's answers, from the audit and the commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from engine.domain.problem import Problem
from engine.domain.states import CommandState
from engine.reading.scope import Scope, check_order
from engine.store import tables as t
from engine.store.audit import REFUSED
from engine.views import HistoryView, Outcome

_OUTCOMES: Mapping[str, Outcome] = {
    str(CommandState.SENT): Outcome.ASKED,
    str(CommandState.WORKING): Outcome.AT_WORK,
    str(CommandState.ACCEPTED): Outcome.DONE,
    str(CommandState.REFUSED): Outcome.REFUSED,
}


def read_history(conn: sa.Connection, scope: Scope, order_id: int) -> tuple[HistoryView, ...]:
    """Oldest first. Raises NotThere `no_such_order`."""
    check_order(conn, scope, order_id)
    audit, command = t.audit.c, t.command.c
    rows = conn.execute(
        sa.select(t.audit, command.state, command.problem.label("answer"), command.answered_at)
        .outerjoin(t.command, command.id == audit.command_id)
        .where(audit.order_id == order_id, audit.workspace_id == scope.workspace_id)
        .order_by(audit.id)
    )
    return tuple(_line(row) for row in rows)


def _line(row: sa.Row[Any]) -> HistoryView:
    problem = row.problem or row.answer
    outcome = Outcome.REFUSED if row.outcome == REFUSED else _OUTCOMES.get(row.state, Outcome.DONE)
    after = row.after if isinstance(row.after, dict) else {}
    parts = after.get("params")
    made = after.get("order")
    return HistoryView(
        at=row.at,
        operator=row.operator,
        act=row.act,
        detail=_detail(parts if isinstance(parts, dict) else {}, made if isinstance(made, int) else None),
        reason=row.reason,
        outcome=outcome,
        problem=Problem.from_json(problem) if problem else None,
        answered_at=row.answered_at,
    )


def _detail(parts: Mapping[str, Any], made: int | None) -> str:
    """`hz-01=50 hz-02=50`, `beta-confirm`, `→ #12`: the parts of the act, without their names."""
    said = []
    for value in parts.values():
        if isinstance(value, dict):
            said += [f"{name}={number}" for name, number in value.items()]
        elif isinstance(value, list):
            said += [str(each) for each in value]
        else:
            said.append(str(value))
    return " ".join([*said, *([f"→ #{made}"] if made is not None else [])])
