"""Bringing hosts online: the whole order over a real store and a simulated world."""

from __future__ import annotations

import sqlalchemy as sa

from engine.domain.states import Act, OrderState, RunState
from engine.store import tables as t
from tests.contract.test_engine_contract import Scene, scene, url  # noqa: F401
from tests.contract.test_offline_contract import OUT, orphans, owned, weight
from tests.contract.test_restart_contract import create, start, states, succeeded_versions
from tests.support.fleet_rows import GROUP


async def take_offline(scene: Scene) -> None:  # noqa: F811
    await start(scene, "offline", hosts=OUT, groups=1)
    await scene.until_state(OrderState.SUCCEEDED)
    scene.remote.records.clear()
    scene.remote.effects.clear()


async def test_online_takes_offline_hosts_only_and_gives_them_the_weight_they_had(scene: Scene) -> None:  # noqa: F811
    scene.balancer.weights[GROUP]["i-hz-a-01", 80] = 30
    async with scene.engine():
        await take_offline(scene)
        await start(scene, "online", groups=1)
        await scene.until_state(OrderState.SUCCEEDED)
    assert {host for host, _, _ in scene.remote.effects} == set(OUT)
    assert (weight(scene, "hz-a-01"), weight(scene, "hz-b-01")) == (30, 100)
    assert set(states(scene).values()) == {"deployed"}
    assert owned(scene) == []
    assert succeeded_versions(scene) == ["1.0.0"]


async def test_it_brings_the_current_version_not_the_one_they_had(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await take_offline(scene)
        await scene.start(groups=2)
        await scene.until_state(OrderState.SUCCEEDED)
        scene.remote.records.clear()
        await start(scene, "online", hosts=OUT, groups=1)
        await scene.until_state(OrderState.SUCCEEDED)
    assert set(scene.versions().values()) == {"2.0.0"}
    assert scene.weights() == {100}


async def test_a_host_that_does_not_come_up_goes_offline_again(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await take_offline(scene)
        scene.remote.failing = {("hz-a-01", "check_health")}
        await start(scene, "online", groups=1)
        progress = await scene.until_state(OrderState.HALTED)
        assert [run.host for run in progress.runs.values() if run.state is RunState.FAILED] == ["hz-a-01"]
        scene.remote.failing = set()
        await scene.accepted(Act.ROLL_BACK, reason="it does not come up")
        await scene.until_state(OrderState.ROLLED_BACK)
    assert {host for host, state in states(scene).items() if state == "offline"} == set(OUT)
    assert {weight(scene, host) for host in OUT} == {0}
    assert owned(scene) == []
    assert orphans(scene) == 0


async def test_cancelled_after_a_failure_nothing_is_left_behind(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await take_offline(scene)
        scene.remote.failing = {("hz-a-01", "deploy")}
        await start(scene, "online", groups=1)
        await scene.until_state(OrderState.HALTED)
        await scene.accepted(Act.CANCEL, reason="later")
        await scene.until_state(OrderState.CANCELLED)
    assert (weight(scene, "hz-a-01"), weight(scene, "hz-b-01")) == (0, 100)
    assert orphans(scene) == 0


async def test_a_host_that_is_not_offline_is_refused_by_name(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        create(scene, "online", hosts=("hz-a-01",), groups=1)
        progress = await scene.until_state(OrderState.INIT_FAILED)
    assert [problem.code for _, problem in progress.problems] == ["host_not_offline"]
    assert "hz-a-01" in str(progress.problems[0][1].what)


async def test_without_the_package_of_the_current_version_it_is_refused(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await take_offline(scene)
        with scene.store.writing() as conn:
            conn.execute(sa.delete(t.package).where(t.package.c.version == "1.0.0"))
        create(scene, "online", groups=1)
        progress = await scene.until_state(OrderState.INIT_FAILED)
    assert [problem.code for _, problem in progress.problems] == ["package_unknown"]
