"""Engines that are lost, frozen or too many, steps nobody can vouch for, runs that break: a real store, a simulated world."""

# ruff: noqa: F811

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from engine.domain import step_names
from engine.domain.states import Act, Direction, OrderState, RunState, StepState
from engine.domain.steps import RERUNS, InDoubt
from engine.kinds.release import STEPS as RELEASE_STEPS
from engine.ports import JobEnded, StepEnded, StepStarted
from engine.run import engine as engine_module
from engine.run.attempt import Attempt
from engine.run.logs import HostLog
from engine.steps.registry import STEPS
from engine.store import engines
from engine.store import tables as t
from engine.store.host_runs import load_steps
from engine.store.store import Store
from tests.contract.test_engine_contract import Scene, scene, url  # noqa: F401
from tests.support.fleet_rows import GROUP, insert_fleet
from tests.support.orders import run_of

HOST = "hz-a-01"


def steps_of(scene: Scene, attempt: int = 1) -> dict[str, StepState]:
    with scene.store.reading() as conn:
        steps = load_steps(conn, scene.order_id, hosts={HOST})[run_of(scene.progress(), HOST).key, attempt]
    return {step.key: step.state for step in steps}


def engine_events(scene: Scene) -> list[dict[str, Any]]:
    with scene.store.reading() as conn:
        query = sa.select(t.event.c.data).where(t.event.c.kind == "engine", t.event.c.order_id == scene.order_id)
        return list(conn.execute(query.order_by(t.event.c.id)).scalars())


# ----------------------------------------------------------------------------------------------------- steps in doubt


@pytest.mark.parametrize("step", [step.key for step in RELEASE_STEPS if step.in_doubt is InDoubt.ASK])
async def test_a_step_only_a_person_can_judge_waits_for_one(scene: Scene, step: str) -> None:
    scene.remote.vanishing = {(HOST, step)}
    async with scene.engine():
        await scene.start()
        progress = await scene.until_state(OrderState.HALTED)
        run = run_of(progress, HOST)
        assert (run.state, run.attempt) == (RunState.FAILED, 1)
        assert run.problem is not None
        assert run.problem.code == "step_in_doubt"
        assert str(step) in str(run.problem.what)
        assert scene.balancer.weights[GROUP][f"i-{HOST}", 80] == 0
        scene.remote.vanishing = set()
        await scene.accepted(Act.RETRY)
        await scene.until_state(OrderState.SUCCEEDED)
    assert (
        scene.remote.effects[HOST, "forward-group-1-1", step]
        == scene.remote.effects[HOST, "forward-group-1-2", step]
        == 1
    )


async def test_a_job_that_goes_on_while_nobody_can_sign_its_addresses_is_rolled_back_with_its_deploy(
    scene: Scene,
) -> None:
    scene.remote.hanging = {(HOST, step_names.DOWNLOAD_PACKAGE)}
    async with scene.engine():
        await scene.start(parallelism=1)
        await scene.until(lambda p: scene.remote.effects[HOST, "forward-group-1-1", step_names.DOWNLOAD_PACKAGE] == 1)
    record = scene.remote.records[HOST, "forward-group-1-1"]
    for step in (step_names.DOWNLOAD_PACKAGE, step_names.DEPLOY, step_names.CHECK_HEALTH):
        if step != step_names.DOWNLOAD_PACKAGE:
            record.append(StepStarted(step, 0.0, len(record)))
        record.append(StepEnded(step, 0, False, 0.0, len(record)))
    record.append(JobEnded(False, len(record)))
    scene.remote.hanging, scene.objects.signs = set(), False
    async with scene.engine():
        progress = await scene.until_state(OrderState.HALTED)
        assert run_of(progress, HOST).state is RunState.FAILED
        scene.objects.signs = True
        await scene.accepted(Act.ROLL_BACK, reason="no credentials")
        await scene.until_state(OrderState.ROLLED_BACK)
    assert scene.remote.effects[HOST, "back-back-1-1", step_names.DEPLOY] == 1
    assert set(scene.versions().values()) == {"1.0.0"}
    assert scene.weights() == {100}


