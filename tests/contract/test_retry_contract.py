"""A host that is tried again begins at the step that failed, where it says itself that what was before is still so; whole orders on
both stores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from engine.domain import step_names as names
from engine.domain.message import Message
from engine.domain.progress import StepProgress
from engine.domain.states import Act, Direction, OrderState, RunState, StepState
from engine.domain.steps import Holds
from engine.kinds import offline, restart
from engine.kinds.chosen_hosts import spec_of
from engine.kinds.release import STEPS
from engine.plan.kept import begins_at
from engine.ports import BalancerRefused, JobEnded, Since, StepEnded, StepStarted
from engine.run.engine import Engine
from engine.steps import service
from engine.store import tables as t
from engine.store.host_runs import load_steps
from tests.contract.test_engine_contract import Scene, scene, url  # noqa: F401
from tests.support.fleet_rows import GROUP
from tests.support.orders import make_order, run_of
from tests.support.world import SimCloud, problem

HOST = "hz-a-02"
KEYS = [step.key for step in STEPS]
BEFORE_DEPLOY = KEYS[: KEYS.index(names.DEPLOY)]


@contextmanager
def no_weight_comes_back(scene: Scene) -> Iterator[None]:  # noqa: F811
    """The balancer's API takes hosts out and refuses to put any in."""
    real = scene.balancer.set_weights

    async def refusing(group: Any, weights: Any) -> str:
        if any(line.weight > 0 for line in weights):
            raise BalancerRefused(problem("refused"), api_code="refused")
        return await real(group, weights)

    scene.balancer.set_weights = refusing  # type: ignore[method-assign]
    yield
    scene.balancer.set_weights = real  # type: ignore[method-assign]


def did(scene: Scene, host: str, attempt: int, node: str = "forward-group-1") -> list[str]:  # noqa: F811
    """The steps that ran on the host in that attempt, in their order."""
    records = scene.remote.records.get((host, f"{node}-{attempt}"), [])
    return [event.step for event in records if isinstance(event, StepStarted)]


def steps_of(scene: Scene, host: str, attempt: int) -> tuple[StepProgress, ...]:  # noqa: F811
    with scene.store.reading() as conn:
        rows = load_steps(conn, scene.order_id, hosts=[host])
    return next(steps for (key, number), steps in rows.items() if key[-1] == host and number == attempt)


def kept(scene: Scene, host: str, attempt: int) -> dict[str, int]:  # noqa: F811
    return {step.key: step.kept_from for step in steps_of(scene, host, attempt) if step.kept_from}


def began(scene: Scene) -> dict[tuple[str, int], str]:  # noqa: F811
    """(host, attempt) → what was said of where it begins."""
    with scene.store.reading() as conn:
        query = sa.select(t.event.c.data).where(t.event.c.order_id == scene.order_id, t.event.c.kind == "begins")
        found = list(conn.execute(query).scalars())
    return {
        (data["host"], data["attempt"]): str(
            begins_at(data["step"], data["kept"], Message.from_json(data["why"]) if "why" in data else None)
        )
        for data in found
    }


