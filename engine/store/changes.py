"""How one process learns that another has changed the store. Here: SQLite's data_version; PostgreSQL's is in `listening`.

A token says "something may have changed", never what: whoever waits reads the rows again.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import Protocol

from engine.store.failures import driver_errors

POLL_S = 0.025


class Changes(Protocol):
    def token(self) -> object: ...

    def wait(self, token: object, timeout_s: float) -> object: ...

    def close(self) -> None: ...


class SqliteChanges:
    """`PRAGMA data_version` on a connection that never writes, so that every other connection's commit changes it, also those
    of this process. Thread-safe."""

    def __init__(self, path: Path, shown: str) -> None:
        self._shown = shown
        self._lock = threading.Lock()
        self._closed = threading.Event()
        with driver_errors(shown):
            self._connection = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)

    def token(self) -> object:
        with self._lock, driver_errors(self._shown):
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def wait(self, token: object, timeout_s: float) -> object:
        deadline = time.monotonic() + timeout_s
        while not self._closed.is_set():
            now = self.token()
            left = deadline - time.monotonic()
            if now != token or left <= 0:
                return now
            self._closed.wait(min(POLL_S, left))
        return token

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            self._connection.close()
