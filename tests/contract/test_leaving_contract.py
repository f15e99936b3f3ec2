"""Skipping a step of a failed host, going on without a host, and taking one out of the order; whole orders on both stores."""

from __future__ import annotations

import asyncio

import pytest

from engine.domain import step_names as names
from engine.domain.progress import OrderProgress
from engine.domain.states import Act, Direction, HostState, Leaving, OrderState, RunState, StepState, Strategy
from engine.kinds import offline
from engine.kinds.chosen_hosts import spec_of
from engine.kinds.release import RESTORE, STEPS
from engine.plan.which_hosts import hosts_left_behind
from engine.reading.host_runs import HostRuns
from engine.reading.orders import read_order
from engine.reading.scope import find_scope
from engine.reading.step_times import RecordedTimes
from engine.run.engine import Engine
from engine.store import tables as t
from engine.views.orders import OrderView
from tests.contract.test_engine_contract import Scene, scene, url  # noqa: F401
from tests.contract.test_retry_contract import did, no_weight_comes_back, steps_of
from tests.support.fleet_rows import GROUP
from tests.support.orders import make_order, run_of
from tests.support.world import SimCloud

HOST = "hz-a-02"
KEYS = [step.key for step in STEPS]


def weight_of(scene: Scene, host: str) -> int:  # noqa: F811
    return scene.balancer.weights[GROUP][f"i-{host}", 80]


def host_state(scene: Scene, host: str) -> tuple[str, str]:  # noqa: F811
    with scene.store.reading() as conn:
        row = conn.execute(t.host.select().where(t.host.c.name == host)).one()
    return row.version, row.state


def view_of(scene: Scene) -> OrderView:  # noqa: F811
    with scene.store.reading() as conn:
        place = find_scope(conn, "acme", "prod")
        runs, now = HostRuns(scene.folder / "logs"), scene.clock.now()
        return read_order(conn, place, scene.order_id, host_runs=runs, recorded=RecordedTimes(), now=now)


async def halted(scene: Scene, step: str, host: str = HOST, **spec: object) -> OrderProgress:  # noqa: F811
    """An order that halted because the host failed at that step."""
    scene.remote.failing.add((host, step))
    await scene.start(**spec)
    progress = await scene.until_state(OrderState.HALTED)
    assert run_of(progress, host).failed_at == step
    return progress


# ------------------------------------------------------------------------------------------------------------- one step


