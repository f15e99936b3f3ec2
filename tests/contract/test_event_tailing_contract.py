"""Who tails the events misses none and sees none twice, while many write at once: on SQLite and PostgreSQL."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.kinds.release import release_spec
from engine.reading.events import read_events
from engine.store.events import add_event
from engine.store.orders import update_order
from engine.store.store import Store
from tests.support.fleet_rows import insert_fleet
from tests.support.orders import make_order

WRITERS = 5
EACH = 40
DEADLINE_S = 60.0


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/cockpit.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def stores(url: str) -> Iterator[list[Store]]:
    """One for each writer, as if each were a process of its own, and the reader's last."""
    stores = [Store.open(url) for _ in range(WRITERS + 1)]
    yield stores
    for store in stores:
        store.close()


def orders_of(store: Store) -> tuple[int, list[int]]:
    with store.writing() as conn:
        fleet = insert_fleet(conn, 2)
        orders = [
            make_order(conn, fleet.workspace_id, release_spec("shop", "2.0.0"), created_by="alice", now=1.0)
            for _ in range(WRITERS)
        ]  # fmt: skip
    return fleet.workspace_id, orders


def write_events(store: Store, order_id: int, seed: int, failures: list[BaseException]) -> None:
    """Ids are given at the insert; how long the commit takes is up to chance, so they become visible in another order."""
    chance = random.Random(seed)
    try:
        for number in range(EACH):
            with store.writing() as conn:
                update_order(conn, order_id, 1.0)  # the transaction has begun, the id is not given yet
                time.sleep(chance.choice((0.0, 0.005)))
                add_event(conn, order_id, 1.0, "note", {"number": number})
                if chance.random() < 0.5:
                    time.sleep(chance.uniform(0.0, 0.02))
                if chance.random() < 0.2:
                    raise InterruptedError  # undone: its id is never seen
    except InterruptedError:
        write_rest(store, order_id, number, failures)
    except BaseException as error:
        failures.append(error)
        raise


def write_rest(store: Store, order_id: int, number: int, failures: list[BaseException]) -> None:
    try:
        for rest in range(number, EACH):
            with store.writing() as conn:
                add_event(conn, order_id, 1.0, "note", {"number": rest})
    except BaseException as error:
        failures.append(error)
        raise


@pytest.mark.parametrize("scope", ["all", "workspace", "order"])
def test_a_reader_that_tails_sees_every_event_once_and_in_its_order(stores: list[Store], scope: str) -> None:
    *writers, reader = stores
    workspace_id, orders = orders_of(reader)
    failures: list[BaseException] = []
    threads = [
        threading.Thread(target=write_events, args=(store, order_id, seed, failures))
        for seed, (store, order_id) in enumerate(zip(writers, orders, strict=True))
    ]
    for thread in threads:
        thread.start()
    wanted = EACH if scope == "order" else WRITERS * EACH
    seen: list[tuple[int, int, int]] = []  # (event id, order, number)
    after, deadline = 0, time.monotonic() + DEADLINE_S
    while len(seen) < wanted:
        token = reader.change_token()
        with reader.reading() as conn:
            found = read_events(
                conn,
                order_id=orders[0] if scope == "order" else None,
                workspace_id=workspace_id if scope == "workspace" else None,
                after=after,
                limit=7,
            )
        after = found[-1].id if found else after
        seen += [(event.id, event.order_id, event.data["number"]) for event in found if event.kind == "note"]
        assert time.monotonic() < deadline, f"{len(seen)} of {wanted} seen; {failures}"
        if not found:
            reader.wait_change(token, 0.2)
    for thread in threads:
        thread.join(DEADLINE_S)
    assert not failures
    assert len({event_id for event_id, _, _ in seen}) == len(seen)
    for order_id in {order_id for _, order_id, _ in seen}:
        assert [number for _, order, number in seen if order == order_id] == list(range(EACH))
