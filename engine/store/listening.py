"""PostgreSQL's LISTEN/NOTIFY as change tokens. A module of its own, so that a store in a file never loads PostgreSQL's driver.

What was missed while the link was down is covered by counting every connect as a change.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import threading
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from engine.store.postgres_address import PostgresAddress

CHANNEL = "cockpit"
CONNECT_S = 10
RECONNECT_FIRST_S = 0.2
RECONNECT_MOST_S = 5.0
SILENCE_S = 20.0  # then the link is asked whether it is alive

log = logging.getLogger(__name__)


class PostgresChanges:
    """A thread that listens, and counts. It reconnects for ever with a bounded pause, and counts one on every connect: what
    was missed while the link was down is covered by that. Starts at the first question."""

    def __init__(self, address: PostgresAddress) -> None:
        self._address = address
        limits = {"connect_timeout": str(CONNECT_S), "application_name": "cockpit-listen", "tcp_user_timeout": "20000"}
        if address.several_hosts:
            limits["target_session_attrs"] = "read-write"  # only there notifications are sent
        given = {name: value for name, value in limits.items() if name not in address.given}
        self._conninfo = make_conninfo(address.conninfo, options=address.options, **given)
        self._condition = threading.Condition()
        self._count = 0
        self._closed = False
        self._thread: threading.Thread | None = None
        self._wake_read, self._wake_write = os.pipe()

    def token(self) -> object:
        with self._condition:
            self._start()
            return self._count

    def wait(self, token: object, timeout_s: float) -> object:
        with self._condition:
            self._start()
            self._condition.wait_for(lambda: self._closed or self._count != token, timeout_s)
            return self._count

    def close(self) -> None:
        with self._condition:
            if self._closed:
                return
            self._closed = True
            self._condition.notify_all()
        os.write(self._wake_write, b"x")
        if self._thread is not None:
            self._thread.join(timeout=10)
        if self._thread is None or not self._thread.is_alive():
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _start(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name="store-listen", daemon=True)
            self._thread.start()

    def _tick(self) -> None:
        with self._condition:
            self._count += 1
            self._condition.notify_all()

    def _run(self) -> None:
        pause_s = RECONNECT_FIRST_S
        while not self._closed:
            try:
                # The connection is closed by us, not by `with`: on a broken link its COMMIT would only raise once more.
                connection = psycopg.connect(self._conninfo, autocommit=True)
                with contextlib.closing(connection):
                    # Those that come beside an answer
                    connection.add_notify_handler(lambda _notification: self._tick())
                    connection.execute(f"LISTEN {CHANNEL}")
                    pause_s = RECONNECT_FIRST_S
                    self._tick()
                    self._listen(connection)
            except psycopg.Error as error:
                why = self._address.without_secrets(str(error))
                log.warning("listening for changes of the store was interrupted: %s", why)
                self._sleep(pause_s)
                pause_s = min(pause_s * 2, RECONNECT_MOST_S)

    def _listen(self, connection: psycopg.Connection[Any]) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(connection.fileno(), selectors.EVENT_READ)
            selector.register(self._wake_read, selectors.EVENT_READ)
            while not self._closed:
                if not selector.select(SILENCE_S):
                    connection.execute("SELECT 1")
                connection.pgconn.consume_input()
                heard = False
                while connection.pgconn.notifies():
                    heard = True
                if heard:
                    self._tick()

    def _sleep(self, seconds: float) -> None:
        with self._condition:
            self._condition.wait_for(lambda: self._closed, seconds)
