"""In service is what answers, not what has a weight: the floor, the check, the order of hosts and what a death means at once."""

from __future__ import annotations

import asyncio

import pytest

from engine.domain import step_names
from engine.domain.states import Act, Health, OrderState
from engine.reading.events import read_events
from engine.run import health_watch
from tests.contract.test_engine_contract import Scene, scene, url  # noqa: F401
from tests.support.fleet_rows import GROUP


@pytest.fixture(autouse=True)
def looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_watch, "EVERY_S", 0.05)


def turn(scene: Scene, health: Health, *centres: str) -> set[str]:  # noqa: F811
    """What the balancer's check says of all hosts of these data centres from now on."""
    keys = [key for key in scene.balancer.weights[GROUP] if key[0].removeprefix("i-").startswith(centres)]
    scene.balancer.health |= dict.fromkeys(keys, health)
    return {key[0].removeprefix("i-") for key in keys}


def answering_at_each_cut(scene: Scene, dead: set[str]) -> list[int]:  # noqa: F811
    """Hosts with a weight that are not dead, after each call the balancer got."""
    now, counts = dict(scene.fleet.weights), []
    for _, lines in scene.balancer.calls:
        now |= {(line.mount.server_id, line.mount.port): line.weight for line in lines}
        counts.append(sum(weight > 0 and key[0].removeprefix("i-") not in dead for key, weight in now.items()))
    return counts


async def test_hosts_that_do_not_answer_are_not_counted_by_the_check(scene: Scene) -> None:  # noqa: F811
    turn(scene, Health.UNHEALTHY, "hz-b")
    async with scene.engine():
        scene.create(groups=2)
        progress = await scene.until_state(OrderState.INIT_FAILED)
        said = {problem.code: str(problem.what) for _, problem in progress.problems}
        assert set(said) == {"floor_broken", "hosts_do_not_answer"}
        assert "0 of 4 hosts in service" in said["floor_broken"]
        assert "hz-b-01" in said["hosts_do_not_answer"]
    assert scene.balancer.calls == []


async def test_where_the_balancer_cannot_tell_our_own_check_does(scene: Scene) -> None:  # noqa: F811
    dead = turn(scene, Health.UNKNOWN, "hz-a", "hz-b")
    async with scene.engine():
        scene.create(groups=2)
        progress = await scene.until_state(OrderState.READY)
        assert progress.plan is not None
        assert progress.plan.in_service == 8
        assert {line.own_health for line in progress.weights} == {Health.HEALTHY}
        scene.remote.failing = {(host, step_names.CHECK_HEALTH) for host in dead if host.startswith("hz-b")}
        await scene.accepted(Act.INITIALISE)
        await scene.until(lambda p: p.state is OrderState.INIT_FAILED)
        codes = [problem.code for _, problem in scene.progress().problems]
        assert codes == ["floor_broken", "hosts_do_not_answer"]


async def test_a_host_of_which_nobody_can_tell_counts_as_out_and_is_shown_so(scene: Scene) -> None:  # noqa: F811
    turn(scene, Health.UNKNOWN, "hz-b")
    scene.remote.silent_health = {f"hz-b-{number:02}" for number in range(1, 9)}
    async with scene.engine():
        scene.create(groups=8, floor=1)
        progress = await scene.until_state(OrderState.READY)
        assert progress.plan is not None
        assert progress.plan.in_service == 4
        assert {line.health for line in progress.weights if line.mount.host.startswith("hz-b")} == {Health.UNKNOWN}
        with scene.store.reading() as conn:
            events = read_events(conn, order_id=scene.order_id, workspace_id=None, after=0, limit=500)
        said = [event.data["problem"]["code"] for event in events if event.kind == "warning"]
        assert said == ["health_cannot_tell"]


async def test_hosts_that_do_not_answer_go_first_in_their_group(scene: Scene) -> None:  # noqa: F811
    dead = {"hz-a-03", "hz-a-04"}
    scene.balancer.health = {(f"i-{host}", 80): Health.UNHEALTHY for host in dead}
    async with scene.engine():
        await scene.start(groups=2, parallelism=1, floor=1)
        await scene.until(lambda _: len(scene.balancer.calls) >= 2)
    cut = [line.mount.host for _, lines in scene.balancer.calls[:2] for line in lines]
    assert cut[0] in dead


async def test_hosts_that_die_during_the_order_count_as_gone_at_once_and_come_back_by_themselves(
    scene: Scene,  # noqa: F811
) -> None:
    async with scene.engine():
        await scene.start(beta=True, groups=2)
        await scene.until_state(OrderState.WAITING)
        dead = turn(scene, Health.UNHEALTHY, "hz-b")
        calls = len(scene.balancer.calls)
        # Whether the watch has seen it before the confirm or after it: nothing that answers leaves.
        state, refusal = await scene.act(Act.CONFIRM, node="beta-confirm")
        if state == "accepted":
            progress = await scene.until_state(OrderState.HALTED)
            assert progress.problem is not None
            assert progress.problem.code == "floor_reached"
            assert "hz-b-0" in str(progress.problem.what)
        else:
            assert refusal is not None
            assert "floor" in refusal["code"]
        assert min(answering_at_each_cut(scene, dead)[calls:], default=4) >= 4
        turn(scene, Health.HEALTHY, "hz-b")
        await scene.until(lambda p: all(line.health is Health.HEALTHY for line in p.weights))
        if state == "refused":
            await scene.accepted(Act.CONFIRM, node="beta-confirm")
        elif any(run.state == "failed" for run in scene.progress().runs.values()):
            await scene.accepted(Act.RETRY)
        await scene.until_state(OrderState.SUCCEEDED)
    assert scene.weights() == {100}


async def test_a_host_that_died_between_check_and_start_is_found_at_the_start(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        scene.create(groups=2)
        await scene.until_state(OrderState.READY)
        turn(scene, Health.UNHEALTHY, "hz-b")
        assert await scene.refused(Act.START) == "floor_broken"
    assert scene.balancer.calls == []


async def test_the_next_group_waits_until_the_balancer_sees_that_this_one_answers(scene: Scene) -> None:  # noqa: F811
    """Its check needs some good answers in a row after a deploy; the next group must not leave before."""
    turn(scene, Health.UNHEALTHY, "hz-a")

    async def seen_later() -> None:
        await scene.until(lambda p: any(line.mount.host == "hz-a-01" and line.confirmed == 100 for line in p.weights
                                        if line.verified and line.asked == 100))  # fmt: skip
        await asyncio.sleep(0.2)
        turn(scene, Health.HEALTHY, "hz-a")

    async with scene.engine():
        await scene.start(groups=2, floor=2, override_reason="")
        later = asyncio.create_task(seen_later())
        await scene.until_state(OrderState.SUCCEEDED)
        await later
