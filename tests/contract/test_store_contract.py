"""What every store must do, on SQLite and on PostgreSQL alike. Other processes are real ones."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from engine.store import tables as t
from engine.store.migrations import HEAD
from engine.store.ownership import acquire
from engine.store.store import Store, StoreError
from tests.support.postgres import PostgresServer, postgres_server, start_server  # noqa: F401

ROOT = Path(__file__).parents[2]
DEADLINE_S = 30.0


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'folder' / 'cockpit.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    database = server.create_database()
    yield server.url(database)
    server.drop_database(database)


@pytest.fixture
def open_store(url: str) -> Iterator[Callable[[], Store]]:
    opened: list[Store] = []

    def open_one() -> Store:
        opened.append(Store.open(url))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


class OtherProcess:
    """A Python process that prints `ready`, waits for a line, and goes on."""

    def __init__(self, url: str, body: str) -> None:
        program = "import sys\nfrom engine.store.store import Store\nurl = sys.argv[1]\n" + body
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, url],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def expect(self, word: str) -> None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if line != word:
            self.process.kill()
            _, errors = self.process.communicate(timeout=DEADLINE_S)
            pytest.fail(f"the other process said {line!r} instead of {word!r}:\n{errors}")

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self) -> None:
        _, errors = self.process.communicate(timeout=DEADLINE_S)
        assert self.process.returncode == 0, errors

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=DEADLINE_S)


def add_tenant(store: Store, name: str) -> None:
    with store.writing() as connection:
        connection.execute(sa.insert(t.tenant).values(name=name))


def tenants(store: Store) -> list[str]:
    with store.reading() as connection:
        return list(connection.execute(sa.select(t.tenant.c.name).order_by(t.tenant.c.name)).scalars())


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


# -------------------------------------------------------------------------------------------------------- opening


def test_what_was_written_is_there_after_opening_again(open_store: Callable[[], Store]) -> None:
    first = open_store()
    add_tenant(first, "acme")
    first.close()
    assert tenants(open_store()) == ["acme"]


def test_many_processes_may_open_a_new_store_at_once(url: str) -> None:
    body = (
        "print('ready', flush=True)\nsys.stdin.readline()\n"
        "store = Store.open(url)\n"
        "import sqlalchemy as sa\n"
        "from engine.store import tables as t\n"
        "with store.reading() as c:\n    assert c.execute(sa.select(sa.func.count()).select_from(t.tenant)).scalar_one() == 0\n"
        "store.close()\nprint('opened', flush=True)\n"
    )
    others = [OtherProcess(url, body) for _ in range(4)]
    for other in others:
        other.expect("ready")
    for other in others:
        other.go()
    for other in others:
        other.expect("opened")
        other.end()


def test_a_store_of_a_newer_cockpit_is_refused_and_left_alone(open_store: Callable[[], Store], url: str) -> None:
    store = open_store()
    with store.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError) as refused:
        Store.open(url)
    assert refused.value.problem.code == "store_too_new"
    assert "9999" in str(refused.value)
    with store.reading() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"


def test_a_store_that_is_not_there_is_not_made_unless_asked(url: str) -> None:
    with pytest.raises(StoreError) as refused:
        Store.open(url, create=False)
    assert refused.value.problem.code == "store_unreachable"
    Store.open(url).close()
    Store.open(url, create=False).close()


def test_opening_leaves_the_newest_tables(open_store: Callable[[], Store]) -> None:
    with open_store().reading() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one() == HEAD
        assert set(sa.inspect(connection).get_table_names()) == set(t.metadata.tables) | {"alembic_version"}


# ------------------------------------------------------------------------------------------- reading and writing


def test_a_reader_sees_one_moment_while_others_write(open_store: Callable[[], Store]) -> None:
    reader, writer = open_store(), open_store()
    add_tenant(writer, "acme")
    names = sa.select(t.tenant.c.name).order_by(t.tenant.c.name)
    with reader.reading() as connection:
        assert list(connection.execute(names).scalars()) == ["acme"]
        add_tenant(writer, "borealis")
        assert list(connection.execute(names).scalars()) == ["acme"]
    assert tenants(reader) == ["acme", "borealis"]


def test_a_block_that_raises_leaves_nothing(open_store: Callable[[], Store]) -> None:
    store = open_store()

    def broken() -> None:
        with store.writing() as connection:
            connection.execute(sa.insert(t.tenant).values(name="acme"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert tenants(store) == []


def test_a_savepoint_undoes_only_its_own_part(open_store: Callable[[], Store]) -> None:
    store = open_store()
    with store.writing() as connection:
        connection.execute(sa.insert(t.tenant).values(name="kept"))
        savepoint = connection.begin_nested()
        connection.execute(sa.insert(t.tenant).values(name="undone"))
        savepoint.rollback()
        connection.execute(sa.insert(t.tenant).values(name="later"))
    assert tenants(store) == ["kept", "later"]


def test_writers_that_decide_upon_a_row_never_lose_each_others_work(open_store: Callable[[], Store]) -> None:
    stores = [open_store() for _ in range(3)]
    with stores[0].writing() as connection:
        connection.execute(sa.insert(t.operator).values(name="0"))
    failures: list[BaseException] = []

    def count(store: Store) -> None:
        try:
            for _ in range(10):
                with store.writing() as connection:
                    value = connection.execute(sa.select(t.operator.c.name).with_for_update()).scalar_one()
                    connection.execute(sa.update(t.operator).values(name=str(int(value) + 1)))
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=count, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert not failures
    with stores[0].reading() as connection:
        assert connection.execute(sa.select(t.operator.c.name)).scalar_one() == "30"


def test_a_foreign_key_is_kept(open_store: Callable[[], Store]) -> None:
    store = open_store()
    with pytest.raises(sa.exc.IntegrityError), store.writing() as connection:
        connection.execute(sa.insert(t.workspace).values(tenant_id=4711, name="prod"))


def test_text_and_numbers_come_back_as_they_were(open_store: Callable[[], Store]) -> None:
    store = open_store()
    at = 1_790_000_000.123456
    after = {"名": "交易核心", "list": [1, None, "é"], "nested": {"x": 0.5}}
    with store.writing() as connection:
        connection.execute(
            sa.insert(t.audit).values(at=at, operator="李雷", act="apply", target="app/交易", before=None, after=after)
        )
    with store.reading() as connection:
        row = connection.execute(sa.select(t.audit)).one()
    assert (row.at, row.operator, row.target, row.before, row.after) == (at, "李雷", "app/交易", None, after)


# ------------------------------------------------------------------------------------------------------ watching


def test_the_token_stays_while_nothing_is_written(open_store: Callable[[], Store]) -> None:
    store = open_store()
    token = settled_token(store)
    assert tenants(store) == []
    assert store.wait_change(token, 0.2) == token


def test_the_token_changes_for_writes_of_the_same_store_object(open_store: Callable[[], Store]) -> None:
    store = open_store()
    token = settled_token(store)
    add_tenant(store, "acme")
    assert store.wait_change(token, DEADLINE_S) != token


def test_the_token_changes_for_writes_of_another_process(open_store: Callable[[], Store], url: str) -> None:
    store = open_store()
    other = OtherProcess(
        url,
        "import sqlalchemy as sa\nfrom engine.store import tables as t\n"
        "store = Store.open(url)\nprint('ready', flush=True)\nsys.stdin.readline()\n"
        "with store.writing() as c:\n    c.execute(sa.insert(t.tenant).values(name='acme'))\n"
        "store.close()\n",
    )
    other.expect("ready")
    token = settled_token(store)
    other.go()
    assert store.wait_change(token, DEADLINE_S) != token
    assert tenants(store) == ["acme"]
    other.end()


def test_a_waiting_reader_wakes_within_a_tenth_of_a_second(open_store: Callable[[], Store]) -> None:
    watcher, writer = open_store(), open_store()
    delays = []
    for number in range(5):
        token = settled_token(watcher)
        woken: list[float] = []

        def wait(token: object = token, woken: list[float] = woken) -> None:
            watcher.wait_change(token, DEADLINE_S)
            woken.append(time.monotonic())

        thread = threading.Thread(target=wait)
        thread.start()
        add_tenant(writer, f"tenant-{number}")
        committed = time.monotonic()
        thread.join(DEADLINE_S)
        delays.append(woken[0] - committed)
    assert sorted(delays)[len(delays) // 2] < 0.1, delays


def test_waiting_ends_at_its_deadline(open_store: Callable[[], Store]) -> None:
    store = open_store()
    token = settled_token(store)
    before = time.monotonic()
    store.wait_change(token, 0.3)
    assert 0.25 <= time.monotonic() - before < 2.0


def test_closing_ends_a_wait(open_store: Callable[[], Store]) -> None:
    store = open_store()
    token = settled_token(store)
    thread = threading.Thread(target=store.wait_change, args=(token, DEADLINE_S))
    thread.start()
    before = time.monotonic()
    store.close()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()
    assert time.monotonic() - before < 5.0


def settled_token(store: Store) -> object:
    """A token that no longer changes by itself: a listener's first connect counts as a change."""
    token = store.change_token()
    deadline = time.monotonic() + DEADLINE_S
    while (later := store.wait_change(token, 0.15)) != token or (not store.is_sqlite and later == 0):
        assert time.monotonic() < deadline, "the token never settled"
        token = later
    return token


