"""Weights in whole orders: what somebody else changes, what an ended order leaves behind, and the floor in every act."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from engine.api import Api
from engine.api_errors import ApiError
from engine.domain import step_names
from engine.domain.acts import GiveBack
from engine.domain.states import Act, CommandState, Direction, OrderState, RunState, TrafficMode
from engine.store import tables as t
from engine.views.acts import CommandView
from tests.contract.test_engine_contract import DEADLINE_S, Scene, scene, url  # noqa: F401
from tests.support.fleet_rows import GROUP
from tests.support.orders import run_of

PLACE = ("acme", "prod")
FAILS = ("hz-a-02", step_names.CHECK_HEALTH)


def api_of(scene: Scene) -> Api:  # noqa: F811
    api = Api(scene.store.url, operator="bob", log_dir=scene.folder / "logs")
    api.open()
    return api


async def give_back(scene: Scene, reason: str = "checked by hand", **params: Any) -> CommandView:  # noqa: F811
    def send_and_wait() -> CommandView:
        api = api_of(scene)
        try:
            command = api.send(*PLACE, scene.order_id, GiveBack(**params), reason=reason)
            return api.wait_command(command, done_within_s=DEADLINE_S)
        finally:
            api.close()

    return await asyncio.to_thread(send_and_wait)


def orphans(scene: Scene) -> list[tuple[int, str, int, int | None]]:  # noqa: F811
    api = api_of(scene)
    try:
        found = api.orphans(*PLACE)
        assert len(found) == api.orphan_count(*PLACE)
        return [(each.order, each.host, each.due, each.now) for each in found]
    finally:
        api.close()


def weight(scene: Scene, host: str) -> int:  # noqa: F811
    return scene.balancer.weights[GROUP][f"i-{host}", 80]


def deploys(scene: Scene) -> set[str]:  # noqa: F811
    return {host for (host, _, step), count in scene.remote.effects.items() if step == step_names.DEPLOY and count}


def another_order(scene: Scene) -> None:  # noqa: F811
    """The hosts are well again, and their job folders are the next order's own."""
    scene.remote.failing = set()
    scene.remote.records.clear()
    scene.remote.effects.clear()


async def cancelled_with_an_unhealthy_host(scene: Scene) -> None:  # noqa: F811
    scene.remote.failing = {FAILS}
    await scene.start()
    await scene.until_state(OrderState.HALTED)
    await scene.accepted(Act.CANCEL, reason="wrong window")
    await scene.until_state(OrderState.CANCELLED)


