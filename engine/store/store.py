"""One store: an SQLite file or a PostgreSQL database, opened, migrated, read, written and watched.

It knows connections and transactions, never what the rows mean: statements belong to the modules beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from filelock import FileLock, Timeout

from engine.domain.message import message
from engine.private_files import PRIVATE, correct, make_private
from engine.store.addresses import Kind, kind_of, scheme_of
from engine.store.changes import Changes, SqliteChanges
from engine.store.failures import StoreError, driver_errors, store_error
from engine.store.file_systems import network_file_system
from engine.store.migrations import current_revision, is_head, migrate

if TYPE_CHECKING:
    from engine.store.postgres_address import PostgresAddress

__all__ = ["Store", "StoreError", "Transaction"]

BUSY_S = 5.0
CONNECT_S = 10
STATEMENT_MS = 60_000
FROZEN_MS = 4_000
MIGRATION_S = 60.0
POOL_S = 10.0

_BESIDE = ("-wal", "-shm", "-journal", ".migrate.lock", ".engine.lock")
_BEGIN = "cockpit_begin"  # the execution option that says how SQLite begins

# What every function of `engine.store` that reads or writes rows is called inside.
Transaction = sa.Connection


class Store:
    """Made by `Store.open`. Thread-safe; one connection of the pool per open block. `url` holds the password if one was given:
    show `str(store)` instead."""

    def __init__(self, url: str, shown: str, engine: sa.Engine, changes: Changes, path: Path | None) -> None:
        self.url = url
        self.engine = engine
        self.path = path
        self.is_sqlite = path is not None
        self._shown = shown
        self._changes = changes

    def __str__(self) -> str:
        return self._shown

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Store:
        """Connect and bring the tables to this version's form. `url`: `sqlite:///path`, or PostgreSQL's in any form of libpq
        (`engine.store.postgres_address`). `create` False: a store that is not there yet is refused. Raises StoreError."""
        kind = kind_of(url)
        if kind is Kind.SQLITE:
            return cls._open_sqlite(url, create)
        if kind is Kind.POSTGRESQL:
            return cls._open_postgres(url, create)
        raise _no_address(scheme_of(url))

    @classmethod
    def _open_sqlite(cls, given: str, create: bool) -> Store:
        url = sa.make_url(given)
        if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
            raise _no_address(given)
        path = Path(url.database).expanduser().absolute()
        url = url.set(database=str(path))
        shown = url.render_as_string()
        _refuse_network_file_system(path)
        if not path.exists():
            if not create:
                raise _no_store(shown)
            _make_folder(path.parent)
        _keep_private(path)
        engine = _sqlite_engine(url)
        try:
            with driver_errors(shown):
                _prepare_sqlite(engine, path, shown)
            changes = SqliteChanges(path, shown)
        except BaseException:
            engine.dispose()
            raise
        return cls(shown, shown, engine, changes, path)

    @classmethod
    def _open_postgres(cls, url: str, create: bool) -> Store:
        from engine.store.listening import PostgresChanges
        from engine.store.postgres_address import read_address

        address = read_address(url)
        engine = _postgres_engine(address)
        try:
            with driver_errors(address.shown, clean=address.without_secrets):
                _prepare_postgres(engine, address.shown, create)
        except BaseException:
            engine.dispose()
            raise
        return cls(url, address.shown, engine, PostgresChanges(address), None)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection whose statements all see the store as it was at the first of them. Raises StoreError."""
        options: dict[str, Any] = (
            {_BEGIN: "BEGIN DEFERRED"}
            if self.is_sqlite
            else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        )
        with driver_errors(str(self)), self.engine.connect() as plain:
            connection = plain.execution_options(**options)
            with connection.begin() as transaction:
                yield connection
                transaction.rollback()

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A connection in one transaction: committed at the end of the block, undone when it raises. On SQLite there is one
        writer at a time, waited for at most 5 s; on PostgreSQL lock the rows you decide upon (`with_for_update`).

        Raises StoreError; then nothing was written, unless the link broke during the commit itself (`store_unreachable`)."""
        with driver_errors(str(self)), self.engine.connect() as plain:
            connection = plain.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"} if self.is_sqlite else {})
            with connection.begin():
                yield connection
                if not self.is_sqlite:
                    connection.exec_driver_sql("NOTIFY cockpit")

    def change_token(self) -> object:
        """A value that differs from the last one when anything may have been committed, by whomever. Cheap; thread-safe."""
        return self._changes.token()

    def wait_change(self, token: object, timeout_s: float) -> object:
        """Block until the token differs from `token`, at most `timeout_s`; returns the token of now."""
        return self._changes.wait(token, timeout_s)

    def close(self) -> None:
        self._changes.close()
        self.engine.dispose()


# ----------------------------------------------------------------------------------------------------------------- SQLite


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(
        url, connect_args={"timeout": BUSY_S}, pool_size=8, max_overflow=24, pool_timeout=POOL_S, hide_parameters=True
    )

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        # The driver must not begin by itself: it would begin too late for savepoints and reads, and never IMMEDIATE.
        connection.isolation_level = None
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN DEFERRED"))

    return engine


def _prepare_sqlite(engine: sa.Engine, path: Path, shown: str) -> None:
    """WAL and the newest tables. Whoever finds them lacking does it alone, behind a lock file; the rest wait for it."""
    if path.exists() and path.stat().st_size > 0 and _journal_mode(engine) == "wal" and _at_head(engine, shown):
        return
    lock_path = path.with_name(f"{path.name}.migrate.lock")
    lock = FileLock(lock_path, timeout=MIGRATION_S, mode=PRIVATE)
    try:
        make_private(lock_path)
        with lock:
            _set_wal(engine)
            with _foreign_keys_off(engine) as plain:
                connection = plain.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
                with connection.begin():
                    migrate(connection, shown)
                    if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
                        raise _migration_broke(shown)
    except Timeout as error:
        raise store_error(
            "store_busy",
            message("The store {store} is still being upgraded by another process.", store=shown),
            message("Wait until it is done, then open it again."),
        ) from error
    except OSError as error:
        raise _folder_refused(path, error) from error


@contextmanager
def _foreign_keys_off(engine: sa.Engine) -> Iterator[sa.Connection]:
    """SQLite changes a table by copying it: for as long as the old one is away nothing that refers to it may be looked at. It can
    be switched only outside a transaction."""
    with engine.connect() as connection:
        raw = connection.connection.cursor()
        raw.execute("PRAGMA foreign_keys = OFF")
        try:
            yield connection
        finally:
            raw.execute("PRAGMA foreign_keys = ON")
            raw.close()


def _journal_mode(engine: sa.Engine) -> str:
    return str(_outside_transaction(engine, "PRAGMA journal_mode"))


def _set_wal(engine: sa.Engine) -> None:
    if _journal_mode(engine) != "wal":
        _outside_transaction(engine, "PRAGMA journal_mode = WAL")


def _outside_transaction(engine: sa.Engine, statement: str) -> object:
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute(statement)
        row = cursor.fetchone()
        return None if row is None else row[0]
    finally:
        raw.close()


def _at_head(engine: sa.Engine, shown: str) -> bool:
    with engine.connect() as connection, connection.begin():
        return is_head(connection, shown)


def _keep_private(path: Path) -> None:
    """SQLite gives its journals the mode of the database."""
    try:
        if not path.exists():
            make_private(path)
        correct([path])
        correct(path.with_name(path.name + end) for end in _BESIDE)
    except OSError as error:
        raise _folder_refused(path, error) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise _folder_refused(folder, error) from error


# ------------------------------------------------------------------------------------------------------------- PostgreSQL


def _postgres_engine(address: PostgresAddress) -> sa.Engine:
    limits = (
        f"-c statement_timeout={STATEMENT_MS} -c lock_timeout={int(BUSY_S * 1000)}"
        f" -c idle_in_transaction_session_timeout={FROZEN_MS}"  # or a frozen process would keep its row locks for ever
    )
    wanted: dict[str, Any] = {
        "connect_timeout": CONNECT_S,
        "application_name": "cockpit",
        "keepalives_idle": 20,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
    }
    if address.several_hosts:
        wanted["target_session_attrs"] = "read-write"  # a standby among them can't be worked with
    wanted = {name: value for name, value in wanted.items() if name not in address.given}
    engine = sa.create_engine(
        "postgresql+psycopg://",
        pool_size=8,
        max_overflow=24,
        pool_timeout=POOL_S,
        pool_pre_ping=True,  # a restarted server costs one look, not one failed act
        isolation_level="READ COMMITTED",
        hide_parameters=True,
    )

    @sa.event.listens_for(engine, "do_connect")
    def connect_as_libpq_reads_it(_dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> None:
        # The library's own URLs know neither several hosts nor services.
        arguments[:] = [address.conninfo]
        options |= wanted | {"options": f"{limits} {address.options}".strip()}

    return engine


def _prepare_postgres(engine: sa.Engine, shown: str, create: bool) -> None:
    with engine.connect() as connection, connection.begin():
        if is_head(connection, shown):
            return
        if not create and current_revision(connection) is None:
            raise _no_store(shown)
        # Whoever comes second waits here, then finds nothing to do.
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(MIGRATION_S * 1000)}")
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('cockpit.migrate'))"))
        migrate(connection, shown)


# ----------------------------------------------------------------------------------------------------------------- errors


def _no_address(shown: str) -> StoreError:
    """`shown`: what of it may be shown."""
    return store_error(
        "store_address_invalid",
        message("{url} is not the address of a store.", url=shown)
        if shown
        else message("That is not the address of a store."),
        message("Write sqlite:///path/to/file.db or postgresql://user@host/database in the settings."),
    )


def _migration_broke(shown: str) -> StoreError:
    return store_error(
        "store_failed",
        message("The store {store} could not be upgraded to this version; it was left as it was.", store=shown),
        message("Go on with the previous version, and report what its log says."),
    )


def _no_store(shown: str) -> StoreError:
    return store_error(
        "store_unreachable",
        message("There is no store at {store} yet.", store=shown),
        message("Check its address in the settings, or start the cockpit once to create it."),
    )


def _folder_refused(path: Path, error: OSError) -> StoreError:
    return store_error(
        "store_unreachable",
        message("The store's folder can't be used: {path}.", path=str(path)),
        message("Make the folder writable for yourself, or name another store in the settings."),
        str(error),
    )


def _refuse_network_file_system(path: Path) -> None:
    kind = network_file_system(path)
    if kind is not None:
        raise store_error(
            "store_network_filesystem",
            message(
                "{path} lies on a network file system ({kind}), where SQLite loses data.", path=str(path), kind=kind
            ),
            message("Name a file on a local disk, or use a PostgreSQL store to share it between machines."),
        )
