"""A kind that is defined here: two commands on the same hosts, one after the other in two nodes. It needs nothing of the engine.

It runs, is killed in the middle, resumed, and rolled back, on both stores.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import pytest

from engine.domain.fleet import Facts
from engine.domain.message import message
from engine.domain.orders import AppAsked, HostIs, HostPlan, OrderSpec, Plan, PlanNode
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress
from engine.domain.states import Act, Direction, HostState, NodeKind, NodeState, OrderState, RunState
from engine.domain.steps import Holds, InDoubt, StepPlan, Where
from engine.kinds import registry
from engine.kinds.asked import pack, unpack
from engine.kinds.kind import Checks, Kind
from engine.plan.back import Back, SucceededVersions, WayBack, plan_rollback
from engine.plan.groups import fleet_hash
from engine.ports import RemoteStep, StepStarted
from engine.run.engine import Engine
from engine.steps import registry as steps
from engine.steps.context import StepContext
from tests.contract.test_engine_contract import Scene, scene, url  # noqa: F401
from tests.support.orders import make_order
from tests.support.world import SimCloud

HOSTS = ("hz-a-01", "hz-b-01")
FIRST, SECOND = "first", "second"


@dataclass(frozen=True, slots=True)
class Toy:
    app: str
    hosts: tuple[str, ...]


def say(context: StepContext, step: StepPlan) -> RemoteStep:
    return RemoteStep(step.key, f"echo {step.params['words']}\n", 10.0)


def said(key: str, words: str) -> StepPlan:
    return StepPlan(key, "say", Where.HOST, InDoubt.ASK, sets=("state",), title=key, params={"words": words})


DO = (said("say-1", "hello"), said("say-2", "again"))
UNDO = (said("unsay", "never mind"),)


def plan(spec: OrderSpec, facts: Facts) -> Plan:
    """No balancer is touched: both nodes have the same hosts."""

    def node(key: str, needs: str) -> PlanNode:
        is_ = HostIs("1.0.0", HostState.DEPLOYED)
        runs = tuple(
            HostPlan(host, "shop", DO, UNDO, (), is_, is_, HostState.DEPLOYED, HostState.DEPLOY_FAILED, (), ())
            for host in unpack(spec.what, Toy).hosts
        )
        return PlanNode(key, NodeKind.GROUP, (needs,), message("the words, {key}", key=key), runs)

    nodes = (
        PlanNode("initialise", NodeKind.INITIALISE, (), message("initialise")),
        node(FIRST, "initialise"),
        node(SECOND, FIRST),
        PlanNode("finish", NodeKind.FINISH, (SECOND,), message("finish")),
    )
    return Plan(Direction.FORWARD, nodes, fleet_hash(facts), 0, 8, 8, beside=facts.weights)


def no_problem(spec: OrderSpec, facts: Facts) -> list[Problem]:
    return []


def undo(progress: OrderProgress, version: str | None, succeeded: SucceededVersions) -> Back:
    return Back(plan_rollback(progress))


TOY = Kind(
    name="toy",
    word=message("toy"),
    apps=lambda spec: [AppAsked(unpack(spec.what, Toy).app)],
    hosts=lambda spec, facts: unpack(spec.what, Toy).hosts,
    forbids=no_problem,
    checks=lambda spec, facts: Checks(unpack(spec.what, Toy).hosts),
    plan=plan,
    way_back=WayBack(undo),
    records=lambda progress: [],
    notes=lambda spec, facts, plan: [],
)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.KINDS, "toy", TOY)
    row = steps.StepRow(DO[0], message("say"), say)
    monkeypatch.setitem(steps.STEPS, "say", row)


def create(scene: Scene) -> None:  # noqa: F811
    with scene.store.writing() as conn:
        spec = OrderSpec(pack("toy", Toy("shop", HOSTS)), title="words")
        scene.order_id = make_order(conn, scene.fleet.workspace_id, spec)


def begun(scene: Scene) -> list[tuple[str, str, str]]:  # noqa: F811
    """(host, job, step) as the hosts' own records have them, in no order."""
    return [
        (host, job, event.step)
        for (host, job), events in scene.remote.records.items()
        for event in events
        if isinstance(event, StepStarted)
    ]


ALL = {(host, f"forward-{node}-1", key) for host in HOSTS for node in (FIRST, SECOND) for key in ("say-1", "say-2")}


