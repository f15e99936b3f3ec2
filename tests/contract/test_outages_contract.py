"""Orders whose balancer's API is away, on both stores: it is waited for and everybody sees it; jobs, pauses and turns go on
meanwhile; what lasts too long halts the order with how long it was waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.api import Api
from engine.domain import step_names
from engine.domain.progress import OrderProgress
from engine.domain.states import Act, CommandState, OrderState, RunState, StepState
from engine.reading.events import read_events
from engine.reading.next_line import next_line
from engine.views.orders import HostRunView, OrderView
from engine.views.values import to_json
from tests.contract.test_acts_at_work_contract import Desk, at_gray_gate
from tests.contract.test_engine_contract import Scene, scene, url  # noqa: F401
from tests.contract.test_weights_contract import PLACE
from tests.support.away_balancer import AwayBalancer
from tests.support.fleet_rows import GROUP
from tests.support.orders import run_of
from tests.support.postgres import postgres_server, postgres_url  # noqa: F401

SLOW = "hz-a-01"
SAYS = "waiting for the balancer lb-1 since "
FOREVER_S = 1e9


class Weather:
    """A scene whose balancer can go away, and one look at the order as operators have it."""

    def __init__(self, scene: Scene) -> None:  # noqa: F811
        self.scene = scene
        self.balancer = AwayBalancer(scene.clock, {GROUP: dict(scene.fleet.weights)})
        scene.balancer = self.balancer

    def away_for(self, seconds: float) -> None:
        self.balancer.back_at = self.scene.clock.now() + seconds

    def back(self) -> None:
        self.balancer.back_at = 0.0

    def view(self) -> OrderView:
        api = Api(self.scene.store.url, operator="bob", log_dir=Path(self.scene.folder) / "logs")
        api.open()
        try:
            return api.order(*PLACE, self.scene.order_id)
        finally:
            api.close()

    def next(self) -> str:
        return str(next_line(self.scene.progress(), engine_alive=True, changed_at=0.0))

    def host(self, name: str) -> HostRunView:
        return next(host for host in self.view().hosts if host.name == name)

    async def until(self, holds: Callable[[OrderProgress], bool]) -> OrderProgress:
        return await self.scene.until(holds)

    async def until_waiting(self) -> OrderProgress:
        return await self.until(lambda progress: bool(progress.outages))

    async def restoring_while(self, slow: str) -> None:
        """The first group has been released but for one host, whose job is still at work; the balancer is away by then."""
        self.scene.remote.hanging = {(slow, step_names.DEPLOY)}
        self.balancer.before_giving = lambda: self.away_for(FOREVER_S)
        await self.scene.start()
        await self.until_waiting()


@pytest.fixture
def weather(scene: Scene) -> Weather:  # noqa: F811
    return Weather(scene)


async def test_a_release_whose_balancer_is_away_for_a_while_ends_well_by_itself(weather: Weather) -> None:
    scene = weather.scene  # noqa: F811
    async with scene.engine():
        scene.create()
        await scene.until_state(OrderState.READY)
        weather.balancer.before_giving = lambda: weather.away_for(100)
        await scene.accepted(Act.START)
        await scene.until_state(OrderState.SUCCEEDED)
    assert scene.weights() == {100}
    assert {run.attempt for run in scene.progress().runs.values()} == {1}
    assert scene.progress().outages == ()


async def test_what_is_waited_for_is_in_the_next_line_the_hosts_step_the_events_the_json_and_the_log(
    weather: Weather,
) -> None:
    scene = weather.scene  # noqa: F811
    async with scene.engine():
        await weather.restoring_while(SLOW)
        says, others = weather.next(), weather.host("hz-a-02")
        assert says.startswith(SAYS)
        assert "(503 ServiceUnavailable), at most until " in says
        assert str(others.waits_for) == says
        assert others.step == step_names.RESTORE_TRAFFIC
        assert weather.host(SLOW).waits_for is None  # its job goes on: it waits for nobody
        assert to_json(others)["waits_for"] == says
        assert says in log_of(others)
        scene.remote.hanging = set()
        weather.back()
        await scene.until_state(OrderState.SUCCEEDED)
    said = [str(event) for event in _events(scene)]
    assert sum(event.startswith(SAYS) for event in said) == 1
    assert any(event.startswith("the balancer lb-1 answers again after ") for event in said)
    assert "the balancer lb-1 answers again after " in log_of(others)


async def test_another_hosts_job_goes_on_while_a_balancer_is_waited_for(weather: Weather) -> None:
    scene = weather.scene  # noqa: F811
    async with scene.engine():
        await weather.restoring_while(SLOW)
        scene.remote.hanging = set()
        await weather.until(lambda _: scene.remote.effects[SLOW, "forward-group-1-1", step_names.CHECK_HEALTH] == 1)
        assert scene.progress().outages
        assert scene.progress().state is OrderState.RUNNING
        weather.back()
        await scene.until_state(OrderState.SUCCEEDED)


async def test_an_outage_beyond_the_limit_halts_the_order_with_how_long_it_was_waited_for(weather: Weather) -> None:
    scene = weather.scene  # noqa: F811
    async with scene.engine():
        scene.create()
        await scene.until_state(OrderState.READY)
        weather.balancer.before_giving = lambda: weather.away_for(FOREVER_S)
        await scene.accepted(Act.START)
        progress = await scene.until_state(OrderState.HALTED)
        failed = run_of(progress, "hz-a-02").problem
        assert failed is not None
        assert "The balancer lb-1 was waited for 120 s (503 ServiceUnavailable)." in str(failed.what)
        assert progress.outages == ()
        weather.back()
        await scene.accepted(Act.RETRY)
        await scene.until_state(OrderState.SUCCEEDED)
    assert scene.weights() == {100}


async def test_a_pause_ends_the_wait_at_once_and_what_was_waited_for_is_done_after_it(weather: Weather) -> None:
    scene = weather.scene  # noqa: F811
    async with scene.engine():
        await weather.restoring_while(SLOW)
        scene.remote.hanging = set()
        (outage,) = scene.progress().outages
        await scene.accepted(Act.PAUSE)
        progress = await scene.until_state(OrderState.HALTED)
        assert scene.clock.now() < outage.until
        assert run_of(progress, "hz-a-02").held
        assert progress.outages == ()
        assert not weather.next().startswith(SAYS)
        weather.back()
        await scene.accepted(Act.RESUME)
        await scene.until_state(OrderState.SUCCEEDED)
    assert scene.weights() == {100}
    assert scene.remote.effects["hz-a-02", "forward-group-1-1", step_names.DEPLOY] == 1


async def test_a_pause_before_anything_was_cut_leaves_every_host_as_it_is(weather: Weather) -> None:
    scene = weather.scene  # noqa: F811
    async with scene.engine():
        scene.create()
        await scene.until_state(OrderState.READY)
        weather.balancer.before_cutting = lambda: weather.away_for(FOREVER_S)
        await scene.accepted(Act.START)
        await weather.until_waiting()
        await scene.accepted(Act.PAUSE)
        progress = await scene.until_state(OrderState.HALTED)
        assert {run.state for run in progress.runs.values()} == {RunState.PENDING}
        assert scene.weights() == {100}
        weather.back()
        await scene.accepted(Act.RESUME)
        await scene.until_state(OrderState.SUCCEEDED)


async def test_a_cancel_ends_the_wait_at_once_and_gives_the_weights_back_when_the_balancer_is_there(
    weather: Weather,
) -> None:
    scene = weather.scene  # noqa: F811
    async with scene.engine():
        await weather.restoring_while(SLOW)
        await scene.accepted(Act.CANCEL, reason="wrong window")
        progress = await weather.until(
            lambda p: all(run.state is not RunState.RUNNING for run in p.runs.values() if run.node == "group-1")
        )
        assert run_of(progress, "hz-a-02").state is RunState.CANCELLED
        scene.remote.hanging = set()
        await weather.until_waiting()
        weather.back()
        progress = await scene.until_state(OrderState.CANCELLED)
    assert scene.weights() == {100}
    assert not any(line.owned for line in progress.weights)


async def test_a_rollback_while_a_balancer_is_waited_for_turns_the_order_at_once(weather: Weather) -> None:
    scene = weather.scene  # noqa: F811
    async with scene.engine():
        await weather.restoring_while(SLOW)
        scene.remote.hanging = set()
        rolling = asyncio.create_task(scene.accepted(Act.ROLL_BACK, reason="errors"))
        await weather.until(lambda p: p.state is OrderState.ROLLING_BACK)
        weather.back()
        await rolling
        await scene.until_state(OrderState.ROLLED_BACK)
    assert scene.weights() == {100}
    assert set(scene.versions().values()) == {"1.0.0"}


async def test_the_next_engine_waits_on_for_a_balancer_that_was_away_when_the_engine_was_lost(weather: Weather) -> None:
    scene = weather.scene  # noqa: F811
    async with scene.engine():
        await weather.restoring_while(SLOW)
    assert scene.progress().state is OrderState.RUNNING
    scene.remote.hanging = set()
    async with scene.engine():
        await weather.until_waiting()
        weather.back()
        await scene.until_state(OrderState.SUCCEEDED)
    assert scene.weights() == {100}
    assert {run.attempt for run in scene.progress().runs.values()} == {1}


async def test_a_check_waits_for_the_balancer_too_and_says_so(weather: Weather) -> None:
    scene = weather.scene  # noqa: F811
    weather.away_for(20)
    async with scene.engine():
        scene.create()
        await scene.until_state(OrderState.READY)
        assert any(str(event).startswith(SAYS) for event in _events(scene))
        weather.away_for(FOREVER_S)
        assert await scene.refused(Act.START) == "balancer_unknown"
        await scene.accepted(Act.INITIALISE)
        progress = await scene.until_state(OrderState.INIT_FAILED)
    assert "was waited for 30 s" in str(progress.problems[0][1].what)


async def test_weights_set_by_hand_wait_and_are_given_up_for_a_cancel_or_a_pause(weather: Weather) -> None:
    scene = weather.scene  # noqa: F811
    desk = Desk(scene)
    desk.balancer = scene.balancer = weather.balancer  # type: ignore[assignment]
    async with scene.engine():
        hosts = await at_gray_gate(scene)
        weather.away_for(50)
        await scene.accepted(Act.SET_WEIGHTS, weights=dict.fromkeys(hosts, 50))
        for turn in (Act.PAUSE, Act.CANCEL):
            weather.away_for(FOREVER_S)
            weights = await desk.send(Act.SET_WEIGHTS, weights=dict.fromkeys(hosts, 60))
            await weather.until(lambda _: str(desk.command(weights).waits_for).startswith(SAYS))  # noqa: B023
            await scene.accepted(turn, reason="wrong window")
            view = await desk.until(weights, CommandState.REFUSED)
            assert view.problem is not None
            if turn is Act.PAUSE:
                weather.back()
                await scene.accepted(Act.RESUME)
        weather.back()
        await scene.until_state(OrderState.CANCELLED)
    assert scene.weights() == {100}


async def test_giving_back_what_was_left_waits_for_the_balancer(weather: Weather) -> None:
    scene = weather.scene  # noqa: F811
    async with scene.engine():
        scene.remote.failing = {(SLOW, step_names.CHECK_HEALTH)}
        await scene.start()
        await scene.until_state(OrderState.HALTED)
        await scene.accepted(Act.CANCEL, reason="enough")
        await scene.until_state(OrderState.CANCELLED)
        scene.remote.failing = set()
        weather.away_for(40)
        await scene.accepted(Act.GIVE_BACK, hosts=[SLOW], force=False)
    assert scene.weights() == {100}
    assert not any(line.owned for line in scene.progress().weights)


async def test_another_hosts_job_goes_on_during_a_weight_call_that_takes_minutes(scene: Scene) -> None:  # noqa: F811
    desk = Desk(scene)
    scene.remote.hanging = {(SLOW, step_names.DEPLOY)}
    async with scene.engine():
        await scene.start()
        await scene.until(lambda _: scene.remote.effects[SLOW, "forward-group-1-1", step_names.DEPLOY] == 1)
        desk.balancer.may.clear()
        await desk.until_called()  # the others get their weights back
        scene.remote.hanging = set()
        await scene.until(lambda _: scene.remote.effects[SLOW, "forward-group-1-1", step_names.CHECK_HEALTH] == 1)
        assert desk.balancer.waiting == 1
        steps = {step.name: step.state for step in _host(desk.order(), SLOW).steps}
        assert steps[step_names.DEPLOY] is StepState.SUCCEEDED
        desk.balancer.may.set()
        await scene.until_state(OrderState.SUCCEEDED)


def log_of(host: HostRunView) -> str:
    return Path(host.log_path).read_text()


def _host(view: OrderView, name: str) -> HostRunView:
    return next(host for host in view.hosts if host.name == name)


def _events(scene: Scene) -> list[Any]:  # noqa: F811
    with scene.store.reading() as conn:
        found = read_events(conn, order_id=scene.order_id, workspace_id=None, after=0, limit=1000)
    return [event.sentence for event in found]
