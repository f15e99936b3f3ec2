"""The weight ledger against a balancer that is busy, loses answers, lies or says no."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from engine.domain.fleet import Mount, MountWeight, ServerGroup
from engine.domain.states import Health, Verified
from engine.kinds.release import release_spec
from engine.run.journal import Journal, StaleEpoch
from engine.run.ledger import Ledger
from engine.run.pacing import Turns
from engine.run.weight_asks import key_of
from engine.store import tables as t
from engine.store.store import Store
from tests.support.fleet_rows import GROUP, insert_fleet
from tests.support.orders import make_order
from tests.support.world import SimBalancer, SimClock


def mount(number: int) -> Mount:
    return Mount(f"h{number:02}", f"i-{number:02}", GROUP, 80)


def mounts(count: int) -> list[MountWeight]:
    return [MountWeight(mount(number), 0) for number in range(count)]


class Desk:
    """A store with one order whose forty mounts stand at weight 100, and a ledger over a simulated balancer."""

    def __init__(self, store: Store, journal: Journal, order_id: int) -> None:
        self.store, self.journal, self.order_id = store, journal, order_id
        self.clock = SimClock()
        self.balancer = SimBalancer({GROUP: {(f"i-{n:02}", 80): 100 for n in range(40)}})
        self.ledger = Ledger(journal, self.balancer, self.clock)

    async def move(self, weights: list[MountWeight], *, owned: bool = True, epoch: int = 0, **more: Any):
        return await self.ledger.move(self.order_id, epoch, weights, owned=owned, **more)

    async def until_quiet(self) -> None:
        """Until the ledger does nothing more by itself."""
        async with asyncio.timeout(10):
            while not self.ledger.quiet:
                await asyncio.sleep(0.01)

    def work_on(self, host: str) -> None:
        run = {"order_id": self.order_id, "direction": "forward", "host": host, "node": "group-1", "state": "running"}
        with self.store.writing() as conn:
            conn.execute(sa.insert(t.host_run), [run])

    def lose_a_call(self, host: str, asked: int) -> None:
        """The rows of an engine that died between the row and its outcome."""
        with self.store.writing() as conn:
            row = {"order_id": self.order_id, "balancer_id": "lb-1", "vserver_group_id": "rsp-1", "host": host}
            conn.execute(
                sa.insert(t.weight_call), [row | {"port": 80, "asked": asked, "before": 100, "epoch": 0, "at": 1.0}]
            )
            line = sa.update(t.weight).where(t.weight.c.host == host)
            conn.execute(line.values(asked=asked, owned=True, verified=None))

    def line(self, host: str) -> sa.Row:
        return next(row for row in self.rows(t.weight) if row.host == host and row.vserver_group_id == "rsp-1")

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [row.data for row in self.rows(t.event) if row.kind == kind]

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
    order_id = make_order(conn, fleet.workspace_id, release_spec("shop", "2"), created_by="alice", now=1.0)
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


async def test_a_balancer_that_cannot_be_read_is_not_written_to(desk: Desk) -> None:
    desk.balancer.readable = False
    (result,) = await desk.move(mounts(1))
    assert (result.verified, result.read_back) == (Verified.CANNOT_TELL, None)
    assert result.problem is not None
    assert desk.balancer.calls == []
    assert not any(row.owned for row in desk.rows(t.weight))


async def test_a_balancer_that_cannot_be_read_back_leaves_the_answer_open(desk: Desk) -> None:
    real = desk.balancer.set_weights

    async def going_silent(group, weights):
        answer = await real(group, weights)
        desk.balancer.readable = False
        return answer

    desk.balancer.set_weights = going_silent  # type: ignore[method-assign]
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


async def test_a_throttled_answer_slows_everyone_down_for_a_while(desk: Desk) -> None:
    desk.balancer.answers = ["throttled"]
    await desk.move(mounts(1))
    before = desk.clock.now()
    for number in range(5):
        await desk.move([MountWeight(mount(0), 10 + number)])
    assert desk.clock.now() - before >= 4 * 1.5
    desk.clock.time += 120
    before = desk.clock.now()
    for number in range(5):
        await desk.move([MountWeight(mount(0), 20 + number)])
    assert desk.clock.now() - before < 4


async def test_two_workspaces_share_one_pace_and_one_writer_a_balancer(desk: Desk) -> None:
    other_group = ServerGroup(GROUP.region, GROUP.balancer_id, "rsp-2")
    desk.balancer.weights[other_group] = {(f"i-{n:02}", 80): 100 for n in range(40)}
    lines = [
        {"order_id": desk.order_id, "balancer_id": "lb-1", "vserver_group_id": "rsp-2", "host": mount(n).host,
         "port": 80, "server_id": mount(n).server_id, "region": "cn-hangzhou", "recorded": 100}
        for n in range(40)
    ]  # fmt: skip
    with desk.store.writing() as conn:
        conn.execute(sa.insert(t.weight), lines)
    turns = Turns(desk.clock)
    ledgers = [Ledger(desk.journal, desk.balancer, desk.clock, turns=turns) for _ in range(2)]
    inside = most = 0
    real = desk.balancer.set_weights

    async def counting(group, weights):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        try:
            return await real(group, weights)
        finally:
            inside -= 1

    desk.balancer.set_weights = counting  # type: ignore[method-assign]
    before = desk.clock.now()

    async def shift(ledger: Ledger, group: ServerGroup) -> None:
        for number in range(85):
            line = MountWeight(Mount("h00", "i-00", group, 80), 1 + number % 50)
            await ledger.move(desk.order_id, 0, [line], owned=True)

    await asyncio.gather(shift(ledgers[0], GROUP), shift(ledgers[1], other_group))
    assert most == 1
    assert len(desk.balancer.calls) == 170
    assert desk.clock.now() - before >= 120


async def test_what_is_as_it_should_be_is_not_asked_for_again(desk: Desk) -> None:
    await desk.move(mounts(1))
    (result,) = await desk.move(mounts(1))
    assert result.verified is Verified.YES
    assert len(desk.balancer.calls) == 1


async def test_a_weight_in_doubt_is_asked_for_again_even_when_it_reads_right(desk: Desk) -> None:
    desk.balancer.answers = ["lie"] * 99
    await desk.move(mounts(1))
    desk.balancer.answers = []
    (result,) = await desk.move([MountWeight(mount(0), 100)], owned=False)
    assert result.verified is Verified.YES
    assert desk.balancer.calls[-1][1][0].weight == 100


async def test_a_host_that_somebody_put_in_during_its_work_is_cut_once_more_and_no_second_time(desk: Desk) -> None:
    desk.work_on("h00")
    await desk.move(mounts(1))
    for attempt, weight in enumerate((30, 50)):
        desk.balancer.weights[GROUP]["i-00", 80] = weight
        await desk.move([MountWeight(mount(1 + attempt), 0)])
        await desk.until_quiet()
    assert [line.weight for _, call in desk.balancer.calls for line in call if line.mount.host == "h00"] == [0, 0]
    assert desk.balancer.weights[GROUP]["i-00", 80] == 50
    assert [(e["was"], e["now"], e["cut_again"]) for e in desk.events("outside")] == [(0, 30, True), (0, 50, False)]
    line = desk.line("h00")
    assert (line.outside, line.confirmed, line.cut_again) == (50, 50, True)


async def test_a_host_gets_back_what_somebody_else_has_set_not_what_was_recorded(desk: Desk) -> None:
    await desk.move(mounts(3))
    desk.balancer.weights[GROUP]["i-00", 80] = 40
    results = await desk.move([MountWeight(mount(n), 100) for n in range(3)], owned=False)
    assert [(result.asked, result.kept, result.verified) for result in results] == [
        (40, True, Verified.YES),
        (100, False, Verified.YES),
        (100, False, Verified.YES),
    ]
    assert desk.balancer.weights[GROUP]["i-00", 80] == 40
    assert not any(row.owned for row in desk.rows(t.weight))


async def test_a_host_that_somebody_took_out_before_its_turn_is_not_put_in(desk: Desk) -> None:
    desk.balancer.weights[GROUP]["i-00", 80] = 0
    await desk.move(mounts(1))
    await desk.move([MountWeight(mount(0), 100)], owned=False)
    assert desk.balancer.weights[GROUP]["i-00", 80] == 0
    assert desk.balancer.calls == []
    assert desk.line("h00").owned is False


async def test_a_person_is_told_before_a_weight_that_somebody_else_set_is_overwritten(desk: Desk) -> None:
    await desk.move(mounts(2))
    desk.balancer.weights[GROUP]["i-00", 80] = 40
    wanted = [MountWeight(mount(n), 10) for n in range(2)]
    refused = await desk.move(wanted, by_hand=True)
    assert {result.problem.code for result in refused if result.problem} == {"weight_changed_outside"}
    assert len(desk.balancer.calls) == 1
    assert {result.verified for result in await desk.move(wanted, by_hand=True)} == {Verified.YES}
    assert desk.balancer.weights[GROUP]["i-00", 80] == 10
    assert desk.line("h00").outside is None


async def test_a_cut_is_held_to_the_floor_by_what_is_really_there(desk: Desk) -> None:
    for number in range(2, 36):
        desk.balancer.weights[GROUP][f"i-{number:02}", 80] = 0  # 6 of 40 are left
    results = await desk.move(mounts(2), floors={str(GROUP): 5})
    assert [result.problem.code if result.problem else "" for result in results] == ["", "floor_reached"]
    assert sum(weight > 0 for weight in desk.balancer.weights[GROUP].values()) == 5
    assert desk.line("h01").owned is False


@pytest.mark.parametrize("answer", ["busy", "throttled", "lost"])
async def test_a_cut_that_is_tried_again_is_held_to_the_floor_by_who_answers_then(desk: Desk, answer: str) -> None:
    """h00 does not answer, so nothing is lost by taking it out; by the time the balancer can do it, it answers again."""
    desk.balancer.health = {key_of(mount(0)): Health.UNHEALTHY}
    desk.balancer.turns = lambda _answer: desk.balancer.health.clear()
    desk.balancer.answers = [answer]
    (result,) = await desk.move(mounts(1), floors={str(GROUP): 40})
    assert result.problem is not None
    assert result.problem.code == "floor_reached"
    assert len(desk.balancer.calls) == 1
    assert desk.balancer.weights[GROUP][key_of(mount(0))] == 100
    assert all(row.ended_at for row in desk.rows(t.weight_call))


async def test_nobody_is_cut_while_nobody_can_tell_who_answers(desk: Desk) -> None:
    desk.balancer.health_unread = 2
    desk.balancer.health = {key_of(mount(n)): Health.UNHEALTHY for n in range(5, 40)}
    results = await desk.move(mounts(2), floors={str(GROUP): 4})
    assert [result.problem.code if result.problem else "" for result in results] == ["", "floor_reached"]
    assert desk.balancer.health_unread == 0


async def test_somebody_who_keeps_writing_is_not_fought_in_a_loop(desk: Desk) -> None:
    real = desk.balancer.set_weights

    async def overwritten(group, weights):
        answer = await real(group, weights)
        desk.balancer.weights[group]["i-00", 80] = 70
        return answer

    desk.balancer.set_weights = overwritten  # type: ignore[method-assign]
    (result,) = await desk.move(mounts(1))
    assert (result.verified, result.read_back) == (Verified.NO, 70)
    assert len(desk.balancer.calls) == 2


async def test_a_row_that_an_engine_left_without_an_outcome_gets_one_from_its_successor(desk: Desk) -> None:
    desk.lose_a_call("h00", asked=0)
    desk.lose_a_call("h01", asked=0)
    desk.balancer.weights[GROUP]["i-00", 80] = 0  # this one was done
    desk.ledger.settle(desk.order_id, 0)
    await desk.until_quiet()
    calls = {row.host: (row.read_back, row.verified, row.ended_at is not None) for row in desk.rows(t.weight_call)}
    assert calls == {"h00": (0, "yes", True), "h01": (100, "no", True)}
    assert (desk.line("h00").confirmed, desk.line("h00").verified) == (0, "yes")
    assert desk.line("h01").verified is None
    assert desk.events("outside") == []


async def test_an_engine_that_lost_the_order_while_it_waited_makes_no_further_call(desk: Desk) -> None:
    real = desk.balancer.set_weights

    async def busy_while_another_takes_over(group, weights):
        with desk.store.writing() as conn:
            conn.execute(sa.update(t.order).values(epoch=7))
        return await real(group, weights)

    desk.balancer.answers = ["busy", "ok"]
    desk.balancer.set_weights = busy_while_another_takes_over  # type: ignore[method-assign]
    with pytest.raises(StaleEpoch):
        await desk.move(mounts(1))
    assert len(desk.balancer.calls) == 1