async def test_two_commands_on_the_same_hosts_in_two_nodes_run_once_each(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        create(scene)
        await scene.until_state(OrderState.READY)
        await scene.accepted(Act.START)
        progress = await scene.until_state(OrderState.SUCCEEDED)
    assert sorted(begun(scene)) == sorted(ALL)
    assert {run.state for run in progress.runs.values()} == {RunState.SUCCEEDED}
    assert len(progress.runs) == 4
    assert scene.balancer.calls == []
    assert set(scene.versions().values()) == {"1.0.0"}
    log = (scene.folder / "logs" / str(scene.order_id) / f"{HOSTS[0]}.forward-{SECOND}-1.log").read_text()
    assert "say-2" in log


async def test_killed_in_the_middle_it_goes_on_and_nothing_is_done_twice(scene: Scene) -> None:  # noqa: F811
    scene.remote.hanging = {(HOSTS[0], "say-2")}
    engine = Engine(
        scene.store, remote=scene.remote, cloud=SimCloud(scene.balancer, scene.objects), clock=scene.clock,
        log_dir=scene.folder / "logs", idle_s=None,
    )  # fmt: skip
    killed = asyncio.create_task(engine.run())
    create(scene)
    await scene.until_state(OrderState.READY)
    await scene.accepted(Act.START)
    await scene.until(lambda _: (HOSTS[0], f"forward-{FIRST}-1", "say-2") in begun(scene))
    await scene.crash(killed)
    assert scene.progress().nodes[Direction.FORWARD, SECOND].state is NodeState.PENDING
    scene.remote.hanging = set()
    async with scene.engine():
        await scene.until_state(OrderState.SUCCEEDED)
    assert sorted(begun(scene)) == sorted(ALL)


@pytest.mark.parametrize(
    ("holds", "forgotten", "again"),
    [
        (Holds.RECORD, False, ["say-2"]),
        (Holds.RECORD, True, ["say-1", "say-2"]),
        (Holds.UNKNOWN, False, ["say-1", "say-2"]),
    ],
    ids=["recorded", "record gone", "unknown"],
)
async def test_tried_again_it_begins_where_it_failed_if_somebody_can_tell(
    scene: Scene,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    holds: Holds,
    forgotten: bool,
    again: list[str],
) -> None:
    monkeypatch.setitem(globals(), "DO", tuple(replace(step, holds=holds) for step in DO))
    scene.remote.failing = {(HOSTS[1], "say-2")}
    async with scene.engine():
        create(scene)
        await scene.until_state(OrderState.READY)
        await scene.accepted(Act.START)
        await scene.until_state(OrderState.HALTED)
        scene.remote.failing = set()
        if forgotten:
            scene.remote.forgotten.add(HOSTS[1])
        await scene.accepted(Act.RETRY)
        await scene.until_state(OrderState.SUCCEEDED)
    assert [step for host, job, step in begun(scene) if (host, job) == (HOSTS[1], f"forward-{FIRST}-2")] == again


async def test_rolled_back_it_is_undone_from_the_last_node_to_the_first(scene: Scene) -> None:  # noqa: F811
    scene.remote.failing = {(HOSTS[1], "say-2")}
    async with scene.engine():
        create(scene)
        await scene.until_state(OrderState.READY)
        await scene.accepted(Act.START)
        await scene.until_state(OrderState.HALTED)
        scene.remote.failing = set()
        await scene.accepted(Act.RETRY)
        scene.remote.failing = {(HOSTS[0], "say-1")}
        await scene.until(lambda p: p.nodes[Direction.FORWARD, SECOND].state is not NodeState.PENDING)
        await scene.until_state(OrderState.HALTED)
        scene.remote.failing = set()
        await scene.accepted(Act.ROLL_BACK, reason="the wrong words")
        progress = await scene.until_state(OrderState.ROLLED_BACK)
    undone = [(host, job) for host, job, step in begun(scene) if step == "unsay"]
    assert sorted(undone) == sorted((host, f"back-back-{n}-1") for host in HOSTS for n in (1, 2))
    assert [node.key for node in progress.plan_towards(Direction.BACK).nodes] == ["back-1", "back-2", "back-finish"]


async def test_an_order_of_a_kind_that_is_not_known_is_left_alone(
    scene: Scene,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create(scene)
    monkeypatch.delitem(registry.KINDS, "toy")
    async with scene.engine():
        state, problem = await scene.act(Act.CANCEL, reason="let us see")
        await asyncio.sleep(0.3)
        assert scene.progress().state is OrderState.INITIALISING
    assert state == "refused"
    assert problem is not None
    assert problem["code"] == "kind_unknown"


async def test_an_order_with_a_step_that_is_not_known_is_left_alone(
    scene: Scene,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scene.engine():
        create(scene)
        await scene.until_state(OrderState.READY)
        monkeypatch.delitem(steps.STEPS, "say")
        assert await scene.refused(Act.START) == "step_unknown"
    assert begun(scene) == []


def strange(scene: Scene, host: str, job: str) -> None:  # noqa: F811
    """Somebody else's job under our name."""
    scene.remote.records[host, job] = [StepStarted("format-disk", 0.0, 0)]


async def test_a_record_of_a_step_the_plan_does_not_have_is_an_error(scene: Scene) -> None:  # noqa: F811
    strange(scene, HOSTS[0], f"forward-{FIRST}-1")
    async with scene.engine():
        create(scene)
        await scene.until_state(OrderState.READY)
        await scene.accepted(Act.START)
        progress = await scene.until_state(OrderState.HALTED)
    failed: Any = [run for run in progress.runs.values() if run.state is RunState.FAILED]
    assert [(run.host, run.problem.code) for run in failed] == [(HOSTS[0], "step_unknown")]
