"""The engines of a store: which of them live, and how one that lives no longer is put aside.

An engine's row is its lease: `active` with a fresh heartbeat, by the database's own clock where there is one (an SQLite store is
one machine's, so that machine's clock is it). Whoever finds a lease over ends the row, and an engine whose row was ended takes
nothing over any more. Called inside a transaction, never opens one; it locks nothing, that is `ownership`'s.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from engine.domain.states import CommandState, OrderState
from engine.store import tables as t

LEASE_S = 5.0  # an engine that has said nothing for so long is not counted on, and may be succeeded
ENGINE_LOCKS = "cockpit.engine"  # PostgreSQL: (this, engine id) is held by the session of a living engine

_UNANSWERED = [str(state) for state in CommandState if state not in (CommandState.ACCEPTED, CommandState.REFUSED)]
_ACTIVE = t.engine.c.state == "active"
_LOCKED = sa.literal_column(
    "(EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    f" AND classid::bigint = hashtext('{ENGINE_LOCKS}')::bigint & 4294967295"
    " AND objid::bigint = hashtext(engine.id)::bigint & 4294967295))",
    sa.Boolean,
)


def register(conn: sa.Connection, engine_id: str, now: float, started_with: Mapping[str, Any] | None = None) -> None:
    """This process is an active engine of the store. On SQLite whoever owned it before no longer does."""
    clock = _clock(conn, now)
    if _is_file(conn):
        conn.execute(sa.update(t.engine).where(_ACTIVE).values(state="ended", ended_at=clock))
    conn.execute(sa.delete(t.engine).where(t.engine.c.id == engine_id))
    conn.execute(
        sa.insert(t.engine).values(
            id=engine_id,
            machine=platform.node(),
            pid=os.getpid(),
            started_at=clock,
            heartbeat_at=clock,
            state="active",
            started_with=dict(started_with or {}),
        )
    )


def beat(conn: sa.Connection, engine_id: str, now: float) -> bool:
    """Renew the lease; False: it was ended by a successor."""
    renew = sa.update(t.engine).where(t.engine.c.id == engine_id, _ACTIVE).values(heartbeat_at=_clock(conn, now))
    return conn.execute(renew).rowcount == 1


def holds_lease(conn: sa.Connection, engine_id: str) -> bool:
    """Whether nobody has ended the engine; it stays so until the transaction ends."""
    query = sa.select(t.engine.c.id).where(t.engine.c.id == engine_id, _ACTIVE)
    return conn.execute(query.with_for_update()).first() is not None


def end(conn: sa.Connection, engine_id: str, now: float) -> None:
    ended = sa.update(t.engine).where(t.engine.c.id == engine_id, _ACTIVE)
    conn.execute(ended.values(state="ended", ended_at=_clock(conn, now)))


def end_silent(conn: sa.Connection, now: float, *, besides: str = "") -> list[str]:
    """End the active engines whose lease is over; returns their ids. On PostgreSQL also those whose session has ended."""
    clock = _clock(conn, now)
    over = t.engine.c.heartbeat_at < clock - LEASE_S
    if not _is_file(conn):
        over = sa.or_(over, sa.not_(_LOCKED))
    ended = sa.update(t.engine).where(_ACTIVE, t.engine.c.id != besides, over).values(state="ended", ended_at=clock)
    return list(conn.execute(ended.returning(t.engine.c.id)).scalars())


def any_alive(conn: sa.Connection, now: float) -> bool:
    """Whether an engine works for the store. One that was killed on this machine, or whose session with PostgreSQL ended, is known
    to be gone at once; any other falls silent first."""
    return bool(alive(conn, now))


def alive_here(conn: sa.Connection, now: float) -> list[int]:
    """Process ids of this machine's engines that work for the store."""
    return [row.pid for row in alive(conn, now) if row.machine == platform.node()]


def busy(conn: sa.Connection) -> bool:
    """Whether an engine has something to do, or will have as soon as it looks: nobody is waited for."""
    open_states = sa.select(t.order.c.state).distinct().where(t.order.c.ended_at.is_(None))
    states = [OrderState(state) for state in conn.execute(open_states).scalars()]
    if any(not (state.complete or state.halts) for state in states):
        return True
    unanswered = sa.select(t.command.c.id).where(t.command.c.state.in_(_UNANSWERED)).limit(1)
    return conn.execute(unanswered).first() is not None


def silent_but_there(conn: sa.Connection, now: float) -> list[int]:
    """Process ids of active engines whose lease is over and who, as far as one can tell, are still there: frozen, or elsewhere."""
    query = sa.select(t.engine.c.machine, t.engine.c.pid).where(
        _ACTIVE, t.engine.c.heartbeat_at < _clock(conn, now) - LEASE_S
    )
    return [row.pid for row in conn.execute(query) if not _gone(row.machine, row.pid)]


def alive(conn: sa.Connection, now: float) -> list[sa.Row[Any, Any]]:
    """The rows of the engines that work for the store, the one that was started first before others."""
    fresh = t.engine.c.heartbeat_at > _clock(conn, now) - LEASE_S
    query = sa.select(t.engine).where(_ACTIVE, fresh).order_by(t.engine.c.started_at)
    if not _is_file(conn):
        query = query.where(_LOCKED)
    return [row for row in conn.execute(query) if not _gone(row.machine, row.pid)]


def _gone(machine: str, pid: int) -> bool:
    """True only for a process of this machine that has certainly ended; its remains (a zombie) count as ended."""
    return machine == platform.node() and not is_there(pid)


def is_there(pid: int) -> bool:
    """Whether the process runs on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):  # no /proc here, or it ended just now: the heartbeat tells
        return True


def _clock(conn: sa.Connection, now: float) -> sa.ColumnElement[float]:
    """Epoch seconds: the database's own on PostgreSQL, so that no two machines' clocks are compared."""
    if _is_file(conn):
        return sa.literal(now, sa.Float)
    return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Float)


def _is_file(conn: sa.Connection) -> bool:
    return conn.dialect.name == "sqlite"
