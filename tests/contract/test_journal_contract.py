"""The journal's contract on SQLite and PostgreSQL: committed when it returns, one bad operation harms no other, epochs bind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from engine.kinds.release import release_spec
from engine.run.journal import Journal, StaleEpoch
from engine.store import tables as t
from engine.store.events import add_event
from engine.store.store import Store, StoreError
from tests.support.fleet_rows import insert_fleet
from tests.support.orders import make_order


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path}/cockpit.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    opened = Store.open(url)
    yield opened
    opened.close()


@pytest.fixture
def order_id(store: Store) -> int:
    with store.writing() as conn:
        fleet = insert_fleet(conn, 2)
        return make_order(conn, fleet.workspace_id, release_spec("shop", "2.0.0"), created_by="alice", now=1.0)


def note(order_id: int, text: str):
    return lambda conn: add_event(conn, order_id, 1.0, "note", {"text": text})


def notes(store: Store) -> list[str]:
    with store.reading() as conn:
        query = sa.select(t.event.c.data).where(t.event.c.kind == "note").order_by(t.event.c.id)
        return [data["text"] for data in conn.execute(query).scalars()]


async def test_a_write_is_there_for_others_when_it_returns(store: Store, order_id: int) -> None:
    async with Journal(store) as journal:
        await journal.write(order_id, 0, note(order_id, "first"))
        assert notes(store) == ["first"]


async def test_waiting_writes_share_a_commit_and_keep_their_order(store: Store, order_id: int) -> None:
    async with Journal(store) as journal:
        await asyncio.gather(*(journal.write(order_id, 0, note(order_id, str(n))) for n in range(300)))
        assert journal.operations >= 300
        assert journal.commits < 100
    assert notes(store) == [str(n) for n in range(300)]


async def test_one_bad_operation_in_a_batch_harms_no_good_one(store: Store, order_id: int) -> None:
    def bad(conn: sa.Connection) -> None:
        conn.execute(sa.insert(t.event).values(order_id=order_id, at=1.0, kind="note", data={"text": "half"}))
        conn.execute(sa.insert(t.host_run).values(order_id=None, direction="forward", host="x", node="n"))

    async with Journal(store) as journal:
        writes = [journal.write(order_id, 0, note(order_id, str(n))) for n in range(5)]
        writes.insert(3, journal.write(order_id, 0, bad))
        results = await asyncio.gather(*writes, return_exceptions=True)
    assert [isinstance(result, BaseException) for result in results] == [False] * 3 + [True] + [False] * 2
    assert notes(store) == ["0", "1", "2", "3", "4"]


async def test_an_older_epoch_writes_nothing(store: Store, order_id: int) -> None:
    with store.writing() as conn:
        conn.execute(sa.update(t.order).values(epoch=3))
    async with Journal(store) as journal:
        with pytest.raises(StaleEpoch):
            await journal.write(order_id, 2, note(order_id, "late"))
        await journal.write(order_id, 3, note(order_id, "in time"))
    assert notes(store) == ["in time"]


async def test_a_closed_journal_says_so(store: Store, order_id: int) -> None:
    journal = Journal(store)
    async with journal:
        await journal.write(order_id, 0, note(order_id, "kept"))
    with pytest.raises(StoreError):
        await journal.write(order_id, 0, note(order_id, "lost"))
    assert notes(store) == ["kept"]
