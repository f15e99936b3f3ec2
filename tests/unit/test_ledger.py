"""The weight ledger against a balancer that is busy, loses answers, lies or says no."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from engine.domain.fleet import Mount, MountWeight
from engine.domain.orders import ReleaseSpec
from engine.domain.states import Verified
from engine.run.journal import Journal, StaleEpoch
from engine.run.ledger import Ledger
from engine.store import orders as rows
from engine.store import tables as t
from engine.store.store import Store
from tests.support.fleet_rows import GROUP, insert_fleet
from tests.support.world import SimBalancer, SimClock


def mount(number: int) -> Mount:
    return Mount(f"h{number:02}", f"i-{number:02}", GROUP, 80)


def mounts(count: int) -> list[MountWeight]:
    return [MountWeight(mount(number), 0) for number in range(count)]


class Desk:
    """A store with one order whose forty mounts stand at weight 100, and a ledger over a simulated balancer."""

    def __init__(self, store: Store, journal: Journal, order_id: int) -> None:
        self.store, self.order_id = store, order_id
        self.clock = SimClock()
        self.balancer = SimBalancer({GROUP: {(f"i-{n:02}", 80): 100 for n in range(40)}})
        self.ledger = Ledger(journal, self.balancer, self.clock)

    async def move(self, weights: list[MountWeight], *, owned: bool = True, epoch: int = 0):
        return await self.ledger.move(self.order_id, epoch, weights, owned=owned)

    def rows(self, table: sa.Table) -> list[sa.Row]:
        with self.store.reading() as conn:
            return list(conn.execute(sa.select(table)))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = Store.open(f"sqlite:///{tmp_path}/cockpit.db")
    with store.writing() as conn:
        order_id = insert_order(conn)
    async with Journal(store) as journal:
        yield Desk(store, journal, order_id)
    store.close()


def insert_order(conn: sa.Connection) -> int:
    fleet = insert_fleet(conn, 2)
    order_id = rows.insert_order(
        conn, workspace_id=fleet.workspace_id, service_instance_id=fleet.service_instance_id,
        spec=ReleaseSpec("shop", "2"), title="", created_by="alice", now=1.0,
    )  # fmt: skip
    lines = [
        {"order_id": order_id, "balancer_id": "lb-1", "vserver_group_id": "rsp-1", "host": mount(n).host, "port": 80,
         "server_id": mount(n).server_id, "region": "cn-hangzhou", "recorded": 100}
        for n in range(40)
    ]  # fmt: skip
    conn.execute(sa.insert(t.weight), lines)
    return order_id


async def test_forty_hosts_of_one_group_are_two_calls(desk: Desk) -> None:
    results = await asyncio.gather(*(desk.move([line]) for line in mounts(40)))
    assert [len(servers) for _, servers in desk.balancer.calls] == [20, 20]
    assert {result.verified for (result,) in results} == {Verified.YES}
    assert all(row.owned and row.confirmed == 0 and row.verified == "yes" for row in desk.rows(t.weight))


async def test_a_weight_given_back_is_no_longer_owned(desk: Desk) -> None:
    await desk.move(mounts(1))
    await desk.move([MountWeight(mount(0), 100)], owned=False)
    line = next(row for row in desk.rows(t.weight) if row.host == "h00")
    assert (line.owned, line.confirmed) == (False, 100)


async def test_busy_is_asked_again_after_a_pause(desk: Desk) -> None:
    desk.balancer.answers = ["busy", "busy", "ok"]
    before = desk.clock.now()
    (result,) = await desk.move(mounts(1))
    assert result.verified is Verified.YES
    assert len(desk.balancer.calls) == 3
    assert desk.clock.now() - before >= 2


async def test_an_answer_that_got_lost_is_read_back_and_not_repeated(desk: Desk) -> None:
    desk.balancer.answers = ["done_but_lost"]
    (result,) = await desk.move(mounts(1))
    assert result.verified is Verified.YES
    assert len(desk.balancer.calls) == 1


async def test_a_call_that_was_lost_before_it_was_done_is_repeated(desk: Desk) -> None:
    desk.balancer.answers = ["lost", "ok"]
    (result,) = await desk.move(mounts(1))
    assert result.verified is Verified.YES
    assert len(desk.balancer.calls) == 2


async def test_a_lying_balancer_is_found_out_in_bounded_time(desk: Desk) -> None:
    desk.balancer.answers = ["lie"] * 99
    (result,) = await desk.move(mounts(1))
    assert (result.verified, result.read_back) == (Verified.NO, 100)
    assert result.problem is not None
    assert result.problem.code == "weight_not_applied"
    assert len(desk.balancer.calls) == 8


async def test_a_refusal_is_not_repeated_and_its_reason_is_kept(desk: Desk) -> None:
    desk.balancer.answers = ["refused"]
    (result,) = await desk.move(mounts(1))
    assert result.problem is not None
    assert result.problem.code == "refused"
    assert len(desk.balancer.calls) == 1
    assert [(row.request_id, row.api_code) for row in desk.rows(t.weight_call)] == [("R-refused", "refused")]


async def test_a_balancer_that_cannot_be_read_leaves_the_answer_open(desk: Desk) -> None:
    desk.balancer.readable = False
    (result,) = await desk.move(mounts(1))
    assert (result.verified, result.read_back) == (Verified.CANNOT_TELL, None)
    line = next(row for row in desk.rows(t.weight) if row.host == "h00")
    assert (line.owned, line.verified) == (True, "cannot_tell")


async def test_the_row_is_written_before_the_call(desk: Desk) -> None:
    seen: list[int] = []
    real = desk.balancer.set_weights

    async def watching(group, weights):
        seen.append(len([row for row in desk.rows(t.weight_call) if row.ended_at is None]))
        return await real(group, weights)

    desk.balancer.set_weights = watching  # type: ignore[method-assign]
    await desk.move(mounts(3))
    assert seen == [3]
    assert all(row.ended_at is not None for row in desk.rows(t.weight_call))


async def test_an_engine_that_lost_the_order_makes_no_call(desk: Desk) -> None:
    with desk.store.writing() as conn:
        conn.execute(sa.update(t.order).values(epoch=7))
    with pytest.raises(StaleEpoch):
        await desk.move(mounts(1), epoch=6)
    assert desk.balancer.calls == []


async def test_changes_are_paced_below_the_services_limit(desk: Desk) -> None:
    before = desk.clock.now()
    for number in range(170):
        await desk.move([MountWeight(mount(0), number % 2)])
    assert desk.clock.now() - before >= 120
