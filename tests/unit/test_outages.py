"""A balancer whose API is away: the ledger waits for it, says so, and gives up when it has lasted too long or nobody wants it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from engine.domain.fleet import MountWeight, ServerGroup
from engine.domain.outage import Outage
from engine.domain.states import Health, Verified
from engine.ports import BalancerRefused, BalancerThrottled, BalancerUnknown
from engine.run.journal import Journal
from engine.run.ledger import Ledger
from engine.store import tables as t
from engine.store.outages import load_outages
from engine.store.store import Store, StoreError
from tests.support.away_balancer import AwayBalancer
from tests.support.fleet_rows import GROUP
from tests.support.world import problem
from tests.unit.test_ledger import Desk, insert_order, mount, mounts

LIMIT_S = 120.0


class Outside(Desk):
    """A desk whose balancer goes away."""

    balancer: AwayBalancer

    def __init__(self, store: Store, journal: Journal, order_id: int, limit_s: float = LIMIT_S) -> None:
        super().__init__(store, journal, order_id)
        self.balancer = AwayBalancer(self.clock, {GROUP: {(f"i-{n:02}", 80): 100 for n in range(40)}})
        self.ledger = Ledger(journal, self.balancer, self.clock, outage_s=limit_s)
        self.said: list[str] = []

    def away_for(self, seconds: float) -> None:
        self.balancer.back_at = self.clock.now() + seconds

    def away_until_further_notice(self) -> None:
        self.away_for(1e9)

    def begin(self, weights: list[MountWeight], **more: Any) -> asyncio.Task[Any]:
        return asyncio.create_task(self.move(weights, told=lambda said: self.said.append(str(said)), **more))

    def outages(self) -> tuple[Outage, ...]:
        with self.store.reading() as conn:
            return load_outages(conn, self.order_id)

    async def until_waiting(self) -> Outage:
        async with asyncio.timeout(20):
            while not self.outages():
                await asyncio.sleep(0.005)
        return self.outages()[0]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Outside]:
    store = Store.open(f"sqlite:///{tmp_path}/cockpit.db")
    with store.writing() as conn:
        order_id = insert_order(conn)
    async with Journal(store) as journal:
        yield Outside(store, journal, order_id)
    store.close()


@pytest.mark.parametrize("only_changes", [False, True])
@pytest.mark.parametrize("error", [BalancerUnknown, BalancerThrottled])
async def test_an_api_that_is_away_for_a_while_is_waited_for(desk: Outside, error: Any, only_changes: bool) -> None:
    desk.balancer.error, desk.balancer.only_changes = error, only_changes
    since = desk.clock.now()
    desk.away_for(60)
    (result,) = await desk.begin(mounts(1))
    assert result.verified is Verified.YES
    assert 60 <= desk.clock.now() - since < 80
    assert desk.outages() == ()
    assert [("answered_at" in event) for event in desk.events("outage")] == [False, True]
    assert desk.line("h00").confirmed == 0


async def test_what_is_waited_for_since_when_and_until_when_is_in_the_order_and_said(desk: Outside) -> None:
    desk.away_for(40)
    task = desk.begin(mounts(1))
    outage = await desk.until_waiting()
    assert (outage.group, outage.why) == (GROUP, "503 ServiceUnavailable")
    assert outage.until == outage.since + LIMIT_S
    await task
    assert [said for said in desk.said if said.startswith("waiting for")] == [str(outage.sentence)]
    assert "waiting for the balancer lb-1 since " in desk.said[1]
    assert "(503 ServiceUnavailable), at most until " in desk.said[1]
    assert desk.said[-1].startswith("the balancer lb-1 answers again after ")


async def test_whoever_waits_behind_a_call_is_told_the_same(desk: Outside) -> None:
    desk.away_for(40)
    task = desk.begin(mounts(1))
    outage = await desk.until_waiting()
    behind: list[str] = []
    await desk.move([MountWeight(mount(1), 0)], told=lambda said: behind.append(str(said)))
    await task
    assert behind[0] == str(outage.sentence)
    assert behind[-1].startswith("the balancer lb-1 answers again after ")


async def test_an_outage_beyond_the_limit_fails_with_how_long_it_was_waited_for(desk: Outside) -> None:
    since = desk.clock.now()
    desk.away_until_further_notice()
    (result,) = await desk.begin(mounts(1))
    assert (result.verified, result.read_back) == (Verified.CANNOT_TELL, None)
    assert result.problem is not None
    assert result.problem.code == "balancer_unknown"
    assert "The balancer lb-1 was waited for 120 s (503 ServiceUnavailable)." in str(result.problem.what)
    assert LIMIT_S <= desk.clock.now() - since < LIMIT_S + 10
    assert desk.outages() == ()
    assert desk.balancer.calls == []
    assert desk.line("h00").owned is False


async def test_a_definite_no_is_not_waited_for(desk: Outside) -> None:
    since = desk.clock.now()
    desk.balancer.error = BalancerRefused
    desk.away_until_further_notice()
    (result,) = await desk.begin(mounts(1))
    assert result.verified is Verified.CANNOT_TELL
    assert desk.clock.now() - since < 5
    assert desk.said == []
    assert desk.events("outage") == []


async def test_with_a_limit_of_nothing_a_call_is_tried_a_few_times_as_ever(desk: Outside) -> None:
    desk.ledger = Ledger(desk.journal, desk.balancer, desk.clock, outage_s=0)
    since = desk.clock.now()
    desk.away_until_further_notice()
    (result,) = await desk.begin(mounts(1))
    assert result.verified is Verified.CANNOT_TELL
    assert 2 < desk.clock.now() - since < 10
    assert desk.events("outage") == []


async def test_whoever_turns_away_does_not_wait_on_and_nothing_is_asked_for_afterwards(desk: Outside) -> None:
    desk.away_until_further_notice()
    leave = asyncio.Event()
    first, behind = desk.begin(mounts(1), leave=leave), desk.begin([MountWeight(mount(1), 0)], leave=leave)
    await desk.until_waiting()
    at = desk.clock.now()
    leave.set()
    results = [*await first, *await behind]
    assert [result.withdrawn for result in results] == [True, True]
    assert {result.problem.code for result in results if result.problem} == {"weight_withdrawn"}
    assert desk.clock.now() - at <= 11  # one pause of the clock that only sleeps
    assert desk.outages() == ()
    desk.balancer.back_at = 0.0
    await desk.until_quiet()
    assert desk.balancer.calls == []


async def test_a_call_in_doubt_that_is_turned_away_from_keeps_its_weight_in_the_orders_hands(desk: Outside) -> None:
    desk.away_for(30)
    desk.balancer.back_at = 0.0
    real = desk.balancer.set_weights

    async def going(group: ServerGroup, weights: Sequence[MountWeight]) -> str:
        await real(group, weights)
        desk.away_until_further_notice()
        raise BalancerUnknown(problem("balancer_unknown"))

    desk.balancer.set_weights = going  # type: ignore[method-assign]
    leave = asyncio.Event()
    task = desk.begin(mounts(1), leave=leave)
    await desk.until_waiting()
    leave.set()
    (result,) = await task
    assert (result.withdrawn, result.verified) == (True, Verified.CANNOT_TELL)
    assert desk.line("h00").owned is True
    assert all(row.ended_at is not None for row in desk.rows(t.weight_call))


async def test_whoever_asks_in_the_middle_of_an_outage_waits_for_a_limit_of_his_own(desk: Outside) -> None:
    desk.away_until_further_notice()
    first = desk.begin(mounts(1))
    began = (await desk.until_waiting()).since
    async with asyncio.timeout(20):
        while desk.clock.now() < began + 60:
            await asyncio.sleep(0.005)
    asked = desk.clock.now()
    second = desk.begin([MountWeight(mount(1), 0)])
    await first
    desk.balancer.back_at = asked + LIMIT_S - 5
    (result,) = await second
    assert result.verified is Verified.YES


async def test_what_somebody_else_has_set_meanwhile_is_seen_before_it_would_be_asked_for_again(desk: Outside) -> None:
    await desk.move(mounts(1))
    desk.balancer.done_meanwhile = True
    real = desk.balancer.read_weights

    async def read_once(group: ServerGroup) -> Mapping[tuple[str, int], int]:
        found = await real(group)
        desk.balancer.read_weights = real  # type: ignore[method-assign]
        desk.away_for(30)
        return found

    desk.balancer.read_weights = read_once  # type: ignore[method-assign]
    task = desk.begin([MountWeight(mount(0), 100)], owned=False)
    await desk.until_waiting()
    desk.balancer.weights[GROUP]["i-00", 80] = 40
    (result,) = await task
    assert desk.balancer.weights[GROUP]["i-00", 80] == 40
    assert (result.verified, result.read_back) == (Verified.NO, 40)


async def test_weights_by_hand_that_wait_for_a_balancer_are_given_up_for_a_pause_and_others_are_not(
    desk: Outside,
) -> None:
    desk.ledger.withdraw(desk.order_id, if_away=True)
    (result,) = await desk.begin([MountWeight(mount(1), 10)], by_hand=True)
    assert result.verified is Verified.YES
    desk.away_until_further_notice()
    task = desk.begin([MountWeight(mount(0), 10)], by_hand=True)
    await desk.until_waiting()
    desk.ledger.withdraw(desk.order_id, if_away=True)
    (result,) = await task
    assert result.withdrawn is True


async def test_a_check_waits_less_long_and_says_so(desk: Outside) -> None:
    desk.away_for(20)
    patient = desk.ledger.patient(desk.order_id, 0)
    reading = asyncio.create_task(patient.read_weights(GROUP))
    outage = await desk.until_waiting()
    assert outage.until == outage.since + 30
    assert (await reading)["i-00", 80] == 100
    desk.away_until_further_notice()
    with pytest.raises(BalancerUnknown) as caught:
        await patient.read_health(GROUP)
    assert "was waited for 30 s" in str(caught.value.problem.what)
    assert desk.outages() == ()


async def test_a_row_in_doubt_is_completed_when_the_balancer_is_back(desk: Outside) -> None:
    desk.lose_a_call("h00", 0)
    desk.balancer.weights[GROUP]["i-00", 80] = 0
    desk.away_for(45)
    desk.ledger.settle(desk.order_id, 0)
    await desk.until_quiet()
    assert desk.line("h00").verified == "yes"
    with desk.store.reading() as conn:
        assert conn.execute(sa.select(t.weight_call.c.verified)).scalar_one() == "yes"


async def test_a_balancer_that_says_nothing_of_its_hosts_has_not_said_that_they_serve(desk: Outside) -> None:
    since = desk.clock.now()
    desk.balancer.health["i-00", 80] = Health.UNHEALTHY
    desk.away_for(30)
    served = desk.ledger.until_healthy(desk.order_id, 0, [mount(0)], within_s=10, enough=lambda: False)
    assert await served == (mount(0),)
    assert 30 <= desk.clock.now() - since < 40


async def test_a_balancer_that_says_nothing_of_its_hosts_is_asked_as_long_as_an_outage_lasts(desk: Outside) -> None:
    since = desk.clock.now()
    desk.away_until_further_notice()
    assert await desk.ledger.until_healthy(desk.order_id, 0, [mount(0)], within_s=10, enough=lambda: False) == ()
    assert LIMIT_S <= desk.clock.now() - since < LIMIT_S + 10


async def test_weights_that_cannot_be_read_are_not_said_to_be_others(desk: Outside) -> None:
    desk.away_until_further_notice()
    assert await desk.ledger.holds(desk.order_id, 0, mounts(1)) is Verified.CANNOT_TELL


async def test_an_outage_during_which_the_store_failed_is_over_when_the_balancer_answers(
    desk: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.away_for(40)
    task = desk.begin(mounts(1))
    await desk.until_waiting()
    real = desk.journal.write

    async def fails(*_: Any) -> Any:
        raise StoreError(problem("store_failed"))

    monkeypatch.setattr(desk.journal, "write", fails)
    with pytest.raises(StoreError):
        await task
    monkeypatch.setattr(desk.journal, "write", real)
    assert desk.outages() != ()
    (result,) = await desk.begin(mounts(1))
    assert result.verified is Verified.YES
    assert desk.outages() == ()