async def test_a_cancelled_order_owns_nothing_but_what_it_could_not_give_back(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await cancelled_with_an_unhealthy_host(scene)
    assert [line.mount.host for line in scene.progress().weights if line.owned] == ["hz-a-02"]
    assert orphans(scene) == [(scene.order_id, "hz-a-02", 100, 0)]


async def test_what_was_left_behind_is_given_back_only_when_the_host_is_healthy(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await cancelled_with_an_unhealthy_host(scene)
        refused = await give_back(scene)
        assert (refused.state, refused.problem.code if refused.problem else "") == (
            CommandState.REFUSED,
            "weights_left",
        )
        assert refused.problem is not None
        assert "hz-a-02" in refused.problem.evidence
        assert weight(scene, "hz-a-02") == 0
        scene.remote.failing = set()
        assert (await give_back(scene)).state is CommandState.ACCEPTED
    assert weight(scene, "hz-a-02") == 100
    assert orphans(scene) == []
    assert scene.progress().state is OrderState.CANCELLED
    with scene.store.reading() as conn:
        audited = conn.execute(sa.select(t.audit.c.operator, t.audit.c.act, t.audit.c.reason)).all()
    assert [tuple(row) for row in audited] == [("bob", "give_back", "checked by hand")] * 2


async def test_it_is_given_back_without_a_health_check_only_by_force(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await cancelled_with_an_unhealthy_host(scene)
        assert (await give_back(scene, hosts=["hz-a-02"], force=True)).state is CommandState.ACCEPTED
    assert weight(scene, "hz-a-02") == 100


async def test_giving_back_needs_a_reason_and_something_left_behind(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await cancelled_with_an_unhealthy_host(scene)
        with pytest.raises(ApiError) as missing:
            await give_back(scene, reason=" ")
        assert missing.value.problem.code == "reason_missing"
        answer = await give_back(scene, hosts=["hz-b-01"])
        assert answer.problem is not None
        assert answer.problem.code == "nothing_left_behind"


async def test_a_weight_that_another_order_works_with_is_left_to_that_order(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await cancelled_with_an_unhealthy_host(scene)
        first = scene.order_id
        another_order(scene)
        scene.remote.hanging = {("hz-a-02", step_names.DEPLOY)}
        await scene.start(groups=4)
        await scene.until(lambda p: "hz-a-02" in deploys(scene))
        second, scene.order_id = scene.order_id, first
        answer = await give_back(scene)
        assert answer.problem is not None
        assert f"#{second}" in answer.problem.evidence
        scene.remote.hanging = set()
        scene.order_id = second
        await scene.until_state(OrderState.SUCCEEDED)
        scene.order_id = first
        done = await give_back(scene)  # the later order has given it back by itself
        assert done.problem is not None
        assert done.problem.code == "nothing_left_behind"
    assert scene.weights() == {100}


async def test_an_orphan_that_a_later_order_puts_into_service_is_one_no_longer(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await cancelled_with_an_unhealthy_host(scene)
        assert len(orphans(scene)) == 1
        another_order(scene)
        await scene.start()
        await scene.until_state(OrderState.SUCCEEDED)
    assert orphans(scene) == []
    assert scene.weights() == {100}


async def test_a_rollback_that_was_given_up_lists_what_it_left(scene: Scene) -> None:  # noqa: F811
    scene.remote.failing = {FAILS}
    async with scene.engine():
        await scene.start()
        await scene.until_state(OrderState.HALTED)
        await scene.accepted(Act.ROLL_BACK, reason="errors")
        await scene.until(lambda p: p.state is OrderState.HALTED and p.direction is Direction.BACK)
        await scene.accepted(Act.CANCEL, reason="the host is broken, others serve")
        await scene.until_state(OrderState.FAILED)
        assert [host for _, host, _, _ in orphans(scene)] == [
            line.mount.host for line in scene.progress().weights if line.owned
        ]
        assert ("hz-a-02", 100, 0) in [each[1:] for each in orphans(scene)]
        scene.remote.failing = set()
        assert (await give_back(scene)).state is CommandState.ACCEPTED
    assert orphans(scene) == []
    assert scene.weights() == {100}


async def test_a_host_that_somebody_puts_in_during_its_deploy_is_cut_once_more_and_gets_that_weight_back(
    scene: Scene,  # noqa: F811
) -> None:
    scene.remote.hanging = {("hz-a-01", step_names.DEPLOY), ("hz-a-02", step_names.DEPLOY)}
    async with scene.engine():
        await scene.start()
        await scene.until(lambda p: {"hz-a-01", "hz-a-02"} <= deploys(scene))
        scene.balancer.weights[GROUP]["i-hz-a-01", 80] = 30
        scene.remote.hanging = {("hz-a-01", step_names.DEPLOY)}
        await scene.until(lambda p: weight(scene, "hz-a-02") == 100 and weight(scene, "hz-a-01") == 0)
        scene.remote.hanging = set()
        progress = await scene.until_state(OrderState.SUCCEEDED)
    assert weight(scene, "hz-a-01") == 30
    assert scene.weights() == {30, 100}
    assert not any(line.owned for line in progress.weights)
    api = api_of(scene)
    view = api.order(*PLACE, scene.order_id)
    notes = [line.note.code for host in view.hosts for line in host.weights if line.note]
    said = [str(event.sentence) for event in api.events(order_id=scene.order_id) if event.kind == "outside"]
    api.close()
    assert notes == ["weight_changed_outside"]
    assert said == ["hz-a-01 in lb-1/rsp-1: somebody else set weight 0 → 30 during its work: cut once more"]


async def test_a_slider_that_was_overtaken_is_refused_once(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await scene.start(traffic=TrafficMode.GRAY)
        await scene.until_state(OrderState.WAITING)
        hosts = scene.progress().plan.node("group-1").hosts  # type: ignore[union-attr]
        scene.balancer.weights[GROUP][f"i-{hosts[0]}", 80] = 70
        assert await scene.refused(Act.SET_WEIGHTS, weights=dict.fromkeys(hosts, 10)) == "weight_changed_outside"
        assert weight(scene, hosts[0]) == 70
        await scene.accepted(Act.SET_WEIGHTS, weights=dict.fromkeys(hosts, 10))
        assert weight(scene, hosts[0]) == 10


async def test_a_gate_is_not_confirmed_while_a_weight_is_in_doubt(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await scene.start(traffic=TrafficMode.GRAY)
        await scene.until_state(OrderState.WAITING)
        hosts = scene.progress().plan.node("group-1").hosts  # type: ignore[union-attr]
        await scene.accepted(Act.SET_WEIGHTS, weights=dict.fromkeys(hosts, 10))
        scene.balancer.answers = ["lie"] * 8
        await scene.refused(Act.SET_WEIGHTS, weights=dict.fromkeys(hosts, 50))
        assert await scene.refused(Act.CONFIRM) == "weight_in_doubt"
        await scene.accepted(Act.SET_WEIGHTS, weights=dict.fromkeys(hosts, 50))
        await scene.accepted(Act.CONFIRM)


async def test_hosts_that_somebody_took_out_are_counted_before_a_cut(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        scene.create()
        await scene.until_state(OrderState.READY)
        real = scene.balancer.read_weights
        reads = 0

        async def somebody_cuts_after_the_start(group: Any) -> Any:
            nonlocal reads
            reads += 1
            if reads == 2:  # the first is that of the start
                scene.balancer.weights[GROUP]["i-hz-b-04", 80] = 0
            return await real(group)

        scene.balancer.read_weights = somebody_cuts_after_the_start  # type: ignore[method-assign]
        await scene.accepted(Act.START)
        progress = await scene.until_state(OrderState.HALTED)
        failed = [run for run in progress.runs.values() if run.state is RunState.FAILED]
        assert [run.problem.code for run in failed if run.problem] == ["floor_reached"]
        assert not any(run.touched for run in failed)
        assert sum(w > 0 for w in scene.balancer.weights[GROUP].values()) >= 4
        await scene.accepted(Act.RETRY)
        await scene.until_state(OrderState.SUCCEEDED)
    assert weight(scene, "hz-b-04") == 0  # whoever took it out has reasons of his own


async def test_a_cancel_never_waits_for_room_to_give_weights_back(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await scene.start(traffic=TrafficMode.GRAY)
        await scene.until_state(OrderState.WAITING)
        hosts = scene.progress().plan.node("group-1").hosts  # type: ignore[union-attr]
        await scene.accepted(Act.SET_WEIGHTS, weights={hosts[0]: 10})
        for host in ("hz-b-03", "hz-b-04"):  # 3 of 8 are left, the floor is 4
            scene.balancer.weights[GROUP][f"i-{host}", 80] = 0
        await scene.accepted(Act.CANCEL, reason="too few are left")
        await scene.until_state(OrderState.CANCELLED)
    assert {weight(scene, host) for host in hosts} == {100}
    assert orphans(scene) == []


async def test_a_retried_group_and_the_one_behind_it_never_leave_together(scene: Scene) -> None:  # noqa: F811
    scene.balancer.answers = ["refused"]  # the first cut: its two hosts fail with all their traffic
    scene.remote.hanging = {(host, step_names.DEPLOY) for host in scene.fleet.hosts if host.startswith("hz-b")}
    async with scene.engine():
        await scene.start(max_failures=4, parallelism=2)
        await scene.until(lambda p: any(host.startswith("hz-b") for host in deploys(scene)))
        await scene.accepted(Act.RETRY)
        scene.remote.hanging = set()
        progress = await scene.until_state(OrderState.SUCCEEDED)
    assert min(scene.lowest()) >= 4
    assert scene.weights() == {100}
    assert run_of(progress, "hz-a-01").attempt == 2


async def test_a_paused_order_with_a_failed_host_within_its_budget_can_be_resumed(scene: Scene) -> None:  # noqa: F811
    scene.remote.failing = {FAILS}
    scene.remote.hanging = {("hz-a-01", step_names.DEPLOY)}
    async with scene.engine():
        await scene.start(max_failures=1)
        await scene.until(lambda p: run_of(p, "hz-a-02").state is RunState.FAILED)
        await scene.accepted(Act.PAUSE)
        scene.remote.hanging = set()
        await scene.until_state(OrderState.HALTED)
        await scene.accepted(Act.RESUME)  # 7 of 8 serve: three of the second group may go, the fourth waits
        await scene.until(lambda p: p.nodes[Direction.FORWARD, "group-2"].state.complete)
    assert min(scene.lowest()) >= 4


async def test_a_call_without_an_outcome_gets_one_when_the_order_is_taken_over(scene: Scene) -> None:  # noqa: F811
    scene.remote.hanging = {(host, step_names.DEPLOY) for host in scene.fleet.hosts}
    async with scene.engine():
        await scene.start()
        await scene.until(lambda p: len(deploys(scene)) == 4)
    with scene.store.writing() as conn:
        conn.execute(sa.update(t.weight_call).values(ended_at=None, verified="", read_back=None))
        conn.execute(sa.update(t.weight).where(t.weight.c.owned).values(verified=None, confirmed=100))
    async with scene.engine():
        async with asyncio.timeout(DEADLINE_S):
            while open_calls(scene):
                await asyncio.sleep(0.01)
        owned = [line for line in scene.progress().weights if line.owned]
        assert {(line.confirmed, line.in_doubt) for line in owned} == {(0, False)}
        scene.remote.hanging = set()
        await scene.until_state(OrderState.SUCCEEDED)
    assert scene.weights() == {100}


def open_calls(scene: Scene) -> int:  # noqa: F811
    query = sa.select(sa.func.count()).select_from(t.weight_call).where(t.weight_call.c.ended_at.is_(None))
    with scene.store.reading() as conn:
        return int(conn.execute(query).scalar_one())
