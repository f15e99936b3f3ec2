"""Taking hosts offline: the whole order over a real store and a simulated world. The zero it leaves is wanted."""

from __future__ import annotations

import sqlalchemy as sa

from engine.api import Api
from engine.domain.states import Act, Direction, OrderState
from engine.store import tables as t
from tests.contract.test_engine_contract import Scene, scene, url  # noqa: F401
from tests.contract.test_restart_contract import create, start, states
from tests.support.fleet_rows import GROUP

HERE = ("acme", "prod")
OUT = ("hz-a-01", "hz-b-01")


def weight(scene: Scene, host: str) -> int:  # noqa: F811
    return scene.balancer.weights[GROUP][f"i-{host}", 80]


def orphans(scene: Scene) -> int:  # noqa: F811
    api = Api(scene.store.url, operator="alice", log_dir=scene.folder / "logs")
    api.open()
    try:
        return api.orphan_count(*HERE)
    finally:
        api.close()


def owned(scene: Scene) -> list[str]:  # noqa: F811
    with scene.store.reading() as conn:
        return list(conn.execute(sa.select(t.weight.c.host).where(t.weight.c.owned)).scalars())


async def test_offline_hosts_are_at_zero_and_nobody_owns_it(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await start(scene, "offline", hosts=OUT, groups=1)
        await scene.until_state(OrderState.SUCCEEDED)
    assert {host for host, state in states(scene).items() if state == "offline"} == set(OUT)
    assert {weight(scene, host) for host in OUT} == {0}
    assert owned(scene) == []
    assert orphans(scene) == 0
    assert {step for _, _, step in scene.remote.effects} == {"download_scripts", "offline"}
    assert set(scene.versions().values()) == {"1.0.0"}


async def test_the_zero_becomes_nobodys_in_the_moment_in_which_the_step_is_done(scene: Scene) -> None:  # noqa: F811
    """Were it let go before, a cancel in between would leave it at 0 with nobody who knows."""
    seen: set[tuple[str, bool]] = set()
    of_host = sa.and_(t.weight.c.order_id == t.step.c.order_id, t.weight.c.host == t.step.c.host)
    cut = sa.and_(t.step.c.key == "keep_out", t.weight.c.asked == 0)
    query = sa.select(t.step.c.state, t.weight.c.owned).join(t.weight, of_host).where(cut)

    def look(conn: sa.Connection) -> None:
        seen.update((str(row.state), row.owned) for row in conn.execute(query))

    sa.event.listen(scene.store.engine, "commit", look)
    async with scene.engine():
        await start(scene, "offline", hosts=OUT, groups=1)
        await scene.until_state(OrderState.SUCCEEDED)
    assert seen == {("pending", True), ("running", True), ("succeeded", False)}


async def test_a_host_that_is_offline_is_given_no_weight_by_hand(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await start(scene, "offline", hosts=OUT, beta=True, groups=1)
        await scene.until_state(OrderState.WAITING)
        assert states(scene)[OUT[0]] == "offline"
        assert await scene.refused(Act.SET_WEIGHTS, weights={OUT[0]: 50}) == "no_weights_now"
        await scene.accepted(Act.CONFIRM, node="beta-confirm")
        await scene.until_state(OrderState.SUCCEEDED)
    assert {weight(scene, host) for host in OUT} == {0}


async def test_a_release_leaves_offline_hosts_as_they_are(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        await start(scene, "offline", hosts=OUT, groups=1)
        await scene.until_state(OrderState.SUCCEEDED)
        scene.remote.records.clear()
        await scene.start(groups=2)
        await scene.until_state(OrderState.SUCCEEDED)
    assert {weight(scene, host) for host in OUT} == {0}
    assert {host for host, version in scene.versions().items() if version == "1.0.0"} == set(OUT)
    assert owned(scene) == []


async def test_a_host_whose_script_fails_is_the_orders_until_somebody_decides(scene: Scene) -> None:  # noqa: F811
    scene.remote.failing = {("hz-a-01", "offline")}
    async with scene.engine():
        await start(scene, "offline", hosts=OUT, groups=1)
        await scene.until_state(OrderState.HALTED)
        assert owned(scene) == ["hz-a-01"]
        scene.remote.failing = set()
        await scene.accepted(Act.CANCEL, reason="it stays in service")
        await scene.until_state(OrderState.CANCELLED)
    # it answers, so it takes traffic again; the one that is offline stays so
    assert states(scene)["hz-a-01"] == "deployed"
    assert (weight(scene, "hz-a-01"), weight(scene, "hz-b-01")) == (100, 0)
    assert owned(scene) == []


async def test_a_way_back_that_fails_leaves_a_zero_that_is_known(scene: Scene) -> None:  # noqa: F811
    """The weight is at 0 already when the way back cuts it: it holds it from then on all the same."""
    scene.remote.failing = {("hz-a-01", "offline"), ("hz-b-01", "check_agent")}
    async with scene.engine():
        await start(scene, "offline", hosts=OUT, groups=1)
        await scene.until_state(OrderState.HALTED)
        assert "hz-b-01" not in owned(scene)
        await scene.accepted(Act.ROLL_BACK, reason="they are needed")
        await scene.until(lambda p: p.direction is Direction.BACK and p.state is OrderState.HALTED)
        await scene.accepted(Act.CANCEL, reason="later")
        await scene.until_state(OrderState.FAILED)
    assert weight(scene, "hz-b-01") == 0
    assert "hz-b-01" in owned(scene)
    assert orphans(scene) >= 1


async def test_a_host_whose_deployment_broke_off_is_not_said_to_be_deployed_when_it_is_left_out(scene: Scene) -> None:  # noqa: F811
    scene.remote.failing = {("hz-a-01", "check_health")}
    async with scene.engine():
        await scene.start(groups=2)
        await scene.until_state(OrderState.HALTED)
        await scene.accepted(Act.CANCEL, reason="tomorrow")
        await scene.until_state(OrderState.CANCELLED)
        assert states(scene)["hz-a-01"] == "deploy_failed"
        scene.remote.records.clear()
        scene.remote.failing = {("hz-a-01", "download_scripts")}
        await start(scene, "offline", hosts=OUT, groups=1)
        await scene.until_state(OrderState.HALTED)
        await scene.accepted(Act.SKIP, reason="later", host="hz-a-01")
        await scene.until_state(OrderState.SUCCEEDED)
    assert states(scene)["hz-a-01"] == "deploy_failed"


async def test_rolled_back_the_hosts_are_deployed_anew_and_serve_again(scene: Scene) -> None:  # noqa: F811
    scene.remote.failing = {("hz-a-01", "offline")}
    async with scene.engine():
        await start(scene, "offline", hosts=OUT, groups=1)
        await scene.until_state(OrderState.HALTED)
        scene.remote.failing = set()
        await scene.accepted(Act.ROLL_BACK, reason="not today")
        await scene.until_state(OrderState.ROLLED_BACK)
    assert scene.weights() == {100}
    assert set(states(scene).values()) == {"deployed"}
    assert owned(scene) == []
    assert scene.remote.effects["hz-b-01", "back-back-1-1", "deploy"] == 1


async def test_it_keeps_the_floor(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        create(scene, "offline", groups=2)
        progress = await scene.until_state(OrderState.INIT_FAILED)
    assert [problem.code for _, problem in progress.problems] == ["floor_broken"]
    assert progress.problems[0][1].what.params["lowest"] == 0


async def test_taken_offline_a_weight_that_an_ended_order_left_behind_is_wanted_at_zero(scene: Scene) -> None:  # noqa: F811
    scene.remote.failing = {("hz-a-01", "check_health")}
    async with scene.engine():
        await scene.start(groups=2)
        await scene.until_state(OrderState.HALTED)
        await scene.accepted(Act.CANCEL, reason="the wrong version")
        await scene.until_state(OrderState.CANCELLED)
        assert orphans(scene) == 1
        scene.remote.records.clear()
        await start(scene, "offline", hosts=("hz-a-01",), groups=1)
        await scene.until_state(OrderState.SUCCEEDED)
    assert orphans(scene) == 0
    assert weight(scene, "hz-a-01") == 0
