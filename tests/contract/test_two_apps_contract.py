"""An order of two apps: chains that wait for each other where one needs the other, and run side by side where none does.

It runs, is killed in the middle, resumed, cancelled and rolled back, on both stores.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from engine.api import Api
from engine.api_errors import ApiError
from engine.domain.acts import RollBack
from engine.domain.orders import AppAsked, Grouping, OrderSpec
from engine.domain.progress import OrderProgress
from engine.domain.states import Act, Direction, NodeState, OrderState
from engine.kinds.asked import pack
from engine.kinds.release import Release
from engine.run.engine import Engine
from engine.store import tables as t
from engine.store.store import Store
from tests.contract.test_engine_contract import REMOTE_STEPS, Scene, url  # noqa: F401
from tests.support.fleet_rows import PAY_GROUP, insert_fleet, insert_second_app
from tests.support.orders import make_order
from tests.support.world import SimCloud

SHOP = ("hz-a-01", "hz-a-02", "hz-b-01", "hz-b-02")
PAY = ("pay-01", "pay-02", "pay-03", "pay-04")


@pytest.fixture
def scene(tmp_path: Path, url: str) -> Any:  # noqa: F811
    store = Store.open(url)
    with store.writing() as conn:
        fleet = insert_fleet(conn, hosts=len(SHOP))
        pay = insert_second_app(conn, fleet)
    made = Scene(tmp_path, store, fleet)
    made.balancer.weights[PAY_GROUP] = dict(pay.weights)
    yield made
    store.close()


HERE = ("acme", "prod")


def api_of(scene: Scene) -> Api:
    api = Api(scene.store.url, operator="alice", log_dir=scene.folder, now=time.time)
    api.open()
    return api


def create(scene: Scene, *needs_of_pay: str, **grouping: Any) -> None:
    """Pay is listed first: where it needs shop it goes second all the same."""
    apps = (AppAsked("pay", "2.0.0", needs_of_pay), AppAsked("shop", "2.0.0"))
    with scene.store.writing() as conn:
        spec = OrderSpec(pack("release", Release(apps)), title="both", grouping=Grouping(**grouping))
        scene.order_id = make_order(conn, scene.fleet.workspace_id, spec)


async def started(scene: Scene, *needs_of_pay: str, **grouping: Any) -> None:
    create(scene, *needs_of_pay, **grouping)
    await scene.until_state(OrderState.READY)
    await scene.accepted(Act.START)


def begun(scene: Scene) -> set[str]:
    """Hosts on which anything was done."""
    return {host for host, _, _ in scene.remote.effects}


def nodes_done(progress: OrderProgress) -> set[str]:
    return {key for (_, key), node in progress.nodes.items() if node.state is NodeState.SUCCEEDED}


def current_versions(scene: Scene) -> dict[str, str]:
    with scene.store.reading() as conn:
        query = sa.select(t.app.c.name, t.service_instance.c.current_version).join(t.service_instance)
        return {row.name: row.current_version for row in conn.execute(query)}


async def test_an_app_that_needs_another_begins_when_that_is_done(scene: Scene) -> None:
    scene.remote.hanging = {("hz-b-02", "deploy")}
    async with scene.engine():
        await started(scene, "shop")
        await scene.until(lambda _: set(SHOP) <= begun(scene))
        assert not begun(scene) & set(PAY)
        assert scene.progress().nodes[Direction.FORWARD, "pay-group-1"].state is NodeState.PENDING
        scene.remote.hanging = set()
        progress = await scene.until_state(OrderState.SUCCEEDED)
    assert set(scene.versions().values()) == {"2.0.0"}
    assert current_versions(scene) == {"shop": "2.0.0", "pay": "2.0.0"}
    assert [set(weights.values()) for weights in scene.balancer.weights.values()] == [{100}, {100}]
    assert not any(line.owned for line in progress.weights)
    assert {line.mount.server_group for line in progress.weights} == set(scene.balancer.weights)


async def test_apps_that_do_not_need_each_other_run_side_by_side(scene: Scene) -> None:
    scene.remote.hanging = {("hz-a-01", "deploy")}
    async with scene.engine():
        await started(scene)
        await scene.until(lambda progress: "pay-group-2" in nodes_done(progress))
        assert scene.progress().nodes[Direction.FORWARD, "shop-group-1"].state is NodeState.RUNNING
        scene.remote.hanging = set()
        await scene.until_state(OrderState.SUCCEEDED)
    assert set(scene.versions().values()) == {"2.0.0"}


async def test_killed_in_the_second_app_it_goes_on_there_and_nothing_is_done_twice(scene: Scene) -> None:
    scene.remote.hanging = {("pay-01", "deploy")}
    engine = Engine(
        scene.store, remote=scene.remote, cloud=SimCloud(scene.balancer, scene.objects), clock=scene.clock,
        log_dir=scene.folder / "logs", idle_s=None,
    )  # fmt: skip
    killed = asyncio.create_task(engine.run())
    await started(scene, "shop")
    await scene.until(lambda _: any((host, step) == ("pay-01", "deploy") for host, _, step in scene.remote.effects))
    await scene.crash(killed)
    scene.remote.hanging = set()
    async with scene.engine():
        await scene.until_state(OrderState.SUCCEEDED)
    assert set(scene.remote.effects.values()) == {1}
    assert len(scene.remote.effects) == len(REMOTE_STEPS) * len(SHOP + PAY)


async def test_each_app_has_its_own_beta_and_the_second_waits_for_the_last_group_of_the_first(scene: Scene) -> None:
    async with scene.engine():
        await started(scene, "shop", beta=True, count=1)
        progress = await scene.until_state(OrderState.WAITING)
        assert len(begun(scene)) == 2
        assert begun(scene) < set(SHOP)
        await scene.accepted(Act.CONFIRM)
        progress = await scene.until(
            lambda p: p.nodes[Direction.FORWARD, "pay-beta-confirm"].state is NodeState.WAITING
        )
        assert "shop-group-1" in nodes_done(progress)
        assert "pay-group-1" not in nodes_done(progress)
        await scene.accepted(Act.CONFIRM)
        await scene.until_state(OrderState.SUCCEEDED)


async def test_rolled_back_in_the_second_app_both_run_what_they_ran_and_the_one_that_needs_goes_first(
    scene: Scene,
) -> None:
    scene.remote.failing = {("pay-01", "check_health")}
    async with scene.engine():
        await started(scene, "shop")
        await scene.until_state(OrderState.HALTED)
        scene.remote.failing = set()
        await scene.accepted(Act.ROLL_BACK, reason="pay does not come up")
        progress = await scene.until_state(OrderState.ROLLED_BACK)
    assert set(scene.versions().values()) == {"1.0.0"}
    assert current_versions(scene) == {"shop": "1.0.0", "pay": "1.0.0"}
    assert [set(weights.values()) for weights in scene.balancer.weights.values()] == [{100}, {100}]
    ended = {run.host: run.ended_at or 0.0 for run in progress.towards(Direction.BACK)}
    begun_at = {run.host: run.started_at or 0.0 for run in progress.towards(Direction.BACK)}
    touched = [host for host in PAY if host in ended]
    assert touched
    assert max(ended[host] for host in touched) <= min(begun_at[host] for host in SHOP)
    assert progress.back_plan is not None
    labels = [str(node.label) for node in progress.back_plan.nodes if node.runs]
    assert labels[0].startswith("pay: way back")
    assert labels[-1].startswith("shop: way back")


async def test_after_its_end_both_apps_go_back_to_what_each_ran(scene: Scene) -> None:
    async with scene.engine():
        await started(scene, "shop")
        await scene.until_state(OrderState.SUCCEEDED)
        first, api = scene.order_id, api_of(scene)
        meaning = api.consequence(*HERE, first, RollBack())
        assert (meaning.allowed, meaning.choices) == (True, ("",))
        with pytest.raises(ApiError, match="each"):
            api.create_rollback(*HERE, first, RollBack("1.0.0"), reason="bad")
        scene.order_id = api.create_rollback(*HERE, first, RollBack(), reason="bad")
        await scene.until_state(OrderState.READY)
        assert {app.app: (app.to_version, app.needs) for app in scene.progress().apps} == {
            "pay": ("1.0.0", ()), "shop": ("1.0.0", ("pay",))
        }  # fmt: skip
        await scene.accepted(Act.START)
        await scene.until_state(OrderState.SUCCEEDED)
    assert set(scene.versions().values()) == {"1.0.0"}
    assert current_versions(scene) == {"shop": "1.0.0", "pay": "1.0.0"}


async def test_an_app_that_can_not_go_back_forbids_the_way_back_and_is_named(scene: Scene) -> None:
    with scene.store.writing() as conn:
        pay = sa.select(t.app.c.id).where(t.app.c.name == "pay").scalar_subquery()
        conn.execute(sa.delete(t.package).where(t.package.c.app_id == pay, t.package.c.version == "1.0.0"))
    async with scene.engine():
        await started(scene, "shop")
        await scene.until_state(OrderState.SUCCEEDED)
    meaning = api_of(scene).consequence(*HERE, scene.order_id, RollBack())
    assert meaning.refusal is not None
    assert str(meaning.refusal.what).startswith("pay has no earlier version")


async def test_cancelled_in_the_first_app_the_second_is_never_begun(scene: Scene) -> None:
    scene.remote.failing = {("hz-a-01", "check_health")}
    async with scene.engine():
        await started(scene, "shop")
        await scene.until_state(OrderState.HALTED)
        scene.remote.failing = set()
        await scene.accepted(Act.CANCEL, reason="not today")
        progress = await scene.until_state(OrderState.CANCELLED)
    assert not begun(scene) & set(PAY)
    assert progress.runs[Direction.FORWARD, "pay-group-1", "pay-01"].started_at is None
    assert current_versions(scene) == {"shop": "1.0.0", "pay": "1.0.0"}


async def test_an_open_order_of_two_apps_forbids_another_on_either(scene: Scene) -> None:
    async with scene.engine():
        create(scene, "shop")
        await scene.until_state(OrderState.READY)
        first = scene.order_id
        scene.create()
        progress = await scene.until_state(OrderState.INIT_FAILED)
    (problem,) = (problem for _, problem in progress.problems if problem.code == "open_order")
    assert f"#{first}" in str(problem.what)