async def test_a_host_whose_record_of_an_earlier_attempt_is_lost_can_be_tried_again(scene: Scene) -> None:
    scene.remote.failing = {(HOST, step_names.DOWNLOAD_PACKAGE)}
    async with scene.engine():
        await scene.start()
        await scene.until_state(OrderState.HALTED)
        scene.remote.failing, scene.remote.unreadable = set(), {(HOST, "forward-group-1-1")}
        await scene.accepted(Act.RETRY)
        progress = await scene.until_state(OrderState.SUCCEEDED)
    assert run_of(progress, HOST).attempt == 2


async def test_one_of_several_failed_hosts_can_be_tried_again_alone(scene: Scene) -> None:
    scene.remote.failing = {(host, step_names.CHECK_HEALTH) for host in scene.fleet.hosts}

    def hosts(progress: Any, state: RunState) -> set[str]:
        return {run.host for run in progress.runs.values() if run.state is state}

    async with scene.engine():
        await scene.start()
        progress = await scene.until_state(OrderState.HALTED)
        first, *others = sorted(hosts(progress, RunState.FAILED))
        assert others
        scene.remote.failing -= {(first, step_names.CHECK_HEALTH)}
        await scene.accepted(Act.RETRY, hosts=[first])
        progress = await scene.until(lambda p: hosts(p, RunState.SUCCEEDED) == {first} and p.state is OrderState.HALTED)
        assert hosts(progress, RunState.FAILED) == set(others)  # and nobody else has begun
        assert scene.balancer.weights[GROUP][f"i-{first}", 80] == 100


REPEATED = (step_names.CHECK_AGENT, step_names.DOWNLOAD_SCRIPTS, step_names.DOWNLOAD_PACKAGE)


@pytest.mark.parametrize("step", REPEATED)
async def test_a_step_that_does_no_harm_is_done_again_by_itself(scene: Scene, step: str) -> None:
    assert STEPS[step].plan.in_doubt is InDoubt.RERUN
    scene.remote.vanishing_once = {(HOST, step)}
    async with scene.engine():
        await scene.start()
        await scene.until(lambda p: p.state is OrderState.SUCCEEDED or p.state is OrderState.HALTED)
    assert scene.progress().state is OrderState.SUCCEEDED
    assert run_of(scene.progress(), HOST).attempt == 2
    assert steps_of(scene)[step] is StepState.CANCELLED
    assert (HOST, "forward-group-1-1") not in scene.remote.stopped or scene.remote.effects[
        HOST, "forward-group-1-1", step
    ] == 1
    assert scene.remote.effects[HOST, "forward-group-1-1", step_names.DEPLOY] == 0
    assert scene.weights() == {100}


async def test_a_step_is_not_done_again_for_ever(scene: Scene) -> None:
    scene.remote.vanishing = {(HOST, step_names.DOWNLOAD_PACKAGE)}
    async with scene.engine():
        await scene.start()
        progress = await scene.until_state(OrderState.HALTED)
    assert run_of(progress, HOST).attempt == RERUNS + 1


async def test_a_health_check_in_doubt_is_asked_of_the_host_itself(scene: Scene) -> None:
    assert STEPS[step_names.CHECK_HEALTH].plan.in_doubt is InDoubt.PROBE
    scene.remote.vanishing = {(HOST, step_names.CHECK_HEALTH)}
    async with scene.engine():
        await scene.start()
        progress = await scene.until_state(OrderState.SUCCEEDED)
    assert run_of(progress, HOST).attempt == 1
    asked = [script for host, script in scene.remote.scripts if host == HOST and "checkService" in script]
    assert len(asked) == 1
    assert "export HEALTH_PORT=" in asked[0]
    assert scene.remote.effects[HOST, "forward-group-1-1", step_names.DEPLOY] == 1