async def test_behind_a_skipped_step_the_host_goes_on_and_gets_its_traffic(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await halted(scene, names.INSTALL_SOFTWARE)
        await scene.accepted(Act.SKIP, "known to be there", host=HOST, step=names.INSTALL_SOFTWARE)
        progress = await scene.until_state(OrderState.SUCCEEDED)
    run = run_of(progress, HOST)
    assert (run.state, run.skips) == (RunState.SUCCEEDED, (names.INSTALL_SOFTWARE,))
    assert names.INSTALL_SOFTWARE not in did(scene, HOST, 2)
    assert names.DEPLOY in did(scene, HOST, 2)
    states = {step.key: step.state for step in steps_of(scene, HOST, 2)}
    assert states.pop(names.INSTALL_SOFTWARE) is StepState.SKIPPED
    assert set(states.values()) == {StepState.SUCCEEDED}
    assert host_state(scene, HOST) == ("2.0.0", HostState.DEPLOYED)
    assert scene.weights() == {100}


async def test_a_host_whose_deploy_was_skipped_runs_nobody_knows_what(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await halted(scene, names.DEPLOY)
        await scene.accepted(Act.SKIP, "deployed by hand", host=HOST, step=names.DEPLOY)
        progress = await scene.until_state(OrderState.SUCCEEDED)
        assert host_state(scene, HOST) == ("", HostState.DEPLOY_FAILED)
        assert run_of(progress, HOST).state is RunState.SUCCEEDED
        assert weight_of(scene, HOST) == 100
        assert next(host for host in view_of(scene).hosts if host.name == HOST).version_unknown
        # the next release takes it like any other
        scene.remote.failing.clear()
        scene.remote.records.clear()  # an order's jobs are its own
        await scene.start()
        await scene.until_state(OrderState.SUCCEEDED)
    assert host_state(scene, HOST) == ("2.0.0", HostState.DEPLOYED)


async def test_a_skipped_step_stays_skipped_when_the_host_is_tried_again(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await halted(scene, names.INSTALL_SOFTWARE)
        scene.remote.failing.add((HOST, names.CHECK_HEALTH))
        await scene.accepted(Act.SKIP, "known", host=HOST, step=names.INSTALL_SOFTWARE)
        await scene.until(lambda p: run_of(p, HOST).failed_at == names.CHECK_HEALTH)
        scene.remote.failing.clear()
        await scene.accepted(Act.RETRY)
        await scene.until_state(OrderState.SUCCEEDED)
    assert names.INSTALL_SOFTWARE not in did(scene, HOST, 3)


async def test_everything_again_does_what_was_skipped_as_well(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await halted(scene, names.INSTALL_SOFTWARE)
        scene.remote.failing.add((HOST, names.CHECK_HEALTH))
        await scene.accepted(Act.SKIP, "known", host=HOST, step=names.INSTALL_SOFTWARE)
        await scene.until(lambda p: run_of(p, HOST).failed_at == names.CHECK_HEALTH)
        scene.remote.failing.clear()
        await scene.accepted(Act.RETRY, from_start=True)
        await scene.until_state(OrderState.SUCCEEDED)
    assert names.INSTALL_SOFTWARE in did(scene, HOST, 3)


@pytest.mark.parametrize("step", [names.CHECK_HEALTH, names.RESTORE_TRAFFIC])
async def test_neither_the_health_check_nor_the_traffic_behind_it_is_skipped(scene: Scene, step: str) -> None:  # noqa: F811
    async with scene.engine():
        if step == names.CHECK_HEALTH:
            await halted(scene, step)
        else:
            with no_weight_comes_back(scene):
                await scene.start()
                await scene.until_state(OrderState.HALTED)
        assert await scene.refused(Act.SKIP, "hurry", host=HOST, step=step) == "step_never_skipped"


async def test_only_the_step_at_which_the_host_failed_is_skipped(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await halted(scene, names.DEPLOY)
        assert await scene.refused(Act.SKIP, "hurry", host=HOST, step=names.INSTALL_SOFTWARE) == "step_not_failed"
        assert await scene.refused(Act.SKIP, "hurry", host="hz-a-01", step=names.DEPLOY) == "not_failed"


# ------------------------------------------------------------------------------------------------------------ whole hosts


async def test_a_skipped_host_that_answers_gets_its_weight_back_and_the_order_goes_on(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await halted(scene, names.DOWNLOAD_PACKAGE)
        await scene.accepted(Act.SKIP, "broken disk", host=HOST)
        progress = await scene.until_state(OrderState.SUCCEEDED)
    run = run_of(progress, HOST)
    assert (run.state, run.leaving, run.problem) == (RunState.SKIPPED, Leaving.SKIPPED, None)
    assert did(scene, HOST, 2) == [names.CHECK_HEALTH]
    assert [step.key for step in steps_of(scene, HOST, 2)] == [step.key for step in RESTORE]
    assert host_state(scene, HOST) == ("1.0.0", HostState.DEPLOYED)
    assert scene.weights() == {100}
    assert hosts_left_behind(progress) == ()
    view = view_of(scene)
    group = next(node for node in view.nodes if HOST in node.hosts)
    assert (group.done, group.skipped) == (len(group.hosts) - 1, 1)
    assert "skipped or excluded: hz-a-02" in str(view.next)


async def test_a_skipped_host_that_does_not_answer_stays_at_zero_and_is_listed(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await halted(scene, names.CHECK_HEALTH)
        await scene.accepted(Act.SKIP, "looked at tomorrow", host=HOST)
        progress = await scene.until_state(OrderState.SUCCEEDED)
        assert weight_of(scene, HOST) == 0
        assert hosts_left_behind(progress) == (HOST,)
        run = run_of(progress, HOST)
        assert run.state is RunState.SKIPPED
        assert run.problem is not None
        # what it got before its check failed is what it runs
        assert host_state(scene, HOST) == ("2.0.0", HostState.DEPLOY_FAILED)
        # the next order counts it as a host that is due its weight
        scene.remote.failing.clear()
        scene.remote.records.clear()  # an order's jobs are its own
        await scene.start()
        await scene.until_state(OrderState.SUCCEEDED)
    assert weight_of(scene, HOST) == 100


async def test_of_a_host_skipped_in_the_middle_of_its_deploy_nobody_knows_the_version(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await halted(scene, names.DEPLOY)
        await scene.accepted(Act.SKIP, "broken", host=HOST)
        await scene.until_state(OrderState.SUCCEEDED)
    assert host_state(scene, HOST) == ("", HostState.DEPLOY_FAILED)
    assert weight_of(scene, HOST) == 100


async def test_where_the_balancer_refuses_the_weight_a_person_decides_once_more(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await halted(scene, names.DOWNLOAD_PACKAGE)
        with no_weight_comes_back(scene):
            await scene.accepted(Act.SKIP, "broken", host=HOST)
            progress = await scene.until(lambda p: run_of(p, HOST).attempt == 2 and p.state is OrderState.HALTED)
        assert run_of(progress, HOST).state is RunState.FAILED
        await scene.accepted(Act.SKIP, "again", host=HOST)
        progress = await scene.until_state(OrderState.SUCCEEDED)
    assert run_of(progress, HOST).state is RunState.SKIPPED
    assert weight_of(scene, HOST) == 100


async def test_no_version_has_succeeded_where_every_host_was_left_out(scene: Scene) -> None:  # noqa: F811
    scene.remote.failing |= {(host, names.DOWNLOAD_PACKAGE) for host in scene.fleet.hosts}
    async with scene.engine():
        await scene.start(strategy=Strategy.ONE_GROUP, max_failures=len(scene.fleet.hosts), override_reason="try")
        progress = await scene.until_state(OrderState.HALTED)
        for host in progress.plan.hosts if progress.plan else ():
            await scene.accepted(Act.SKIP, "wrong package", host=host)
        await scene.until_state(OrderState.SUCCEEDED)
    with scene.store.reading() as conn:
        found = conn.execute(t.succeeded_version.select().where(t.succeeded_version.c.version == "2.0.0")).all()
        assert found == []
    assert set(scene.versions().values()) == {"1.0.0"}


async def test_a_skipped_host_is_returned_by_a_rollback_and_an_excluded_one_is_not(scene: Scene) -> None:  # noqa: F811
    scene.remote.failing |= {("hz-a-01", names.CHECK_HEALTH), (HOST, names.CHECK_HEALTH)}
    async with scene.engine():
        await scene.start(beta=True, beta_hosts=("hz-a-01", HOST))
        await scene.until(lambda p: p.state is OrderState.HALTED and run_of(p, "hz-a-01").state is RunState.FAILED)
        await scene.until(lambda p: run_of(p, HOST).state is RunState.FAILED)
        await scene.accepted(Act.SKIP, "broken", host="hz-a-01")
        await scene.accepted(Act.EXCLUDE, "broken", host=HOST)
        await scene.until_state(OrderState.WAITING)
        scene.remote.failing.clear()
        await scene.accepted(Act.ROLL_BACK, "errors")
        progress = await scene.until_state(OrderState.ROLLED_BACK)
    assert scene.versions()["hz-a-01"] == "1.0.0"
    assert scene.versions()[HOST] == "2.0.0"
    back = {run.host for run in progress.towards(Direction.BACK)}
    assert {"hz-a-01", HOST} <= back  # its weight was still the order's to give back
    assert scene.weights() == {100}


# --------------------------------------------------------------------------------------------------------------- excluded


async def test_a_host_that_was_excluded_before_it_began_keeps_what_it_runs(scene: Scene) -> None:  # noqa: F811
    other = "hz-b-02"
    async with scene.engine():
        await halted(scene, names.DEPLOY)
        calls = len(scene.balancer.calls)
        await scene.accepted(Act.EXCLUDE, "needed for a test", host=other)
        assert len(scene.balancer.calls) == calls
        scene.remote.failing.clear()
        await scene.accepted(Act.RETRY)
        progress = await scene.until_state(OrderState.SUCCEEDED)
    run = run_of(progress, other)
    assert (run.state, run.leaving, run.attempt, run.started_at) == (RunState.SKIPPED, Leaving.EXCLUDED, 1, None)
    assert host_state(scene, other) == ("1.0.0", HostState.DEPLOYED)
    assert not [lines for _, lines in scene.balancer.calls if any(line.mount.host == other for line in lines)]
    assert next(str(host.shown) for host in view_of(scene).hosts if host.name == other) == "excluded"


async def test_a_failed_host_that_is_excluded_gets_back_what_it_had(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await halted(scene, names.DOWNLOAD_PACKAGE)
        await scene.accepted(Act.EXCLUDE, "broken disk", host=HOST)
        progress = await scene.until_state(OrderState.SUCCEEDED)
    assert run_of(progress, HOST).leaving is Leaving.EXCLUDED
    assert host_state(scene, HOST) == ("1.0.0", HostState.DEPLOYED)
    assert scene.weights() == {100}


async def test_a_host_at_work_and_one_that_is_done_are_not_excluded(scene: Scene) -> None:  # noqa: F811
    scene.remote.hanging.add((HOST, names.DEPLOY))
    async with scene.engine():
        await scene.start()
        await scene.until(lambda p: run_of(p, HOST).state is RunState.RUNNING)
        assert await scene.refused(Act.EXCLUDE, "no", host=HOST) == "host_at_work"
        done = await scene.until(lambda p: any(run.state is RunState.SUCCEEDED for run in p.current_runs))
        host = next(run.host for run in done.current_runs if run.state is RunState.SUCCEEDED)
        assert await scene.refused(Act.EXCLUDE, "no", host=host) == "host_done"
        assert await scene.refused(Act.EXCLUDE, "no", host="nobody") == "not_of_order"
        scene.remote.hanging.clear()
        await scene.until_state(OrderState.SUCCEEDED)


async def test_a_host_is_skipped_on_the_way_back_as_well(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await scene.start(beta=True, beta_hosts=("hz-a-01", HOST))
        await scene.until_state(OrderState.WAITING)
        scene.remote.failing.add((HOST, names.CHECK_HEALTH))
        await scene.accepted(Act.ROLL_BACK, "errors")
        await scene.until(lambda p: p.direction is Direction.BACK and p.state is OrderState.HALTED)
        await scene.accepted(Act.SKIP, "broken", host=HOST)
        progress = await scene.until_state(OrderState.ROLLED_BACK)
    assert run_of(progress, HOST, Direction.BACK).state is RunState.SKIPPED
    assert weight_of(scene, HOST) == 0
    assert hosts_left_behind(progress) == (HOST,)


async def test_a_host_that_could_not_be_ended_is_skipped_and_serves_again(scene: Scene) -> None:  # noqa: F811
    scene.remote.failing.add((HOST, "offline"))
    async with scene.engine():
        with scene.store.writing() as conn:
            spec = spec_of(offline.NAME, ["shop"], hosts=[HOST, "hz-b-02"], floor=0)
            scene.order_id = make_order(conn, scene.fleet.workspace_id, spec)
        await scene.until_state(OrderState.READY)
        await scene.accepted(Act.START)
        await scene.until_state(OrderState.HALTED)
        await scene.accepted(Act.SKIP, "does not end", host=HOST)
        await scene.until_state(OrderState.SUCCEEDED)
    assert weight_of(scene, HOST) == 100
    assert host_state(scene, HOST) == ("1.0.0", HostState.DEPLOY_FAILED)
    assert host_state(scene, "hz-b-02") == ("1.0.0", HostState.OFFLINE)


# ------------------------------------------------------------------------------------------------------- a killed engine


async def test_the_next_engine_goes_on_with_a_host_that_leaves(scene: Scene) -> None:  # noqa: F811
    def engine() -> Engine:
        return Engine(
            scene.store,
            remote=scene.remote,
            cloud=SimCloud(scene.balancer, scene.objects),
            clock=scene.clock,
            log_dir=scene.folder / "logs",
            idle_s=None,
        )

    first = asyncio.create_task(engine().run())
    await halted(scene, names.DOWNLOAD_PACKAGE)
    scene.remote.hanging.add((HOST, names.CHECK_HEALTH))
    await scene.accepted(Act.SKIP, "broken", host=HOST)
    await scene.until(lambda p: run_of(p, HOST).state is RunState.RUNNING and run_of(p, HOST).attempt == 2)
    await scene.crash(first)
    scene.remote.hanging.clear()
    async with scene.engine():
        progress = await scene.until_state(OrderState.SUCCEEDED)
    run = run_of(progress, HOST)
    assert (run.state, run.attempt, run.leaving) == (RunState.SKIPPED, 2, Leaving.SKIPPED)
    assert scene.weights() == {100}


async def test_the_next_engine_knows_what_was_skipped(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await halted(scene, names.INSTALL_SOFTWARE)
        scene.remote.hanging.add((HOST, names.DEPLOY))
        await scene.accepted(Act.SKIP, "known", host=HOST, step=names.INSTALL_SOFTWARE)
        await scene.until(lambda p: run_of(p, HOST).state is RunState.RUNNING)
    scene.remote.hanging.clear()
    async with scene.engine():
        await scene.until_state(OrderState.SUCCEEDED)
    assert names.INSTALL_SOFTWARE not in did(scene, HOST, 2)
    assert host_state(scene, HOST) == ("2.0.0", HostState.DEPLOYED)
