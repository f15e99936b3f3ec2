"""The check of an order: everything at once, every problem told, and what passed a moment ago is not asked again."""

from __future__ import annotations

import sqlalchemy as sa

from engine.domain.states import Act, OrderState
from engine.plan.kept import CHECK_KEPT_S
from engine.ports import RemoteResult
from engine.store import tables as t
from tests.contract.test_engine_contract import Scene, scene, url  # noqa: F401
from tests.support.world import HOST_CHECK

BAD, WORSE = "hz-a-02", "hz-b-03"
NO_ROOM = HOST_CHECK.replace(b"disk_free_kib=9000000", b"disk_free_kib=10").replace(
    b"home_writable=yes", b"home_writable=no"
)


def asked(scene: Scene) -> list[str]:  # noqa: F811
    """Whom the check has asked since it was looked last."""
    found = sorted(host for host, script in scene.remote.scripts if "ck_release" in script)
    scene.remote.scripts.clear()
    return found


async def test_all_problems_are_told_at_once_host_by_host(scene: Scene) -> None:  # noqa: F811
    """Hosts, packages and what a step's builder refuses: one round, not one problem after another."""
    with scene.store.writing() as conn:
        conn.execute(sa.update(t.host).where(t.host.c.name == WORSE).values(variables={"health_port": "none"}))
    scene.remote.answers[BAD, "ck_release"] = RemoteResult(0, NO_ROOM)
    scene.remote.unreachable.add("hz-b-04")
    async with scene.engine():
        scene.create()
        progress = await scene.until_state(OrderState.INIT_FAILED)
    told = {(host, problem.code) for host, problem in progress.problems}
    assert {(BAD, "disk_low"), (BAD, "home_not_writable"), ("hz-b-04", "host_unreachable")} <= told
    assert (WORSE, "parameter_value_invalid") in told
    assert all(str(problem.what) and str(problem.remedy) for _host, problem in progress.problems)


async def test_initialise_again_asks_only_the_hosts_that_failed(scene: Scene) -> None:  # noqa: F811
    scene.remote.answers[BAD, "ck_release"] = RemoteResult(0, NO_ROOM)
    async with scene.engine():
        scene.create()
        await scene.until_state(OrderState.INIT_FAILED)
        assert asked(scene) == sorted(scene.fleet.hosts)
        scene.remote.answers.clear()
        await scene.accepted(Act.INITIALISE)
        await scene.until_state(OrderState.READY)
        assert asked(scene) == [BAD]
        # it is ready: whoever checks it again wants all of it
        await scene.accepted(Act.INITIALISE)
        await scene.until_state(OrderState.READY)
        assert asked(scene) == sorted(scene.fleet.hosts)


async def test_a_host_that_was_changed_or_passed_long_ago_is_asked_again(scene: Scene) -> None:  # noqa: F811
    scene.remote.answers[BAD, "ck_release"] = RemoteResult(0, NO_ROOM)
    async with scene.engine():
        scene.create()
        await scene.until_state(OrderState.INIT_FAILED)
        asked(scene)
        with scene.store.writing() as conn:
            conn.execute(sa.update(t.host).where(t.host.c.name == WORSE).values(address="198.51.100.77"))
        await scene.accepted(Act.INITIALISE)
        await scene.until_state(OrderState.INIT_FAILED)
        assert asked(scene) == sorted([BAD, WORSE])
        scene.clock.time += CHECK_KEPT_S + 60
        scene.remote.check = HOST_CHECK.replace(b"clock=1000000", f"clock={scene.clock.time:.0f}".encode())
        await scene.accepted(Act.INITIALISE)
        await scene.until_state(OrderState.INIT_FAILED)
        assert asked(scene) == sorted(scene.fleet.hosts)
