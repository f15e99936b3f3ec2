"""Commands: what operators ask of orders, and the engine's answers. Called inside a transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from engine.domain.acts import AnyAct, RollBack, decode, encode
from engine.domain.message import Message, message
from engine.domain.problem import Problem
from engine.domain.states import Act, CommandState, OrderState
from engine.store import tables as t
from engine.store.events import add_event
from engine.store.statements import columns

UNANSWERED: tuple[str, ...] = (str(CommandState.SENT), str(CommandState.WORKING))
_OF_ALL = (
    sa.select(
        *columns(t.command, "id", "order_id", "act", "params", "operator", "reason", "state"),
        t.order.c.state.label("order_state"),
        t.order.c.workspace_id,
    )
    .join(t.order)
    .where(t.command.c.state.in_(UNANSWERED))
    .order_by(t.command.c.id)
)
_OF_ORDER = _OF_ALL.where(t.command.c.order_id == sa.bindparam("order_id"))


@dataclass(frozen=True, slots=True)
class Command:
    """What an operator asks of an order, as it was stored: `act` and `params` are not read yet, a newer version may have written
    them. `order_state` and `workspace_id` are the order's."""

    id: int
    order_id: int
    act: str
    params: Mapping[str, Any]
    operator: str
    reason: str
    state: CommandState
    order_state: OrderState
    workspace_id: int


def insert_command(conn: sa.Connection, *, order_id: int, act: AnyAct, operator: str, reason: str, now: float) -> int:
    """A command in state `sent`; returns its id. The engine answers it."""
    values = {"act": str(act.name), "params": encode(act), "operator": operator, "reason": reason, "sent_at": now}
    inserted = conn.execute(sa.insert(t.command).values(order_id=order_id, **values).returning(t.command.c.id))
    return int(inserted.scalar_one())


def unanswered_of(conn: sa.Connection, order_id: int) -> list[Command]:
    """Those of the order that are not answered yet, oldest first."""
    return [_command(row) for row in conn.execute(_OF_ORDER, {"order_id": order_id})]


def unanswered(conn: sa.Connection) -> list[Command]:
    """Those of the whole store."""
    return [_command(row) for row in conn.execute(_OF_ALL)]


def _command(row: Any) -> Command:
    return Command(
        row.id, row.order_id, row.act, row.params, row.operator, row.reason, CommandState(row.state),
        OrderState(row.order_state), row.workspace_id,
    )  # fmt: skip


def asked_version(conn: sa.Connection, order_id: int) -> str | None:
    """The version the accepted rollback named, if it named one."""
    command = t.command.c
    accepted = (
        command.order_id == order_id,
        command.act == str(Act.ROLL_BACK),
        command.state == str(CommandState.ACCEPTED),
    )
    row = conn.execute(sa.select(t.command).where(*accepted).order_by(command.id.desc()).limit(1)).one_or_none()
    act = None if row is None else decode(row.act, row.params)
    return act.version or None if isinstance(act, RollBack) else None


def is_unanswered(conn: sa.Connection, command_id: int) -> bool:
    return _state(conn, command_id) in UNANSWERED


def begin(conn: sa.Connection, command: Command, waits_for: Message, now: float) -> None:
    """The command is at work from here on; said again, it only waits for something else."""
    new = _state(conn, command.id) == str(CommandState.SENT)
    set_working(conn, command.id, waits_for)
    if new:
        conn.execute(sa.update(t.command).where(t.command.c.id == command.id).values(begun_at=now))
        event = {"act": command.act, "operator": command.operator, "state": str(CommandState.WORKING)}
        add_event(conn, command.order_id, now, "command", event | {"waits_for": waits_for.to_json()})


def set_working(conn: sa.Connection, command_id: int, waits_for: Message) -> None:
    """What an unanswered command waits for now."""
    open_one = (t.command.c.id == command_id, t.command.c.state.in_(UNANSWERED))
    values = {"state": str(CommandState.WORKING), "waits_for": waits_for.to_json()}
    conn.execute(sa.update(t.command).where(*open_one).values(**values))


def answer(
    conn: sa.Connection, command: Command, state: CommandState, now: float, problem: Problem | None = None
) -> None:
    data = problem.to_json() if problem else None
    values = {"state": str(state), "problem": data, "waits_for": None, "answered_at": now}
    conn.execute(sa.update(t.command).where(t.command.c.id == command.id).values(**values))
    event = {"act": command.act, "operator": command.operator, "state": str(state), "reason": command.reason}
    add_event(conn, command.order_id, now, "command", event | ({"problem": data} if data else {}))


def order_ended(order_id: int, state: OrderState) -> Problem:
    return Problem(
        "order_ended",
        message("Order #{id} has ended ({state}).", id=order_id, state=str(state)),
        message("Create another order; a rollback after the end is an order of its own."),
    )


def _state(conn: sa.Connection, command_id: int) -> str:
    return str(conn.execute(sa.select(t.command.c.state).where(t.command.c.id == command_id)).scalar_one())