async def test_a_health_check_in_doubt_that_does_not_pass_then_keeps_the_host_at_zero(scene: Scene) -> None:
    scene.remote.vanishing = {(HOST, step_names.CHECK_HEALTH)}
    async with scene.engine():
        scene.remote.failing = {(HOST, step_names.CHECK_HEALTH)}
        await scene.start()
        await scene.until_state(OrderState.HALTED)
        assert scene.balancer.weights[GROUP][f"i-{HOST}", 80] == 0
    assert steps_of(scene)[step_names.CHECK_HEALTH] is StepState.FAILED


@pytest.mark.parametrize("step", [step_names.CUT_TRAFFIC, step_names.RESTORE_TRAFFIC])
async def test_a_move_on_the_balancer_in_doubt_is_made_again_and_read_back(scene: Scene, step: str) -> None:
    """The engine is lost between the call and its outcome: its rows say *running*."""
    scene.balancer.answers = ["never"] if step == step_names.CUT_TRAFFIC else ["ok", "never"]
    async with scene.engine():
        await scene.start(parallelism=1)
        await scene.until(lambda p: not scene.balancer.answers and steps_row(scene, step) is StepState.RUNNING)
    scene.balancer.weights[GROUP][f"i-{HOST}", 80] = 100 if step == step_names.CUT_TRAFFIC else 0
    async with scene.engine():
        progress = await scene.until_state(OrderState.SUCCEEDED)
    assert {run.attempt for run in progress.runs.values()} == {1}
    assert scene.weights() == {100}
    assert min(scene.lowest()) >= 4


def steps_row(scene: Scene, name: str) -> StepState | None:
    try:
        return steps_of(scene)[name]
    except KeyError:
        return None


# -------------------------------------------------------------------------------------- frozen engines, and too many


async def test_an_engine_that_was_put_aside_takes_nothing_back(scene: Scene) -> None:
    """As after a freeze: its lease was ended while it could not see it, and it still holds its lock."""
    scene.remote.hanging = {(host, step_names.DEPLOY) for host in scene.fleet.hosts}
    async with scene.engine() as late:
        await scene.start()
        await scene.until(
            lambda p: sum(n for (_, _, s), n in scene.remote.effects.items() if s == step_names.DEPLOY) == 4
        )
        with scene.store.writing() as conn:
            engines.end(conn, late.id, scene.clock.now())
            successor = conn.execute(
                sa.update(t.order).values(epoch=t.order.c.epoch + 1, engine_id="successor").returning(t.order.c.epoch)
            ).scalar_one()
            before = len(conn.execute(sa.select(t.event)).all())
        with pytest.raises(engine_module.LeaseEnded), scene.store.writing() as conn:
            late._take_over(conn, scene.order_id)
        progress = scene.progress()
        assert progress.epoch == successor
        late.stop()
    with scene.store.reading() as conn:
        assert len(conn.execute(sa.select(t.event)).all()) == before