# --------------------------------------------------------------------------------------- what only one of them has


def test_sqlite_is_kept_in_wal_with_full_synchronisation(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'a.db'}")
    with store.reading() as connection:
        pragma = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in PRAGMAS}
    store.close()
    assert pragma == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


PRAGMAS = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")


def test_sqlite_says_busy_when_a_writer_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.store.store.BUSY_S", 0.2)
    store = Store.open(f"sqlite:///{tmp_path / 'a.db'}")
    with store.writing(), pytest.raises(StoreError) as busy, store.writing():
        pytest.fail("two writers at once")
    store.close()
    assert busy.value.problem.code == "store_busy"


def test_sqlite_says_so_when_the_file_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"this is not a database, it is a note\n" * 100)
    with pytest.raises(StoreError) as refused:
        Store.open(f"sqlite:///{path}")
    assert refused.value.problem.code == "store_failed"
    assert str(path) in str(refused.value)


def test_sqlite_says_so_when_the_disk_is_full(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'a.db'}")

    def fill() -> None:
        with store.writing() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")  # SQLite's own way to a full disk
            connection.execute(sa.insert(t.tenant).values(name="x" * 1_000_000))

    with pytest.raises(StoreError) as full:
        fill()
    assert full.value.problem.code == "store_failed"
    assert "full" in str(full.value)
    assert tenants(store) == []
    store.close()


