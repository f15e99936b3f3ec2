"""Which process is the engine of a store: at most one at a time, free again the moment its process is gone.

It keeps two engines apart in the normal case; it is no fence. What an owner that lost it unawares still writes is refused by
the orders' epochs.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
from filelock import FileLock, Timeout

from engine.store.failures import driver_errors
from engine.store.store import Store

_LOCK = "SELECT pg_try_advisory_lock(hashtext('cockpit.engine'), 0)"
_HELD = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    " AND classid = hashtext('cockpit.engine')::oid AND objid = 0 AND objsubid = 2 AND granted"
)


class Ownership(Protocol):
    def held(self) -> bool:
        """Whether it is still ours; on PostgreSQL this asks the server. Once False, always False."""
        ...

    def release(self) -> None:
        """Give it up; may be called twice."""
        ...


def acquire(store: Store) -> Ownership | None:
    """Become the store's engine, or None at once when another process (or another part of this one) is. Raises StoreError."""
    if store.path is not None:
        return _FileOwnership.acquire(store.path)
    return _SessionOwnership.acquire(store)


def lock_path(database: Path) -> Path:
    return database.with_name(f"{database.name}.engine.lock")


class _FileOwnership:
    def __init__(self, lock: FileLock) -> None:
        self._lock = lock

    @classmethod
    def acquire(cls, database: Path) -> _FileOwnership | None:
        lock = FileLock(lock_path(database), blocking=False, thread_local=False)
        try:
            lock.acquire()
        except Timeout:
            return None
        return cls(lock)

    def held(self) -> bool:
        return bool(self._lock.is_locked)

    def release(self) -> None:
        self._lock.release(force=True)


class _SessionOwnership:
    """A session advisory lock on a connection outside the pool: the server frees it when the session ends."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._guard = threading.Lock()
        self._held = True

    @classmethod
    def acquire(cls, store: Store) -> _SessionOwnership | None:
        with driver_errors(str(store)):
            connection = store.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            try:
                connection.detach()  # never goes back to the pool with the lock on it
                if connection.exec_driver_sql(_LOCK).scalar_one():
                    return cls(connection)
            except BaseException:
                connection.close()
                raise
            connection.close()
            return None

    def held(self) -> bool:
        with self._guard:
            if self._held:
                try:
                    self._held = bool(self._connection.exec_driver_sql(_HELD).scalar_one())
                except (sa.exc.DBAPIError, sa.exc.InvalidRequestError):
                    self._held = False  # a session that can't be asked is a session that may have ended
            return self._held

    def release(self) -> None:
        with self._guard:
            self._held = False
            if not self._connection.closed:
                self._connection.close()
