"""Who runs a store's orders. A file has one engine at a time; on PostgreSQL engines share, and each order has one engine at a time.

A lock keeps engines apart and is free again the moment its process is gone. One that is frozen keeps its lock, so its lease
(`engines`) decides: when that is over, the lock is taken from it. None of this is a fence: what an owner that lost it unawares
still writes is refused by the orders' epochs.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from filelock import FileLock, Timeout

from engine.private_files import PRIVATE, make_private
from engine.store import engines
from engine.store.failures import driver_errors, session_lost
from engine.store.store import Store, StoreError

log = logging.getLogger(__name__)
KILLED_S = 2.0
ORDER_LOCKS = "cockpit.order"
PLACE_LOCKS = "cockpit.place"
SILENT_S = 2 * engines.LEASE_S
# The server finds out by itself that a machine is gone, or that an engine was frozen before it had a lease that could end (an owner
# asks every moment whether it is still one), and then frees what it held.
_NOTICE_LOSS = (
    "idle_session_timeout = {silent_ms}",
    "tcp_keepalives_idle = 5",
    "tcp_keepalives_interval = 2",
    "tcp_keepalives_count = 3",
    "tcp_user_timeout = 11000",
)
_LOCK = sa.text("SELECT pg_try_advisory_lock(hashtext(:space), hashtext(:name))")
_CLAIM = sa.text(
    "SELECT id FROM unnest(CAST(:ids AS bigint[])) AS id"
    " WHERE pg_try_advisory_lock(hashtext(:space), (id % 2147483647)::int)"
)
_GIVE_UP = sa.text("SELECT pg_advisory_unlock(hashtext(:space), (CAST(:id AS bigint) % 2147483647)::int)")
_SESSIONS = sa.text(
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND classid::bigint = hashtext(:space)::bigint & 4294967295"
    " AND objid::bigint IN (SELECT hashtext(id)::bigint & 4294967295 FROM unnest(CAST(:ids AS text[])) AS id)"
    " AND pid <> pg_backend_pid()"
)


class Ownership(Protocol):
    def held(self) -> bool:
        """Whether it is still ours; on PostgreSQL this asks the server. Once False, always False."""
        ...

    def claim(self, order_ids: Sequence[int]) -> frozenset[int]:
        """Those of the orders that are ours to run from now on; the others have another engine. Never ask for one twice without
        giving it up in between. Raises StoreError."""
        ...

    def give_up(self, order_id: int) -> None:
        """Leave a claimed order to whoever wants it. Raises StoreError."""
        ...

    def release(self) -> None:
        """Give everything up; may be called twice."""
        ...


def acquire(store: Store, engine_id: str, now: float, *, place: str = "") -> Ownership | None:
    """Become an engine of the store, or None at once when there is no room: on SQLite while another engine has it, on PostgreSQL
    while another one stands at the same `place` (empty: there is always room). Raises StoreError.

    An engine whose lease is over is put aside on the way. `now`: epoch seconds, used where the database has no clock of its own.
    """
    if store.path is not None:
        return _FileOwnership.acquire(store, store.path, now)
    put_silent_aside(store, now)
    return _SessionOwnership.acquire(store, engine_id, place)


def put_silent_aside(store: Store, now: float, *, besides: str = "") -> None:
    """PostgreSQL: end the engines whose lease is over, with their sessions, so that their orders are free. Raises StoreError."""
    with store.writing() as conn:
        ended = engines.end_silent(conn, now, besides=besides)
        if ended:
            conn.execute(_SESSIONS, {"space": engines.ENGINE_LOCKS, "ids": ended})


def lock_path(database: Path) -> Path:
    return database.with_name(f"{database.name}.engine.lock")


class _FileOwnership:
    def __init__(self, lock: FileLock, path: Path) -> None:
        self._lock = lock
        self._path = path
        self._file = _identity(path)

    @classmethod
    def acquire(cls, store: Store, database: Path, now: float) -> _FileOwnership | None:
        path = lock_path(database)
        taken = cls._try(path)
        if taken is None and _taken_from_frozen(store, path, now):
            until = time.monotonic() + KILLED_S
            # A process that was killed keeps its locks until the last of its threads has ended, a zombie already.
            while (taken := cls._try(path)) is None and time.monotonic() < until:
                time.sleep(0.01)
        return taken

    @classmethod
    def _try(cls, path: Path) -> _FileOwnership | None:
        lock = FileLock(path, blocking=False, thread_local=False, mode=PRIVATE)
        try:
            make_private(path)
            lock.acquire()
        except Timeout:
            return None
        return cls(lock, path)

    def held(self) -> bool:
        """A successor that took the lock from us while we were frozen did so by putting another file in its place."""
        return bool(self._lock.is_locked) and self._file is not None and _identity(self._path) == self._file

    def claim(self, order_ids: Sequence[int]) -> frozenset[int]:
        return frozenset(order_ids)

    def give_up(self, order_id: int) -> None:
        """Nobody else can have it while the file is ours."""

    def release(self) -> None:
        self._lock.release(force=True)


def _taken_from_frozen(store: Store, path: Path, now: float) -> bool:
    """Put the lock file of an engine that is there but silent out of the way. SQLite's one writer makes this happen once."""
    with store.reading() as conn:
        silent = engines.silent_but_there(conn, now)
        if not silent:
            return False
    try:
        with store.writing() as conn:
            if not engines.silent_but_there(conn, now) or engines.any_alive(conn, now):
                return False
            path.unlink(missing_ok=True)
            engines.end_silent(conn, now)
    except StoreError as error:
        if error.problem.code != "store_busy" or not any(_ended(pid, path) for pid in silent):
            raise
    return True