def test_sqlite_says_so_when_the_folder_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError) as refused:
        Store.open(f"sqlite:///{tmp_path / 'file' / 'a.db'}")
    assert refused.value.problem.code == "store_unreachable"


def test_postgresql_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(StoreError) as refused:
        Store.open("postgresql://ops:hunter2@127.0.0.1:1/cockpit")
    assert refused.value.problem.code == "store_unreachable"
    assert "127.0.0.1" in str(refused.value)
    assert "hunter2" not in str(refused.value) + refused.value.problem.evidence


def test_postgresql_coming_back_is_used_and_watched_again() -> None:
    """The server stops dead and starts again: one act fails with a StoreError, later ones work, and watching goes on."""
    server = start_server()
    store = Store.open(server.url(server.create_database()))
    owned = acquire(store, "first", time.time())
    assert owned is not None
    try:
        token = settled_token(store)
        server.stop()
        with pytest.raises(StoreError) as lost:
            add_tenant(store, "lost")
        assert lost.value.problem.code == "store_unreachable"
        assert not owned.held()
        server.start()
        add_tenant(store, "acme")
        assert store.wait_change(token, DEADLINE_S) != token  # the reconnect itself is a change
        assert not owned.held(), "a session that ended can't own anything again"
        assert tenants(store) == ["acme"]
        again = acquire(store, "second", time.time())
        assert again is not None
        again.release()
    finally:
        store.close()
        server.remove()


def test_unknown_urls_are_refused_with_an_example() -> None:
    for url in ("mysql://x/y", "nonsense", "sqlite://", "sqlite:///:memory:"):
        with pytest.raises(StoreError) as refused:
            Store.open(url)
        assert refused.value.problem.code == "store_address_invalid"
        assert "sqlite:///" in str(refused.value)
