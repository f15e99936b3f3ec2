"""What a way back needs is known before it cuts a host, what a step needs before the start; what was left at 0 comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from engine.domain import step_names as names
from engine.domain.fleet import ObjectRef
from engine.domain.message import Message
from engine.domain.orders import OrderSpec
from engine.domain.states import Act, Health, OrderState, RunState, TrafficMode
from engine.kinds.chosen_hosts import spec_of
from engine.kinds.release import release_spec
from engine.ports import ObjectFacts, PackagesError
from engine.reading.events import read_events
from engine.store import tables as t
from tests.contract.test_acts_at_work_contract import give_role
from tests.contract.test_engine_contract import DEADLINE_S, Scene, scene, url  # noqa: F401
from tests.support.fleet_rows import GROUP
from tests.support.orders import make_order
from tests.support.world import SimPackages, problem


class Objects(SimPackages):
    """`gone` are keys that are no longer in OSS; looks wait until they `may`."""

    gone: frozenset[str] = frozenset()

    def __init__(self) -> None:
        super().__init__()
        self.may = asyncio.Event()
        self.may.set()
        self.looks = 0

    async def head(self, object: ObjectRef) -> ObjectFacts:
        self.looks += 1
        await self.may.wait()
        if object.key in self.gone:
            raise PackagesError(problem("package_missing"))
        return await super().head(object)


def codes_of_warnings(scene: Scene) -> list[str]:  # noqa: F811
    with scene.store.reading() as conn:
        events = read_events(conn, order_id=scene.order_id, workspace_id=None, after=0, limit=500)
    return [event.data["problem"]["code"] for event in events if event.kind == "warning"]


async def test_a_rollback_whose_package_is_gone_cuts_nothing_and_says_what_would_make_it_possible(
    scene: Scene,  # noqa: F811
) -> None:
    scene.objects = objects = Objects()
    async with scene.engine():
        await scene.start(beta=True, groups=2)
        await scene.until_state(OrderState.WAITING)
        calls = len(scene.balancer.calls)
        objects.gone = frozenset({"shop-1.0.0.tar.gz"})
        state, refusal = await scene.act(Act.ROLL_BACK, reason="errors on checkout")
        assert state == "refused"
        assert refusal is not None
        assert refusal["code"] == "way_back_blocked"
        assert "shop 1.0.0" in str(refusal["what"])
        assert refusal["remedy"]["text"]
        assert scene.progress().state is OrderState.WAITING
        assert len(scene.balancer.calls) == calls
        objects.gone = frozenset()
        await scene.accepted(Act.ROLL_BACK, reason="errors on checkout")
        await scene.until_state(OrderState.ROLLED_BACK)


async def test_a_rollback_that_a_serving_host_could_not_take_cuts_nothing(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await scene.start(beta=True, groups=2)
        await scene.until_state(OrderState.WAITING)
        calls, check = len(scene.balancer.calls), scene.remote.check
        scene.remote.check = check.replace(b"disk_free_kib=9000000", b"disk_free_kib=1000")
        assert await scene.refused(Act.ROLL_BACK, reason="errors") == "way_back_blocked"
        assert len(scene.balancer.calls) == calls
        scene.remote.check = check
        await scene.accepted(Act.ROLL_BACK, reason="errors")
        await scene.until_state(OrderState.ROLLED_BACK)


async def test_the_check_says_when_there_would_be_no_way_back(scene: Scene) -> None:  # noqa: F811
    scene.objects = objects = Objects()
    objects.gone = frozenset({"shop-1.0.0.tar.gz"})
    async with scene.engine():
        scene.create()
        await scene.until_state(OrderState.READY)
    assert codes_of_warnings(scene) == ["no_way_back"]


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"app_port": "80", "health_port": "none"}, "parameter_value_invalid"),
        ({"app_port": "eighty"}, "parameter_value_invalid"),
        ({"app_port": "80", "deploy_deadline_s": "soon"}, "parameter_value_invalid"),
        ({"app_port": "80", "LD_PRELOAD": "x.so"}, "parameter_reserved"),
    ],
)
async def test_what_a_step_could_not_use_is_found_by_the_check(
    scene: Scene,  # noqa: F811
    variables: dict[str, str],
    code: str,
) -> None:
    with scene.store.writing() as conn:
        conn.execute(sa.update(t.host).where(t.host.c.name == "hz-b-03").values(variables=variables))
    async with scene.engine():
        scene.create()
        progress = await scene.until_state(OrderState.INIT_FAILED)
    assert {(host, each.code) for host, each in progress.problems} == {("hz-b-03", code)}
    assert scene.balancer.calls == []


async def test_weights_that_a_cancelled_order_left_at_zero_come_back_with_the_next_release(
    scene: Scene,  # noqa: F811
) -> None:
    sick = {f"hz-a-{number:02}" for number in range(1, 5)}
    async with scene.engine():
        scene.remote.failing = {(host, names.CHECK_HEALTH) for host in sick}
        await scene.start(groups=2, max_failures=3)
        await scene.until_state(OrderState.HALTED)
        await scene.accepted(Act.CANCEL, reason="they are sick")
        await scene.until_state(OrderState.CANCELLED)
        assert sorted(scene.balancer.weights[GROUP].values()) == [0] * 4 + [100] * 4
        scene.remote.failing = set()
        scene.remote.records.clear()
        await scene.start(groups=2)
        await scene.until_state(OrderState.SUCCEEDED)
    assert scene.weights() == {100}
    with scene.store.reading() as conn:
        assert conn.execute(sa.select(sa.func.count()).where(t.weight.c.owned)).scalar_one() == 0


async def left_at_zero(scene: Scene) -> set[str]:  # noqa: F811
    """Four hosts, sick when their release was cancelled and well again now."""
    sick = {f"hz-a-{number:02}" for number in range(1, 5)}
    scene.remote.failing = {(host, names.CHECK_HEALTH) for host in sick}
    await scene.start(groups=2, max_failures=3)
    await scene.until_state(OrderState.HALTED)
    await scene.accepted(Act.CANCEL, reason="they are sick")
    await scene.until_state(OrderState.CANCELLED)
    scene.remote.failing = set()
    scene.remote.records.clear()
    return sick


def make(scene: Scene, spec: OrderSpec) -> None:  # noqa: F811
    scene.remote.records.clear()
    with scene.store.writing() as conn:
        scene.order_id = make_order(conn, scene.fleet.workspace_id, spec)


OTHERS = {
    "restart": spec_of("restart", ["shop"], groups=2),
    "rollback": release_spec("shop", "1.0.0", kind="rollback", groups=2, reason="errors"),
    "preset": release_spec(
        "shop",
        "2.0.0",
        groups=2,
        traffic=TrafficMode.PRESET,
        preset_weights={f"hz-{centre}-{number:02}": 100 for centre in "ab" for number in range(1, 5)},
    ),
}


@pytest.mark.parametrize("kind", OTHERS)
async def test_they_come_back_with_the_next_order_of_any_kind_that_gives_traffic_back(
    scene: Scene,  # noqa: F811
    kind: str,
) -> None:
    async with scene.engine():
        await left_at_zero(scene)
        make(scene, OTHERS[kind])
        await scene.until_state(OrderState.READY)
        await scene.accepted(Act.START)
        await scene.until_state(OrderState.SUCCEEDED)
    assert scene.weights() == {100}
    with scene.store.reading() as conn:
        assert conn.execute(sa.select(sa.func.count()).where(t.weight.c.owned)).scalar_one() == 0


async def test_they_come_back_when_they_are_brought_online_again(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        sick = await left_at_zero(scene)
        for kind, ended in (("offline", {0}), ("online", {100})):
            make(scene, spec_of(kind, ["shop"], hosts=sorted(sick), groups=2))
            await scene.until_state(OrderState.READY)
            await scene.accepted(Act.START)
            await scene.until_state(OrderState.SUCCEEDED)
            assert {scene.balancer.weights[GROUP][f"i-{host}", 80] for host in sick} == ended
    assert scene.weights() == {100}


async def test_a_host_that_was_not_brought_online_gets_what_it_had_before_with_the_next_order(
    scene: Scene,  # noqa: F811
) -> None:
    """Its 0 was wanted until somebody asked for it; a release that fails in between forgets nothing."""
    host = "hz-a-01"
    async with scene.engine():
        for kind in ("offline", "online"):
            make(scene, spec_of(kind, ["shop"], hosts=[host], groups=1))
            await scene.until_state(OrderState.READY)
            if kind == "online":
                scene.remote.failing = {(host, names.CHECK_HEALTH)}
            await scene.accepted(Act.START)
            await scene.until_state(OrderState.SUCCEEDED if kind == "offline" else OrderState.HALTED)
        await scene.accepted(Act.CANCEL, reason="later")
        await scene.until_state(OrderState.CANCELLED)
        await scene.start(groups=2, max_failures=0)
        await scene.until_state(OrderState.HALTED)
        await scene.accepted(Act.CANCEL, reason="still sick")
        await scene.until_state(OrderState.CANCELLED)
        assert scene.balancer.weights[GROUP][f"i-{host}", 80] == 0
        scene.remote.failing = set()
        scene.remote.records.clear()
        await scene.start(groups=2)
        await scene.until_state(OrderState.SUCCEEDED)
    assert scene.weights() == {100}


async def test_a_weight_of_zero_that_nobody_left_behind_stays_zero(scene: Scene) -> None:  # noqa: F811
    scene.balancer.weights[GROUP]["i-hz-a-01", 80] = 0
    async with scene.engine():
        await scene.start(groups=4)
        await scene.until_state(OrderState.SUCCEEDED)
    assert scene.balancer.weights[GROUP]["i-hz-a-01", 80] == 0
    assert scene.balancer.health.get(("i-hz-a-01", 80), Health.HEALTHY) is Health.HEALTHY


async def rollback_while_hosts_are_released(scene: Scene, objects: Objects) -> asyncio.Task[tuple[str, Any]]:  # noqa: F811
    """One host after the other is being released when a rollback is asked for; its check waits."""
    await scene.start(groups=2, parallelism=1)
    await scene.until(lambda p: any(run.state is RunState.SUCCEEDED for run in p.runs.values()))
    objects.may.clear()
    looks = objects.looks
    rolling = asyncio.create_task(scene.act(Act.ROLL_BACK, reason="errors on checkout"))
    async with asyncio.timeout(DEADLINE_S):
        while objects.looks == looks:
            await asyncio.sleep(0.01)
    return rolling


async def test_no_host_begins_while_it_is_checked_whether_a_rollback_can_succeed(scene: Scene) -> None:  # noqa: F811
    scene.objects = objects = Objects()
    async with scene.engine():
        rolling = await rollback_while_hosts_are_released(scene, objects)
        progress = await scene.until(lambda p: all(run.state is not RunState.RUNNING for run in p.runs.values()))
        begun = {run.host for run in progress.runs.values() if run.begun}
        assert progress.paused
        assert len(begun) < len(progress.runs)
        assert await scene.refused(Act.RESUME) == "rollback_at_work"
        await asyncio.sleep(0.5)  # time in which a host would begin
        assert {run.host for run in scene.progress().runs.values() if run.begun} == begun
        objects.may.set()
        assert await rolling == ("accepted", None)
        progress = await scene.until_state(OrderState.ROLLED_BACK)
    assert set(scene.versions().values()) == {"1.0.0"}
    assert scene.weights() == {100}


async def test_a_rollback_that_is_refused_for_a_role_taken_away_meanwhile_says_too_that_the_order_stays_paused(
    scene: Scene,  # noqa: F811
) -> None:
    give_role(scene, "ada", "admin")
    give_role(scene, "alice", "approver")
    scene.objects = objects = Objects()
    async with scene.engine():
        rolling = await rollback_while_hosts_are_released(scene, objects)
        give_role(scene, "alice", "operator")
        objects.may.set()
        state, refusal = await rolling
        assert (state, refusal and refusal["code"]) == ("refused", "not_allowed")
        assert "stays paused" in str(Message.from_json(refusal["remedy"]))


async def test_an_order_whose_rollback_is_refused_stays_paused_and_says_so(scene: Scene) -> None:  # noqa: F811
    scene.objects = objects = Objects()
    async with scene.engine():
        rolling = await rollback_while_hosts_are_released(scene, objects)
        objects.gone = frozenset({"shop-1.0.0.tar.gz"})
        objects.may.set()
        state, refusal = await rolling
        assert (state, refusal and refusal["code"]) == ("refused", "way_back_blocked")
        assert "stays paused" in str(Message.from_json(refusal["remedy"]))
        progress = await scene.until_state(OrderState.HALTED)
        assert progress.paused
        await scene.accepted(Act.RESUME)
        await scene.until_state(OrderState.SUCCEEDED)
    assert scene.weights() == {100}