async def test_a_standby_goes_on_when_its_engine_falls_silent(
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The loop of the engine that has the order stands still, as in a frozen process; its lock stays."""
    monkeypatch.setattr(engine_module, "HEARTBEAT_S", 0.05)
    frozen = asyncio.Event()
    async with scene.engine() as one, scene.engine() as other:
        await scene.start(beta=True)
        await scene.until_state(OrderState.WAITING)
        owner = one if engine_events(scene)[-1]["engine"] == one.id else other

        async def stand_still(*_: object) -> None:
            await frozen.wait()

        monkeypatch.setattr(owner, "_beat", stand_still)
        with scene.store.writing() as conn:
            conn.execute(
                sa.update(t.engine).where(t.engine.c.id == owner.id).values(heartbeat_at=t.engine.c.heartbeat_at - 60)
            )
        await scene.until(lambda p: engine_events(scene)[-1]["engine"] != owner.id)
        frozen.set()
        await scene.accepted(Act.CONFIRM)
        await scene.until_state(OrderState.SUCCEEDED)
        assert engine_events(scene)[-1]["engine"] != owner.id
    assert set(scene.remote.effects.values()) == {1}


async def test_engines_share_the_orders_of_a_postgresql_store(tmp_path: Path, postgres_url: str) -> None:
    store = Store.open(postgres_url)
    with store.writing() as conn:
        fleet = insert_fleet(conn)
    scene = Scene(tmp_path, store, fleet)
    async with scene.engine() as first:
        scene.create()
        await scene.until_state(OrderState.READY)
        async with scene.engine() as second:
            await asyncio.sleep(0.3)
            assert [event["engine"] for event in engine_events(scene)] == [first.id]
            first.stop()
            await scene.until(lambda p: engine_events(scene)[-1]["engine"] == second.id)
            await scene.accepted(Act.START)
            await scene.until_state(OrderState.SUCCEEDED)
    store.close()


# ------------------------------------------------------------------------------------------ bounded ends that are seen


async def test_a_run_that_keeps_breaking_ends_as_failed_and_says_why(
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its log cannot be written, say: nothing on the host or the balancer can tell, so a person must."""
    monkeypatch.setattr("engine.run.reconcile.STORE_PAUSE_S", 0.01)
    whole = Attempt.open_log

    def nowhere(attempt: Attempt) -> HostLog:
        return HostLog(Path("/proc/nowhere/x.log")) if attempt.host == HOST else whole(attempt)

    monkeypatch.setattr(Attempt, "open_log", nowhere)
    async with scene.engine():
        await scene.start()
        progress = await scene.until_state(OrderState.HALTED)
        run = run_of(progress, HOST)
        assert run.problem is not None
        assert run.problem.code == "run_broke"
        assert "FileNotFoundError" in run.problem.evidence
        monkeypatch.setattr(Attempt, "open_log", whole)
        await scene.accepted(Act.RETRY)
        await scene.until_state(OrderState.SUCCEEDED)


async def test_an_order_is_cancelled_in_the_middle_of_its_check(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Event()

    async def never(*_: object, **__: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(scene.remote, "run", never)
    async with scene.engine():
        scene.create()
        await asyncio.wait_for(asked.wait(), 10)
        await scene.accepted(Act.CANCEL, reason="wrong app")
        await scene.until_state(OrderState.CANCELLED)


async def test_a_cancel_ends_though_hosts_cannot_be_reached_and_names_them(scene: Scene) -> None:
    scene.remote.hanging = {(host, step_names.INSTALL_SOFTWARE) for host in scene.fleet.hosts}
    async with scene.engine():
        await scene.start()
        await scene.until(
            lambda p: sum(n for (_, _, s), n in scene.remote.effects.items() if s == step_names.INSTALL_SOFTWARE) == 4
        )
        scene.remote.unreachable = {HOST}
        await scene.accepted(Act.CANCEL, reason="wrong window")
        scene.remote.hanging = set()
        progress = await scene.until_state(OrderState.CANCELLED)
    run = run_of(progress, HOST, Direction.BACK)
    assert run.state is RunState.FAILED
    assert run.problem is not None
    assert run.problem.code == "host_unreachable"
    assert [line.mount.host for line in progress.weights if line.owned] == [HOST]
    assert [server for (server, _), weight in scene.balancer.weights[GROUP].items() if weight == 0] == [f"i-{HOST}"]


async def test_a_cancel_ends_though_a_host_has_left_the_app(scene: Scene) -> None:
    scene.remote.failing = {(HOST, step_names.INSTALL_SOFTWARE)}
    async with scene.engine():
        await scene.start()
        await scene.until_state(OrderState.HALTED)
        with scene.store.writing() as conn:
            host_id = conn.execute(sa.select(t.host.c.id).where(t.host.c.name == HOST)).scalar_one()
            conn.execute(sa.delete(t.service_instance_host).where(t.service_instance_host.c.host_id == host_id))
        await scene.accepted(Act.CANCEL, reason="wrong window")
        progress = await scene.until_state(OrderState.CANCELLED)
    problem = run_of(progress, HOST, Direction.BACK).problem
    assert problem is not None
    assert problem.code == "host_left_instance"