async def test_where_only_the_traffic_did_not_come_back_it_alone_is_given(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        with no_weight_comes_back(scene):
            await scene.start()
            progress = await scene.until_state(OrderState.HALTED)
        assert run_of(progress, HOST).failed_at == names.RESTORE_TRAFFIC
        calls, scripts = len(scene.balancer.calls), len(scene.remote.scripts)
        await scene.accepted(Act.RETRY)
        await scene.until(lambda p: run_of(p, HOST).state is RunState.SUCCEEDED)
        progress = await scene.until_state(OrderState.SUCCEEDED)
    group = [host for host in scene.fleet.hosts if host.startswith("hz-a")]
    for host in group:
        assert did(scene, host, 2) == []
        assert kept(scene, host, 2) == dict.fromkeys(KEYS[:-1], 1)
        assert began(scene)[host, 2] == "begins at restore_traffic; steps that are done and still so: 8"
    again = [line for _, lines in scene.balancer.calls[calls:] for line in lines if line.mount.host in group]
    assert {line.weight for line in again} == {100}
    assert not [script for host, script in scene.remote.scripts[scripts:] if host in group and "drain" in script]
    looked = [looks for host, job, looks in scene.remote.recalled if host == HOST and looks]
    assert looked == [(names.DEPLOY, names.CHECK_HEALTH)]
    assert scene.weights() == {100}
    assert set(scene.versions().values()) == {"2.0.0"}
    log = (scene.folder / "logs" / str(scene.order_id) / f"{HOST}.forward-group-1-2.log").read_text()
    assert "deploy: done in attempt 1 and still so" in log
    assert "begins at restore_traffic" in log


async def test_everything_is_done_again_when_that_is_asked_for(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        with no_weight_comes_back(scene):
            await scene.start()
            await scene.until_state(OrderState.HALTED)
        await scene.accepted(Act.RETRY, from_start=True)
        await scene.until_state(OrderState.SUCCEEDED)
    assert did(scene, HOST, 2) == KEYS[1:-1]
    assert kept(scene, HOST, 2) == {}
    assert began(scene)[HOST, 2] == "does everything again, because it was asked for"


def forgets(scene: Scene) -> None:  # noqa: F811
    scene.remote.forgotten.add(HOST)


def says(since: Since) -> Callable[[Scene], None]:
    def change(scene: Scene) -> None:  # noqa: F811
        scene.remote.since[HOST] = since

    return change


def is_changed(step: str, said: str = "") -> Callable[[Scene], None]:
    def change(scene: Scene) -> None:  # noqa: F811
        scene.remote.changed[HOST, step] = said or "no"

    return change


def is_put_in(scene: Scene) -> None:  # noqa: F811
    scene.balancer.weights[GROUP][f"i-{HOST}", 80] = 50


def set_variable(scene: Scene, name: str, value: str) -> None:  # noqa: F811
    with scene.store.writing() as conn:
        row = sa.select(t.host.c.variables).where(t.host.c.name == HOST)
        variables = conn.execute(row).scalar_one() | {name: value}
        conn.execute(sa.update(t.host).where(t.host.c.name == HOST).values(variables=variables))


def is_corrected(scene: Scene) -> None:  # noqa: F811
    set_variable(scene, "jvm_heap", "4g")


CHANGED = {
    "its parameters were corrected": (is_corrected, KEYS[3:-1], "parameters or tech stack of hz-a-02 were changed"),
    "the folder of its jobs is gone": (forgets, KEYS[3:-1], "has no record of attempt 1 any more"),
    "it was restarted": (says(Since.RESTARTED), KEYS[3:-1], "was restarted after attempt 1"),
    "another order has worked there": (says(Since.ANOTHER), KEYS[3:-1], "another order has worked on"),
    "its job was cut off": (says(Since.UNKNOWN), KEYS[3:-1], "does not say when attempt 1 ended"),
    "another version was started by hand": (
        is_changed(names.DEPLOY, service.YOUNGER),
        KEYS[6:-1],
        "was started once more",
    ),
    "its service has died": (is_changed(names.DEPLOY, service.GONE), KEYS[6:-1], "does not listen any more"),
    "nobody can tell whose process serves": (is_changed(names.DEPLOY, service.UNSEEN), KEYS[6:-1], "nobody can tell"),
    "its health check does not pass": (
        is_changed(names.CHECK_HEALTH),
        KEYS[7:-1],
        "check_health is not as it was left",
    ),
}


@pytest.mark.parametrize("name", CHANGED)
async def test_what_is_no_longer_so_is_done_again_and_says_why(scene: Scene, name: str) -> None:  # noqa: F811
    """Preparations are only looked at where work was left; what they prepare for was not to be done, so they are made again."""
    change, again, why = CHANGED[name]
    async with scene.engine():
        with no_weight_comes_back(scene):
            await scene.start()
            await scene.until_state(OrderState.HALTED)
        change(scene)
        await scene.accepted(Act.RETRY)
        await scene.until_state(OrderState.SUCCEEDED)
    ran = did(scene, HOST, 2)
    assert ran == [key for key in KEYS[1:-1] if key in again or key in PREPARATIONS]
    assert why in began(scene)[HOST, 2]
    assert did(scene, "hz-a-01", 2) == []
    assert scene.weights() == {100}


async def test_more_time_for_a_step_changes_nothing_of_what_was_done_before_it(scene: Scene) -> None:  # noqa: F811
    scene.remote.failing = {(HOST, names.CHECK_HEALTH)}
    async with scene.engine():
        await scene.start()
        await scene.until_state(OrderState.HALTED)
        scene.remote.failing = set()
        for name in ("health_deadline_s", "health_interval_s", "drain_s"):
            set_variable(scene, name, "30")
        await scene.accepted(Act.RETRY)
        await scene.until_state(OrderState.SUCCEEDED)
    assert did(scene, HOST, 2) == [names.CHECK_HEALTH]


PREPARATIONS = [step.key for step in STEPS if step.prepares and not step.on_balancer]


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (lambda _: None, []),
        (is_changed(names.DOWNLOAD_SCRIPTS), [names.DOWNLOAD_SCRIPTS]),
        (is_changed(names.CHECK_AGENT), [names.CHECK_AGENT]),
        (is_changed(names.DOWNLOAD_PACKAGE), [names.DOWNLOAD_PACKAGE]),
        (is_put_in, [names.CUT_TRAFFIC]),
    ],
    ids=["nothing", "the stack's archive", "the agent", "the package", "the weight"],
)
async def test_what_prepares_is_made_again_by_itself_before_the_step_that_failed(
    scene: Scene,  # noqa: F811
    change: Callable[[Scene], None],
    again: list[str],
) -> None:
    scene.remote.failing = {(HOST, names.DEPLOY)}
    async with scene.engine():
        await scene.start()
        await scene.until_state(OrderState.HALTED)
        scene.remote.failing = set()
        change(scene)
        await scene.accepted(Act.RETRY)
        await scene.until_state(OrderState.SUCCEEDED)
    assert kept(scene, HOST, 2) == {key: 1 for key in BEFORE_DEPLOY if key not in again}
    assert did(scene, HOST, 2) == [
        key for key in [*again, names.DEPLOY, names.CHECK_HEALTH] if key != names.CUT_TRAFFIC
    ]
    # a weight that somebody else has set is what the host gets back
    assert scene.balancer.weights[GROUP][f"i-{HOST}", 80] == (50 if again == [names.CUT_TRAFFIC] else 100)


