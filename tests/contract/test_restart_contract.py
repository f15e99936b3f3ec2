"""Restarts: the whole order over a real store and a simulated world."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from engine.domain.states import Act, OrderState, RunState, Strategy
from engine.kinds import chosen_hosts
from engine.reading.host_runs import HostRuns
from engine.reading.orders import read_order
from engine.reading.scope import find_scope
from engine.reading.step_times import RecordedTimes
from engine.store import tables as t
from tests.contract.test_engine_contract import Scene, scene, url  # noqa: F401
from tests.support.orders import make_order


def create(scene: Scene, kind: str = "restart", **asked: Any) -> None:  # noqa: F811
    with scene.store.writing() as conn:
        scene.order_id = make_order(conn, scene.fleet.workspace_id, chosen_hosts.spec_of(kind, ["shop"], **asked))


async def start(scene: Scene, kind: str = "restart", **asked: Any) -> None:  # noqa: F811
    create(scene, kind, **asked)
    await scene.until_state(OrderState.READY)
    await scene.accepted(Act.START)


def states(scene: Scene) -> dict[str, str]:  # noqa: F811
    with scene.store.reading() as conn:
        return {row.name: row.state for row in conn.execute(sa.select(t.host))}


def succeeded_versions(scene: Scene) -> list[str]:  # noqa: F811
    with scene.store.reading() as conn:
        return list(conn.execute(sa.select(t.succeeded_version.c.version)).scalars())


async def test_a_restart_goes_in_groups_and_records_no_version(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await start(scene, groups=2)
        progress = await scene.until_state(OrderState.SUCCEEDED)
    done = {step for _, _, step in scene.remote.effects}
    assert done == {"download_scripts", "restart", "check_health"}
    assert len(scene.remote.effects) == 3 * 8
    assert set(scene.remote.effects.values()) == {1}
    assert set(scene.versions().values()) == {"1.0.0"}
    assert set(states(scene).values()) == {"deployed"}
    assert succeeded_versions(scene) == ["1.0.0"]
    assert scene.weights() == {100}
    assert min(scene.lowest()) >= 4
    assert not any(line.owned for line in progress.weights)


async def test_only_the_hosts_that_were_named_are_restarted(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await start(scene, hosts=("hz-a-01", "hz-b-02"), groups=1)
        progress = await scene.until_state(OrderState.SUCCEEDED)
    assert {host for host, _, _ in scene.remote.effects} == {"hz-a-01", "hz-b-02"}
    # the others count for what stays in service
    assert progress.plan is not None
    assert (progress.plan.in_service, progress.plan.lowest_in_service) == (8, 6)
    assert len(progress.weights) == 8


async def test_beta_goes_first_and_waits(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await start(scene, beta=True, beta_hosts=("hz-a-01", "hz-b-01"))
        await scene.until_state(OrderState.WAITING)
        assert {host for host, _, _ in scene.remote.effects} == {"hz-a-01", "hz-b-01"}
        await scene.accepted(Act.CONFIRM)
        await scene.until_state(OrderState.SUCCEEDED)


async def test_a_host_that_does_not_come_back_halts_it_and_there_is_no_way_back(scene: Scene) -> None:  # noqa: F811
    scene.remote.failing = {("hz-a-02", "check_health")}
    async with scene.engine():
        await start(scene)
        progress = await scene.until_state(OrderState.HALTED)
        assert {run.host for run in progress.runs.values() if run.state is RunState.FAILED} == {"hz-a-02"}
        assert states(scene)["hz-a-02"] == "deploy_failed"
        assert await scene.refused(Act.ROLL_BACK, reason="no") == "no_way_back"
        with scene.store.reading() as conn:
            scope, runs, times = find_scope(conn, "acme", "prod"), HostRuns(scene.folder), RecordedTimes()
            view = read_order(conn, scope, scene.order_id, host_runs=runs, recorded=times, now=1.0)
        assert Act.ROLL_BACK not in [meaning.act for meaning in view.acts]
        scene.remote.failing = set()
        await scene.accepted(Act.RETRY)
        await scene.until_state(OrderState.SUCCEEDED)
    assert set(states(scene).values()) == {"deployed"}
    assert scene.weights() == {100}


async def test_a_host_whose_deployment_broke_off_is_not_said_to_be_deployed_after_it(scene: Scene) -> None:  # noqa: F811
    scene.remote.failing = {("hz-a-02", "check_health")}
    async with scene.engine():
        await scene.start(groups=2)
        await scene.until_state(OrderState.HALTED)
        await scene.accepted(Act.CANCEL, reason="tomorrow")
        await scene.until_state(OrderState.CANCELLED)
        assert states(scene)["hz-a-02"] == "deploy_failed"
        scene.remote.failing = set()
        scene.remote.records.clear()
        await start(scene)
        await scene.until_state(OrderState.SUCCEEDED)
    assert states(scene)["hz-a-02"] == "deploy_failed"
    assert scene.weights() == {100}


async def test_cancelled_it_gives_the_traffic_back_where_health_allows(scene: Scene) -> None:  # noqa: F811
    scene.remote.failing = {("hz-a-02", "restart")}
    async with scene.engine():
        await start(scene)
        await scene.until_state(OrderState.HALTED)
        await scene.accepted(Act.CANCEL, reason="enough")
        progress = await scene.until_state(OrderState.CANCELLED)
    assert scene.weights() == {100}
    assert not any(line.owned for line in progress.weights)
    assert set(states(scene).values()) == {"deployed"}


async def test_where_it_would_break_the_floor_it_is_refused_without_a_reason(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        create(scene, strategy=Strategy.ONE_GROUP)
        progress = await scene.until_state(OrderState.INIT_FAILED)
    assert [problem.code for _, problem in progress.problems] == ["floor_broken"]


async def test_what_cannot_be_restarted_is_named(scene: Scene) -> None:  # noqa: F811
    with scene.store.writing() as conn:
        conn.execute(sa.update(t.host).where(t.host.c.name == "hz-a-01").values(state="offline"))
    async with scene.engine():
        create(scene, hosts=("hz-a-01", "nowhere"))
        progress = await scene.until_state(OrderState.INIT_FAILED)
    assert {problem.code for _, problem in progress.problems} == {"host_not_deployed", "host_not_of_app"}
