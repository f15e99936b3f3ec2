"""Acts that wait on the world, on both stores: they hold nothing up, say what they wait for, and are owned by nobody at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from engine.api import Api
from engine.domain.fleet import MountWeight, ServerGroup
from engine.domain.states import Act, CommandState, OrderState, TrafficMode
from engine.store import tables as t
from engine.views.acts import CommandView
from engine.views.orders import OrderView
from tests.contract.test_engine_contract import DEADLINE_S, Scene, scene, url  # noqa: F401
from tests.contract.test_weights_contract import PLACE
from tests.support.fleet_rows import GROUP
from tests.support.postgres import postgres_server, postgres_url  # noqa: F401
from tests.support.world import SimBalancer


class SlowBalancer(SimBalancer):
    """Calls wait until they may go on; so do reads while `reads_wait`."""

    def __init__(self, weights: Mapping[ServerGroup, dict[tuple[str, int], int]]) -> None:
        super().__init__(dict(weights))
        self.may = asyncio.Event()
        self.may.set()
        self.reads_wait = False
        self.waiting = 0

    async def read_weights(self, group: ServerGroup) -> Mapping[tuple[str, int], int]:
        if self.reads_wait:
            await self._wait()
        return await super().read_weights(group)

    async def set_weights(self, group: ServerGroup, weights: Sequence[MountWeight]) -> str:
        await self._wait()
        return await super().set_weights(group, weights)

    async def _wait(self) -> None:
        self.waiting += 1
        await self.may.wait()
        self.waiting -= 1


class Desk:
    """Operators of one scene: sends without waiting, looks at what became of it."""

    def __init__(self, scene: Scene) -> None:  # noqa: F811
        self.scene = scene
        self.balancer = SlowBalancer({GROUP: dict(scene.fleet.weights)})
        scene.balancer = self.balancer

    async def send(self, act: Act, **params: Any) -> int:
        values = {
            "order_id": self.scene.order_id,
            "act": str(act),
            "params": params,
            "operator": "alice",
            "sent_at": 1.0,
        }
        with self.scene.store.writing() as conn:
            return int(conn.execute(sa.insert(t.command).values(**values).returning(t.command.c.id)).scalar_one())

    async def until(self, command: int, state: CommandState) -> CommandView:
        async with asyncio.timeout(DEADLINE_S):
            while (view := self.command(command)).state is not state:
                await asyncio.sleep(0.02)
        return view

    async def until_called(self) -> None:
        """A call to the balancer is under way."""
        async with asyncio.timeout(DEADLINE_S):
            while not self.balancer.waiting:
                await asyncio.sleep(0.01)

    def command(self, command: int) -> CommandView:
        return self._asked(lambda api: api.command(command))

    def order(self) -> OrderView:
        return self._asked(lambda api: api.order(*PLACE, self.scene.order_id))

    def _asked(self, ask: Any) -> Any:
        api = Api(self.scene.store.url, operator="bob", log_dir=Path(self.scene.folder))
        api.open()
        try:
            return ask(api)
        finally:
            api.close()


async def at_gray_gate(scene: Scene) -> tuple[str, ...]:  # noqa: F811
    await scene.start(traffic=TrafficMode.GRAY, groups=2)
    await scene.until_state(OrderState.WAITING)
    plan = scene.progress().plan
    assert plan is not None
    return plan.node("group-1").hosts


async def test_a_weight_call_that_takes_minutes_holds_up_neither_pause_nor_resume(scene: Scene) -> None:  # noqa: F811
    desk = Desk(scene)
    async with scene.engine():
        hosts = await at_gray_gate(scene)
        desk.balancer.may.clear()
        weights = await desk.send(Act.SET_WEIGHTS, weights=dict.fromkeys(hosts, 50))
        view = await desk.until(weights, CommandState.WORKING)
        assert "the balancer sets the weights of hz-a-01" in str(view.waits_for)
        order = desk.order()
        assert [(each.act, each.operator) for each in order.at_work] == [(Act.SET_WEIGHTS, "alice")]
        assert order.next == order.at_work[0].waits_for
        await scene.accepted(Act.PAUSE)
        await scene.accepted(Act.RESUME)
        assert await scene.refused(Act.CONFIRM) == "weights_at_work"
        assert desk.command(weights).state is CommandState.WORKING
        desk.balancer.may.set()
        await desk.until(weights, CommandState.ACCEPTED)
        assert desk.order().at_work == ()
        await scene.accepted(Act.CONFIRM)


async def test_a_cancel_is_taken_at_once_and_gives_back_what_the_call_under_way_has_set(scene: Scene) -> None:  # noqa: F811
    desk = Desk(scene)
    async with scene.engine():
        hosts = await at_gray_gate(scene)
        desk.balancer.may.clear()
        weights = await desk.send(Act.SET_WEIGHTS, weights=dict.fromkeys(hosts, 50))
        await desk.until_called()
        await scene.accepted(Act.CANCEL, reason="wrong window")
        assert scene.progress().state is OrderState.CANCELLING
        assert desk.command(weights).state is CommandState.WORKING
        desk.balancer.may.set()
        progress = await scene.until_state(OrderState.CANCELLED)
    assert scene.weights() == {100}
    assert not any(line.owned for line in progress.weights)
    assert desk.command(weights).state.answered


async def test_a_busy_balancer_is_not_asked_on_and_on_for_an_order_that_was_cancelled(scene: Scene) -> None:  # noqa: F811
    desk = Desk(scene)
    async with scene.engine():
        hosts = await at_gray_gate(scene)
        desk.balancer.may.clear()
        desk.balancer.answers = ["busy"]
        weights = await desk.send(Act.SET_WEIGHTS, weights=dict.fromkeys(hosts, 50))
        await desk.until_called()
        await scene.accepted(Act.CANCEL, reason="wrong window")
        asked = len(desk.balancer.calls)
        desk.balancer.may.set()
        view = await desk.until(weights, CommandState.REFUSED)
        await scene.until_state(OrderState.CANCELLED)
    assert view.problem is not None
    fifty = [lines for _, lines in desk.balancer.calls[asked:] if lines[0].weight == 50]
    assert len(fifty) == 1
    assert scene.weights() == {100}


async def test_what_is_being_waited_for_is_said_anew_each_time_the_balancer_is_asked_again(scene: Scene) -> None:  # noqa: F811
    desk = Desk(scene)
    said: list[str] = []
    async with scene.engine():
        hosts = await at_gray_gate(scene)
        desk.balancer.answers = ["busy"] * 3
        weights = await desk.send(Act.SET_WEIGHTS, weights=dict.fromkeys(hosts, 50))
        async with asyncio.timeout(DEADLINE_S):
            while not (view := desk.command(weights)).state.answered:
                said += [str(view.waits_for)] if view.waits_for else []
                await asyncio.sleep(0)
    assert view.state is CommandState.ACCEPTED
    assert "simulated busy It is asked again." in said


async def test_an_act_whose_engine_was_lost_is_begun_anew_by_the_next(scene: Scene) -> None:  # noqa: F811
    desk = Desk(scene)
    async with scene.engine():
        hosts = await at_gray_gate(scene)
        desk.balancer.may.clear()
        weights = await desk.send(Act.SET_WEIGHTS, weights=dict.fromkeys(hosts, 50))
        await desk.until(weights, CommandState.WORKING)
    desk.balancer.may.set()
    async with scene.engine():
        await desk.until(weights, CommandState.ACCEPTED)
        await scene.accepted(Act.CONFIRM)


async def test_a_start_that_hangs_can_be_cancelled(scene: Scene) -> None:  # noqa: F811
    desk = Desk(scene)
    async with scene.engine():
        scene.create()
        await scene.until_state(OrderState.READY)
        desk.balancer.may.clear()
        desk.balancer.reads_wait = True
        start = await desk.send(Act.START)
        await desk.until(start, CommandState.WORKING)
        assert await scene.refused(Act.START) == "starting_already"
        await scene.accepted(Act.CANCEL, reason="wrong window")
        assert scene.progress().state is OrderState.CANCELLED
        view = await desk.until(start, CommandState.REFUSED)
        assert view.problem is not None
        assert view.problem.code == "order_ended"
        desk.balancer.may.set()


async def test_an_act_that_another_version_wrote_is_refused_and_the_order_goes_on(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        scene.create()
        await scene.until_state(OrderState.READY)
        assert await scene.refused(Act.START, colour="red") == "act_unreadable"
        assert await scene.refused(Act.SET_WEIGHTS, weights={"hz-a-01": "all"}) == "act_unreadable"
        await scene.accepted(Act.START)
        await scene.until_state(OrderState.SUCCEEDED)


def give_role(scene: Scene, name: str, role: str) -> None:  # noqa: F811
    with scene.store.writing() as conn:
        tenant_id = conn.execute(sa.select(t.tenant.c.id)).scalar_one()
        known = conn.execute(sa.select(t.operator.c.id).where(t.operator.c.name == name)).scalar_one_or_none()
        if known is None:
            known = conn.execute(sa.insert(t.operator).values(name=name).returning(t.operator.c.id)).scalar_one()
        conn.execute(sa.delete(t.operator_role).where(t.operator_role.c.operator_id == known))
        conn.execute(sa.insert(t.operator_role).values(operator_id=known, tenant_id=tenant_id, role=role))


async def test_what_was_asked_with_a_role_that_was_taken_away_before_the_answer_is_refused(scene: Scene) -> None:  # noqa: F811
    desk = Desk(scene)
    give_role(scene, "ada", "admin")
    give_role(scene, "alice", "operator")
    async with scene.engine():
        scene.create()
        await scene.until_state(OrderState.READY)
    start = await desk.send(Act.START)  # no engine is alive to answer it
    give_role(scene, "alice", "viewer")
    async with scene.engine():
        view = await desk.until(start, CommandState.REFUSED)
        assert view.problem is not None
        assert view.problem.code == "not_allowed"
        assert "alice is viewer here: start needs operator." in str(view.problem.what)
        assert scene.progress().state is OrderState.READY
        give_role(scene, "alice", "operator")
        await scene.accepted(Act.START)
        await scene.until_state(OrderState.SUCCEEDED)
