"""Limits that change while an order runs, a pause before a group, and handing over; whole orders on both stores."""

from __future__ import annotations

import sqlalchemy as sa

from engine.domain import step_names as names
from engine.domain.states import Act, NodeState, OrderState, RunState, Strategy
from engine.store import tables as t
from tests.contract.test_engine_contract import Scene, scene, url  # noqa: F401
from tests.support.orders import run_of

HOST = "hz-a-02"


async def test_a_smaller_parallelism_holds_back_the_next_host_and_a_greater_one_lets_it_begin(scene: Scene) -> None:  # noqa: F811
    scene.remote.hanging |= {(host, names.DEPLOY) for host in scene.fleet.hosts}
    async with scene.engine():
        await scene.start(strategy=Strategy.ONE_GROUP, parallelism=1, override_reason="try")
        await scene.until(lambda p: any(run.state is RunState.RUNNING for run in p.current_runs))
        await scene.accepted(Act.SET_LIMITS, parallelism=2)
        progress = await scene.until(lambda p: sum(run.state is RunState.RUNNING for run in p.current_runs) == 2)
        assert (progress.parallelism, progress.max_failures) == (2, 0)
        assert await scene.refused(Act.SET_LIMITS, parallelism=0) == "limit_out_of_range"
        scene.remote.hanging.clear()
        await scene.until_state(OrderState.SUCCEEDED)


async def test_a_greater_failure_budget_lets_a_halted_group_go_on(scene: Scene) -> None:  # noqa: F811
    scene.remote.failing.add((HOST, names.DEPLOY))
    async with scene.engine():
        await scene.start(parallelism=1)
        progress = await scene.until_state(OrderState.HALTED)
        waiting = [run.host for run in progress.current_runs if run.state is RunState.PENDING]
        assert waiting
        await scene.accepted(Act.SET_LIMITS, max_failures=1)
        await scene.until(lambda p: all(run_of(p, host).state is RunState.SUCCEEDED for host in waiting))
        progress = await scene.until_state(OrderState.HALTED)  # no order ends with a failed host of its own
    assert progress.max_failures == 1
    assert run_of(progress, HOST).state is RunState.FAILED


async def test_the_order_pauses_when_the_turn_of_the_group_comes_and_goes_on_when_resumed(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await scene.start(beta=True, beta_hosts=("hz-a-01",))
        await scene.until_state(OrderState.WAITING)
        await scene.accepted(Act.PAUSE_BEFORE, node="group-2")
        assert await scene.refused(Act.PAUSE_BEFORE, node="group-2") == "nothing_changes"
        assert await scene.refused(Act.PAUSE_BEFORE, node="beta") == "group_has_begun"
        assert await scene.refused(Act.PAUSE_BEFORE, node="group-9") == "no_such_group"
        await scene.accepted(Act.CONFIRM)
        progress = await scene.until(lambda p: p.paused)
        nodes = {key: node.state for (_, key), node in progress.nodes.items()}
        assert (nodes["group-1"], nodes["group-2"]) == (NodeState.SUCCEEDED, NodeState.PENDING)
        assert progress.pauses_before == ()
        await scene.until_state(OrderState.HALTED)
    async with scene.engine():  # another engine finds it paused and leaves it so
        assert scene.progress().paused
        await scene.accepted(Act.RESUME)
        await scene.until_state(OrderState.SUCCEEDED)
    with scene.store.reading() as conn:
        kinds = conn.execute(sa.select(t.event.c.kind).where(t.event.c.order_id == scene.order_id)).scalars()
        assert list(kinds).count("paused") == 1


async def test_a_pause_that_was_taken_back_does_not_happen(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await scene.start(beta=True, beta_hosts=("hz-a-01",))
        await scene.until_state(OrderState.WAITING)
        await scene.accepted(Act.PAUSE_BEFORE, node="group-2")
        await scene.accepted(Act.PAUSE_BEFORE, node="group-2", off=True)
        await scene.accepted(Act.CONFIRM)
        progress = await scene.until_state(OrderState.SUCCEEDED)
    assert not progress.paused


async def test_whoever_may_act_takes_the_order_over_and_nobody_else(scene: Scene) -> None:  # noqa: F811
    with scene.store.writing() as conn:
        tenant = conn.execute(sa.select(t.tenant.c.id).order_by(t.tenant.c.id).limit(1)).scalar_one()
        for name, role in (("alice", "admin"), ("bob", "operator"), ("eve", "viewer")):
            operator = conn.execute(sa.insert(t.operator).values(name=name).returning(t.operator.c.id)).scalar_one()
            conn.execute(sa.insert(t.operator_role).values(operator_id=operator, tenant_id=tenant, role=role))
    async with scene.engine():
        await scene.start(beta=True, beta_hosts=("hz-a-01",))
        await scene.until_state(OrderState.WAITING)
        assert await scene.refused(Act.HAND_OVER, to="eve") == "nobody_to_hand_to"
        assert await scene.refused(Act.HAND_OVER, to="alice") == "responsible_already"
        await scene.accepted(Act.HAND_OVER, to="bob")
        progress = scene.progress()
    assert (progress.created_by, progress.responsible) == ("alice", "bob")
