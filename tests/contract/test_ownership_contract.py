"""Which engine runs an order, on SQLite and PostgreSQL: one at a time, free at once when it dies, taken from it when it is frozen.

The other engines are real processes, killed and frozen as a machine or an operator would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from engine.store import engines, ownership
from engine.store import tables as t
from engine.store.ownership import Ownership, acquire, lock_path, put_silent_aside
from engine.store.store import Store, StoreError
from tests.support.processes import running

ROOT = Path(__file__).parents[2]
DEADLINE_S = 30.0
ORDERS = (7, 8)
ENGINE = """
import sys, time
from engine.store import engines
from engine.store.ownership import acquire
from engine.store.store import Store
import sqlalchemy as sa
store = Store.open(sys.argv[1])
owned = acquire(store, "other", time.time())
claimed = owned.claim((7, 8)) if owned else ()
with store.writing() as conn:
    engines.register(conn, "other", time.time())
print(*sorted(claimed), flush=True)
for line in sys.stdin:
    if line == "hold\\n":
        with store.writing() as conn:
            conn.execute(sa.text("UPDATE engine SET machine = machine"))
            print("holding", flush=True)
            sys.stdin.readline()
    else:
        with store.writing() as conn:
            print(owned.held(), engines.holds_lease(conn, "other"), flush=True)
"""


class Other:
    """An engine in a process of its own, as far as ownership goes; it never renews its lease."""

    def __init__(self, url: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", ENGINE, url], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.claimed = self.line()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def say(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.communicate(timeout=DEADLINE_S)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/cockpit.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = Store.open(url)
    yield store
    store.close()


@pytest.fixture
def other(store: Store, url: str) -> Iterator[Other]:
    other = Other(url)
    assert other.claimed == "7 8"
    yield other
    other.kill()


def eventually(condition: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> float:
    """Seconds it took."""
    since = time.monotonic()
    while not condition():
        assert time.monotonic() - since < deadline_s, what
        time.sleep(0.01)
    return time.monotonic() - since


class Successor:
    """Tries to get the orders of the other engine, as an engine that stands by does."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.owned: Ownership | None = None

    def try_to(self) -> bool:
        if self.owned is not None and not self.store.is_sqlite:  # there is room for it beside the other one
            put_silent_aside(self.store, time.time(), besides="successor")
        self.owned = self.owned or acquire(self.store, "successor", time.time())
        return self.owned is not None and self.owned.claim(ORDERS) == frozenset(ORDERS)

    def try_again_when_busy(self) -> bool:
        try:
            return self.try_to()
        except StoreError as error:
            if error.problem.code != "store_busy":
                raise
            return False


@pytest.fixture
def successor(store: Store) -> Iterator[Successor]:
    successor = Successor(store)
    yield successor
    if successor.owned is not None:
        successor.owned.release()


def alive(store: Store, now: float | None = None) -> bool:
    with store.reading() as conn:
        return engines.any_alive(conn, time.time() if now is None else now)


def let_lease_run_out(store: Store) -> None:
    with store.writing() as conn:
        conn.execute(sa.update(t.engine).values(heartbeat_at=t.engine.c.heartbeat_at - 2 * engines.LEASE_S))


def test_an_order_has_one_engine_and_is_free_the_moment_that_is_killed(
    store: Store, other: Other, successor: Successor
) -> None:
    assert alive(store)
    assert not successor.try_to()
    other.process.kill()  # nobody collects it yet: its remains are not an engine either
    assert eventually(lambda: not alive(store), "the dead engine counted as alive") < 1.0
    assert eventually(successor.try_to, "the dead engine kept its orders") < 1.0


def test_an_engine_that_is_frozen_is_succeeded_when_its_lease_is_over_and_knows_it_when_it_wakes_up(
    store: Store, other: Other, successor: Successor
) -> None:
    other.process.send_signal(signal.SIGSTOP)
    assert not successor.try_to()  # it may only be slow
    let_lease_run_out(store)
    assert not alive(store)
    eventually(successor.try_to, "the frozen engine kept its orders")
    with store.writing() as conn:
        engines.register(conn, "successor", time.time())
    other.process.send_signal(signal.SIGCONT)
    other.say("look")
    assert other.line() == "False False"
    assert successor.owned is not None
    assert successor.owned.held()
    assert alive(store)