def _ended(pid: int, path: Path) -> bool:
    """Kill an engine that was frozen in the middle of a transaction: nobody can write before it is gone. Only a process of ours
    that has this very lock file open is one."""
    try:
        held = {os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")}
        if str(path) not in held:
            return False
        os.kill(pid, signal.SIGKILL)
    except OSError as error:
        log.warning("the frozen engine %s keeps the store and can't be ended: %s", pid, error)
        return False
    log.warning("the frozen engine %s kept a transaction open and was killed", pid)
    return True


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        facts = os.stat(path)
    except FileNotFoundError:
        return None
    return facts.st_dev, facts.st_ino


class _SessionOwnership:
    """Session advisory locks on a connection outside the pool: the server frees them when the session ends."""

    def __init__(self, store: Store, connection: sa.Connection) -> None:
        self._store = str(store)
        self._connection = connection
        self._guard = threading.Lock()
        self._held = True

    @classmethod
    def acquire(cls, store: Store, engine_id: str, place: str) -> _SessionOwnership | None:
        with driver_errors(str(store)):
            connection = store.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            try:
                connection.detach()  # never goes back to the pool with a lock on it
                for setting in _NOTICE_LOSS:
                    connection.exec_driver_sql(f"SET {setting.format(silent_ms=int(SILENT_S * 1000))}")
                locks = [(engines.ENGINE_LOCKS, engine_id)] + ([(PLACE_LOCKS, place)] if place else [])
                if all(connection.execute(_LOCK, {"space": s, "name": n}).scalar_one() for s, n in locks):
                    return cls(store, connection)
            except BaseException:
                connection.close()
                raise
            connection.close()
            return None

    def held(self) -> bool:
        with self._guard:
            if self._held:
                try:
                    self._held = self._connection.exec_driver_sql("SELECT 1").scalar_one() == 1
                except (sa.exc.DBAPIError, sa.exc.InvalidRequestError):
                    self._held = False  # a session that can't be asked is a session that may have ended
            return self._held

    def claim(self, order_ids: Sequence[int]) -> frozenset[int]:
        if not order_ids:
            return frozenset()
        return frozenset(self._asked(_CLAIM, {"space": ORDER_LOCKS, "ids": list(order_ids)}).scalars())

    def give_up(self, order_id: int) -> None:
        self._asked(_GIVE_UP, {"space": ORDER_LOCKS, "id": order_id})

    def _asked(self, statement: sa.TextClause, values: dict[str, Any]) -> sa.CursorResult[Any]:
        with self._guard, driver_errors(self._store):
            try:
                return self._connection.execute(statement, values)
            except sa.exc.InvalidRequestError as error:  # it was found broken before
                raise session_lost(self._store, str(error)) from error

    def release(self) -> None:
        with self._guard:
            self._held = False
            if not self._connection.closed:
                # The server notices that a session has ended a moment later than whoever ended it.
                with suppress(sa.exc.DBAPIError, sa.exc.InvalidRequestError):  # a lost session holds nothing
                    self._connection.exec_driver_sql("SELECT pg_advisory_unlock_all()")
                self._connection.close()