async def test_a_host_that_cannot_be_asked_fails_and_forgets_nothing(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        with no_weight_comes_back(scene):
            await scene.start()
            await scene.until_state(OrderState.HALTED)
        scene.remote.unreachable = {HOST}
        await scene.accepted(Act.RETRY)
        progress = await scene.until(lambda p: run_of(p, HOST).attempt == 2 and run_of(p, HOST).state.complete)
        run = run_of(progress, HOST)
        assert (run.state, run.failed_at) == (RunState.FAILED, names.RESTORE_TRAFFIC)
        assert run.problem is not None
        assert run.problem.code == "host_unreachable"
        assert scene.balancer.weights[GROUP][f"i-{HOST}", 80] == 0
        scene.remote.unreachable = set()
        await scene.until_state(OrderState.HALTED)
        await scene.accepted(Act.RETRY)
        await scene.until_state(OrderState.SUCCEEDED)
    assert kept(scene, HOST, 3) == dict.fromkeys(KEYS[:-1], 1)
    assert did(scene, HOST, 2) == did(scene, HOST, 3) == []


async def test_what_a_host_has_done_unseen_is_kept_too(scene: Scene) -> None:  # noqa: F811
    """The link was lost in the middle of the deploy; the job went on to its end."""
    scene.remote.hanging = {(HOST, names.DEPLOY)}
    async with scene.engine():
        await scene.start()
        await scene.until(lambda _: names.DEPLOY in did(scene, HOST, 1))
        scene.remote.unreachable = {HOST}
        scene.remote.hanging = set()
        progress = await scene.until_state(OrderState.HALTED)
        assert run_of(progress, HOST).failed_at == names.DEPLOY
        scene.remote.unreachable = set()
        record = scene.remote.records[HOST, "forward-group-1-1"]
        record += [StepEnded(names.DEPLOY, 0, False, 0.0, len(record)), StepStarted(names.CHECK_HEALTH, 0.0, 90)]
        record += [StepEnded(names.CHECK_HEALTH, 0, False, 0.0, 91), JobEnded(False, 92)]
        await scene.accepted(Act.RETRY)
        progress = await scene.until_state(OrderState.SUCCEEDED)
    assert did(scene, HOST, 2) == []
    assert kept(scene, HOST, 2) == dict.fromkeys(KEYS[:-1], 1)
    assert scene.versions()[HOST] == "2.0.0"
    assert run_of(progress, HOST).touched


async def test_an_engine_that_is_killed_in_the_middle_of_a_retry_is_followed_by_one_that_goes_on(
    scene: Scene,  # noqa: F811
) -> None:
    scene.remote.failing = {(HOST, names.INSTALL_SOFTWARE)}
    engine = Engine(
        scene.store, remote=scene.remote, cloud=SimCloud(scene.balancer, scene.objects), clock=scene.clock,
        log_dir=scene.folder / "logs", idle_s=None,
    )  # fmt: skip
    killed = asyncio.create_task(engine.run())
    await scene.start()
    await scene.until_state(OrderState.HALTED)
    scene.remote.failing, scene.remote.hanging = set(), {(HOST, names.DEPLOY)}
    await scene.accepted(Act.RETRY)
    await scene.until(lambda _: names.DEPLOY in did(scene, HOST, 2))
    await scene.crash(killed)
    scene.remote.hanging = set()
    async with scene.engine():
        await scene.until_state(OrderState.SUCCEEDED)
    assert did(scene, HOST, 2) == KEYS[3:-1]
    assert all(count == 1 for count in scene.remote.effects.values())
    assert kept(scene, HOST, 2) == dict.fromkeys(KEYS[:3], 1)


async def test_a_second_retry_keeps_what_the_first_has_kept(scene: Scene) -> None:  # noqa: F811
    scene.remote.failing = {(HOST, names.DEPLOY)}
    async with scene.engine():
        await scene.start()
        await scene.until_state(OrderState.HALTED)
        await scene.accepted(Act.RETRY)
        await scene.until(lambda p: run_of(p, HOST).attempt == 2 and run_of(p, HOST).state.complete)
        scene.remote.failing = {(HOST, names.CHECK_HEALTH)}
        await scene.until_state(OrderState.HALTED)
        await scene.accepted(Act.RETRY)
        await scene.until(lambda p: run_of(p, HOST).attempt == 3 and run_of(p, HOST).state.complete)
        scene.remote.failing = set()
        await scene.until_state(OrderState.HALTED)
        await scene.accepted(Act.RETRY)
        await scene.until_state(OrderState.SUCCEEDED)
    assert did(scene, HOST, 3) == [names.DEPLOY, names.CHECK_HEALTH]
    assert did(scene, HOST, 4) == [names.CHECK_HEALTH]
    assert kept(scene, HOST, 4) == {**dict.fromkeys(BEFORE_DEPLOY, 1), names.DEPLOY: 3}


async def test_the_way_back_begins_where_it_failed_too(scene: Scene) -> None:  # noqa: F811
    scene.remote.failing = {(HOST, names.CHECK_HEALTH)}
    async with scene.engine():
        await scene.start()
        await scene.until_state(OrderState.HALTED)
        scene.remote.failing = set()
        with no_weight_comes_back(scene):
            await scene.accepted(Act.ROLL_BACK, reason="not good")
            progress = await scene.until_state(OrderState.HALTED)
        assert progress.direction is Direction.BACK
        await scene.accepted(Act.RETRY)
        await scene.until_state(OrderState.ROLLED_BACK)
    backs = {key for host, key, _ in scene.remote.effects if host == HOST and key.startswith("back-")}
    assert {key[-2:] for key in backs} == {"-1"}
    assert scene.weights() == {100}


@pytest.mark.parametrize(("kind", "steps"), [("restart", restart.STEPS), ("offline", offline.STEPS)])
async def test_another_kind_begins_where_it_failed(scene: Scene, kind: str, steps: Any) -> None:  # noqa: F811
    """Restart gives its weights back; offline says that 0 is wanted, which asks the balancer for nothing unless it has changed."""
    real = scene.balancer.read_weights

    async def away(group: Any) -> Any:
        if did(scene, HOST, 1) and not scene.remote.failing:
            raise BalancerRefused(problem("refused"), api_code="refused")
        return await real(group)

    async with scene.engine():
        with scene.store.writing() as conn:
            spec = spec_of(kind, ["shop"], hosts=[HOST], override_reason="at night")
            scene.order_id = make_order(conn, scene.fleet.workspace_id, spec)
        await scene.until_state(OrderState.READY)
        scene.balancer.read_weights = away  # type: ignore[method-assign]
        await scene.accepted(Act.START)
        progress = await scene.until_state(OrderState.HALTED)
        assert run_of(progress, HOST).failed_at == steps[-1].key
        scene.balancer.read_weights = real  # type: ignore[method-assign]
        await scene.accepted(Act.RETRY)
        await scene.until_state(OrderState.SUCCEEDED)
    assert did(scene, HOST, 1) == [step.key for step in steps if not step.on_balancer]
    assert did(scene, HOST, 2) == []
    assert [step.state for step in steps_of(scene, HOST, 2)] == [StepState.SUCCEEDED] * len(steps)


def test_every_step_that_is_shipped_says_who_knows_whether_it_is_still_so() -> None:
    assert not [step.key for step in (*STEPS, *restart.STEPS, *offline.STEPS) if step.holds is Holds.UNKNOWN]
