"""The history of an order: what people did and asked, with the engine's answers, from the audit and the commands; and between
them where the engine halted or ended the order by itself, from the events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from engine.domain.message import Message, message
from engine.domain.problem import Problem
from engine.domain.states import CommandState, OrderState, RunState
from engine.plan.what_if_words import named
from engine.reading.events import sentence
from engine.reading.scope import Scope, check_order
from engine.store import tables as t
from engine.store.audit import REFUSED
from engine.views.acts import HistoryView, Outcome

CREATE = "create_"  # and the kind of the order that was made
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
    brings = _brings(conn, order_id)
    asked = [_line(row, brings) for row in rows]
    return tuple(sorted([*asked, *_by_itself(conn, order_id)], key=lambda each: each.at))


def _brings(conn: sa.Connection, order_id: int) -> str:
    """`trade-core 1.0.0 → 2.0.0`: the order's apps; without versions where it changes none."""
    app = t.order_app.c
    rows = conn.execute(
        sa.select(t.app.c.name, app.from_version, app.to_version)
        .join(t.service_instance, t.service_instance.c.id == app.service_instance_id)
        .join(t.app, t.app.c.id == t.service_instance.c.app_id)
        .where(app.order_id == order_id)
        .order_by(app.position)
    )
    return ", ".join(name if was == to else f"{name} {was or '-'} → {to}" for name, was, to in rows)


def _line(row: sa.Row[Any], brings: str) -> HistoryView:
    problem = row.problem or row.answer
    outcome = Outcome.REFUSED if row.outcome == REFUSED else _OUTCOMES.get(row.state, Outcome.DONE)
    return HistoryView(
        at=row.at,
        operator=row.operator,
        act=row.act,
        said=_said(row, brings),
        reason=row.reason,
        outcome=outcome,
        problem=Problem.from_json(problem) if problem else None,
        answered_at=row.answered_at,
    )


def _said(row: sa.Row[Any], brings: str) -> Message:
    """What the act meant when it was asked for; what an older version wrote down says its parts only."""
    after = row.after if isinstance(row.after, dict) else {}
    if isinstance(after.get("says"), dict):
        return Message.from_json(after["says"])
    if row.act.startswith(CREATE):
        kind = row.act.removeprefix(CREATE)
        return message("creates the order: {kind} {apps}", kind=kind, apps=brings)
    parts = after.get("params")
    said = _parts(parts if isinstance(parts, dict) else {})
    return message("{act} {parts}", act=row.act, parts=said) if said else message("{act}", act=row.act)


def _parts(parts: Mapping[str, Any]) -> str:
    """`hz-01=50 hz-02=50`, `hz-01`: the parts of an act, without their names."""
    said = []
    for value in parts.values():
        if isinstance(value, dict):
            said += [f"{name}={number}" for name, number in value.items()]
        else:
            said += [str(each) for each in value] if isinstance(value, list) else [str(value)]
    return " ".join(said)


# ------------------------------------------------------------------------------------------------------ the engine by itself


def _by_itself(conn: sa.Connection, order_id: int) -> Iterator[HistoryView]:
    """Where the engine halted the order because of failures, with the last of them, and the order's end."""
    event = t.event.c
    rows = conn.execute(
        sa.select(event.at, event.kind, event.data)
        .where(event.order_id == order_id, event.kind.in_(("order", "host")))
        .order_by(event.id)
    ).all()
    failed: dict[str, Problem] = {}
    for row in rows:
        at, kind, data = row.at, row.kind, row.data
        if kind == "host":
            failed.pop(data["host"], None)
            if data["state"] == RunState.FAILED and data.get("problem"):
                failed[data["host"]] = Problem.from_json(data["problem"])
        elif OrderState(data["state"]).complete:
            yield _engines(at, sentence("order", data), None)
        elif data["state"] == OrderState.HALTED and failed:
            said = message("halts the order: {hosts} failed", hosts=named(tuple(failed)))
            yield _engines(at, said, next(reversed(failed.values())))
        elif data["state"] == OrderState.HALTED and data.get("problem"):
            yield _engines(at, message("halts the order"), Problem.from_json(data["problem"]))


def _engines(at: float, said: Message, problem: Problem | None) -> HistoryView:
    return HistoryView(at, "", "", said, "", Outcome.BY_ITSELF, problem, None)