def test_an_engine_frozen_in_the_middle_of_a_transaction_is_succeeded_too(
    store: Store, other: Other, successor: Successor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.store.store.BUSY_S", 0.5)
    patient = Successor(Store.open(store.url))
    let_lease_run_out(store)
    other.say("hold")
    assert other.line() == "holding"
    other.process.send_signal(signal.SIGSTOP)
    try:
        if store.is_sqlite:
            assert patient.try_to(), "one attempt is enough: a successor does not stand by for ever"
        eventually(patient.try_again_when_busy, "the frozen engine kept its transaction")
        with store.writing() as conn:
            engines.register(conn, "successor", time.time())
    finally:
        if patient.owned is not None:
            patient.owned.release()
        patient.store.close()


def test_a_process_that_only_has_the_number_of_a_frozen_engine_is_never_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.store.store.BUSY_S", 0.2)
    store = Store.open(f"sqlite:///{tmp_path}/cockpit.db")
    owner = Other(store.url)
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with store.writing() as conn:
            conn.execute(sa.update(t.engine).values(pid=bystander.pid))
        let_lease_run_out(store)
        owner.say("hold")
        assert owner.line() == "holding"
        with pytest.raises(StoreError, match="busy"):
            acquire(store, "successor", time.time())
        assert running(bystander.pid)
        assert running(owner.process.pid)
    finally:
        bystander.kill()
        bystander.wait(DEADLINE_S)
        owner.kill()
        store.close()


def test_what_is_given_up_is_free_for_others(store: Store) -> None:
    first = acquire(store, "first", time.time())
    assert first is not None
    assert first.claim(ORDERS) == frozenset(ORDERS)
    assert first.held()
    second = acquire(store, "second", time.time())
    if second is not None:
        assert second.claim(ORDERS) == frozenset()
        first.give_up(8)
        assert second.claim(ORDERS) == {8}
        second.release()
    first.release()
    first.release()
    assert not first.held()
    again = acquire(store, "again", time.time())
    assert again is not None
    assert again.claim(ORDERS) == frozenset(ORDERS)
    again.release()


def test_a_lease_is_kept_by_renewing_it_and_ends_once(store: Store) -> None:
    now = time.time()
    owned = acquire(store, "first", now)
    assert owned is not None
    with store.writing() as conn:
        engines.register(conn, "first", now)
    let_lease_run_out(store)
    assert not alive(store)
    with store.writing() as conn:
        assert engines.beat(conn, "first", time.time())
    assert alive(store)
    let_lease_run_out(store)
    with store.writing() as conn:
        assert engines.end_silent(conn, time.time()) == ["first"]
        assert not engines.beat(conn, "first", time.time())
        assert not engines.holds_lease(conn, "first")
        assert engines.end_silent(conn, time.time()) == []
    owned.release()


def test_on_postgresql_no_clock_of_ours_decides(postgres_url: str) -> None:
    store = Store.open(postgres_url)
    owned = acquire(store, "first", 0.0)
    assert owned is not None
    with store.writing() as conn:
        engines.register(conn, "first", 0.0)
    for now in (0.0, time.time() + 86_400.0):
        assert alive(store, now)
        with store.writing() as conn:
            assert engines.end_silent(conn, now) == []
    owned.release()
    assert not alive(store), "its session has ended"
    store.close()


def test_on_postgresql_engines_share_and_only_one_embedded_one_stands_on_a_machine(postgres_url: str) -> None:
    store = Store.open(postgres_url)
    first, second = acquire(store, "a", 0.0, place="jump-1"), acquire(store, "b", 0.0)
    assert first is not None
    assert second is not None
    assert acquire(store, "c", 0.0, place="jump-1") is None
    assert first.claim((1, 2)) == {1, 2}
    assert second.claim((1, 2, 3)) == {3}
    first.release()
    assert second.claim((1, 2)) == {1, 2}
    third = acquire(store, "c", 0.0, place="jump-1")
    assert third is not None
    third.release()
    second.release()
    store.close()


def test_on_postgresql_an_engine_that_is_frozen_before_it_has_a_lease_keeps_no_place(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "SILENT_S", 1.0)
    store = Store.open(postgres_url)
    frozen = acquire(store, "a", 0.0, place="jump-1")
    assert frozen is not None
    found: list[Any] = []

    def taken() -> bool:
        found.append(acquire(store, "b", 0.0, place="jump-1"))
        return found[-1] is not None

    eventually(taken, "the place was kept by an engine that says nothing")
    assert not frozen.held()
    found[-1].release()
    frozen.release()
    store.close()


def test_on_postgresql_ownership_ends_with_its_session(postgres_url: str) -> None:
    store = Store.open(postgres_url)
    owned = acquire(store, "first", 0.0)
    assert owned is not None
    with psycopg.connect(store.url.replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
    eventually(lambda: not owned.held(), "ownership outlived its session")
    with pytest.raises(StoreError):
        owned.claim(ORDERS)
    owned.release()
    store.close()


def test_on_sqlite_the_lock_file_stays_where_it_is_when_its_engine_has_gone(tmp_path: Path) -> None:
    """Taking it away would let two engines lock two files of the same name."""
    store = Store.open(f"sqlite:///{tmp_path}/cockpit.db")
    path = lock_path(tmp_path / "cockpit.db")
    owner = Other(store.url)
    before = os.stat(path).st_ino
    owner.kill()
    let_lease_run_out(store)
    owned = acquire(store, "successor", time.time())
    assert owned is not None
    assert os.stat(path).st_ino == before
    owned.release()
    store.close()
