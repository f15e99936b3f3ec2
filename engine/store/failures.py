"""What the database's driver says, as the store's own errors, so that no caller ever reads a driver's text or error number.

Broken constraints (`sqlalchemy.exc.IntegrityError`) are left alone: they are answers to the caller's own statement, not failures
of the store.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from engine.domain.message import Message, message
from engine.domain.problem import Problem, ProblemError

EVIDENCE_CHARS = 400

_UNREACHABLE_STATES = ("08", "57P", "3D000", "28")  # connection lost, server going down, no such database, not let in
# Lock, serialisation, deadlock, statement deadline, no slots
_BUSY_STATES = (
    "55P03",
    "40001",
    "40P01",
    "57014",
    "53300",
)


class StoreError(ProblemError):
    """The store could not be used. Codes: `store_address_invalid`, `store_unreachable`, `store_network_filesystem`,
    `store_too_new`, `store_failed`, `store_busy` (the only one that goes away by itself)."""


def store_error(code: str, what: Message, remedy: Message, evidence: str = "") -> StoreError:
    return StoreError(Problem(code, what, remedy, evidence.strip()[:EVIDENCE_CHARS]))


@contextmanager
def driver_errors(store: str, *, clean: Callable[[str], str] = str) -> Iterator[None]:
    """Turn what the driver raises inside the block into StoreError; `store` is the address to show, without its password;
    `clean` takes secrets out of the driver's own words."""
    try:
        yield
    except sa.exc.IntegrityError:
        raise
    except sa.exc.TimeoutError as error:  # every connection of the pool is in use
        raise _busy(store, str(error)) from error
    except sa.exc.DBAPIError as error:
        raise _from_driver(store, error.orig, clean) from error
    except sqlite3.Error as error:
        raise _from_driver(store, error) from error


def _from_driver(store: str, cause: BaseException | None, clean: Callable[[str], str] = str) -> StoreError:
    evidence = clean(str(cause))
    if isinstance(cause, sqlite3.Error):
        return _from_sqlite(store, getattr(cause, "sqlite_errorname", ""), evidence)
    return _from_postgres(store, getattr(cause, "sqlstate", None), evidence)


def _from_sqlite(store: str, name: str, evidence: str) -> StoreError:
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return _busy(store, evidence)
    if name.startswith("SQLITE_CANTOPEN"):
        return _unreachable(store, evidence)
    if name.startswith("SQLITE_FULL"):
        return _disk_full(store, evidence)
    if name.startswith(("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")):
        return _read_only(store, evidence)
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return store_error(
            "store_failed",
            message("The file of the store {store} is damaged or is not a database.", store=store),
            message("Put back a backup of the file, or name another store."),
            evidence,
        )
    return _failed(store, evidence)


def _from_postgres(store: str, state: str | None, evidence: str) -> StoreError:
    if state is None or state.startswith(_UNREACHABLE_STATES):
        return _unreachable(store, evidence)
    if state in _BUSY_STATES:
        return _busy(store, evidence)
    if state == "53100":
        return _disk_full(store, evidence)
    if state in ("25006", "42501"):
        return _read_only(store, evidence)
    return _failed(store, evidence)


def _busy(store: str, evidence: str) -> StoreError:
    return store_error(
        "store_busy",
        message("The store {store} was busy for too long; nothing was changed.", store=store),
        message("Try again. If it stays busy, look for a process that keeps a transaction open."),
        evidence,
    )


def _unreachable(store: str, evidence: str) -> StoreError:
    return store_error(
        "store_unreachable",
        message("The store {store} can't be opened.", store=store),
        message("Check the store's address in the settings and that you can reach and read it."),
        evidence,
    )


def session_lost(store: str, evidence: str) -> StoreError:
    """The session that held an engine's locks has ended, and the locks with it."""
    return _unreachable(store, evidence)


def _disk_full(store: str, evidence: str) -> StoreError:
    return store_error(
        "store_failed",
        message("The disk of the store {store} is full; nothing was changed.", store=store),
        message("Free space on that disk, then try again."),
        evidence,
    )


def _read_only(store: str, evidence: str) -> StoreError:
    return store_error(
        "store_failed",
        message("The store {store} can't be written.", store=store),
        message("Give yourself write access to it (for a file: to its folder as well), or name another store."),
        evidence,
    )


def _failed(store: str, evidence: str) -> StoreError:
    return store_error(
        "store_failed",
        message("The store {store} refused to work.", store=store),
        message("Read the database's own message below; if it doesn't help, report it."),
        evidence,
    )
