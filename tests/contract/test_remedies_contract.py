"""What a failure card offers as a step, asked for and done: whole orders on both stores."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from engine.api import Api
from engine.domain import step_names as names
from engine.domain.problem import Problem
from engine.domain.states import Act, OrderState, RunState
from engine.ports import RemoteResult
from engine.reading.events import read_events
from engine.reading.remedies import read_remedies
from engine.reading.scope import find_scope
from engine.store import tables as t
from engine.views.orders import RemedyView
from tests.contract.test_engine_contract import Scene, scene, url  # noqa: F401
from tests.support.orders import run_of
from tests.support.world import HOST_CHECK

HOST, OTHER = "hz-a-02", "hz-a-03"
AGENT_DOWN = "no process of /home/staragent/bin\nAgent status not running\n"
NO_AGENT = HOST_CHECK.replace(b"end=yes", b"agent=no\nend=yes")


def agent_fails(scene: Scene, *hosts: str) -> None:  # noqa: F811
    for host in hosts:
        scene.remote.failing.add((host, names.CHECK_AGENT))
        scene.remote.prints[host, names.CHECK_AGENT] = AGENT_DOWN


def agent_comes_back(scene: Scene, *hosts: str) -> None:  # noqa: F811
    for host in hosts:
        scene.remote.failing.discard((host, names.CHECK_AGENT))
        scene.remote.answers[host, "agent.sh"] = RemoteResult(0, b"Agent status running, connected to its server\n")


def offered(scene: Scene) -> tuple[RemedyView, ...]:  # noqa: F811
    with scene.store.reading() as conn:
        return read_remedies(conn, find_scope(conn, "acme", "prod"), scene.progress())


def rows(scene: Scene) -> list[Any]:  # noqa: F811
    with scene.store.reading() as conn:
        return list(conn.execute(sa.select(t.remedy).order_by(t.remedy.c.command_id, t.remedy.c.host)))


def said(scene: Scene) -> list[str]:  # noqa: F811
    with scene.store.reading() as conn:
        events = read_events(conn, order_id=scene.order_id, workspace_id=None, after=0, limit=10_000)
    return [str(event.sentence) for event in events if event.kind == "remedy"]


def log_of(scene: Scene, host: str, attempt: int) -> str:  # noqa: F811
    return (scene.folder / "logs" / str(scene.order_id) / f"{host}.forward-group-1-{attempt}.log").read_text()


async def test_the_agent_is_restarted_on_the_host_and_the_host_is_tried_again(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        agent_fails(scene, HOST)
        await scene.start()
        progress = await scene.until_state(OrderState.HALTED)
        problem = run_of(progress, HOST).problem
        assert problem is not None
        assert (problem.code, problem.evidence) == ("agent_not_running", "Agent status not running")
        (offer,) = offered(scene)
        assert (offer.host, offer.remedy, offer.helped, offer.tried) == (HOST, "restart_agent", 0, 0)
        agent_comes_back(scene, HOST)
        await scene.accepted(Act.REMEDY)
        await scene.until_state(OrderState.SUCCEEDED)
    asked = [host for host, script in scene.remote.scripts if "agent.sh" in script]
    assert asked == [HOST]
    (row,) = rows(scene)
    assert (row.host, row.step, row.attempt, row.state) == (HOST, names.CHECK_AGENT, 1, "succeeded")
    log = log_of(scene, HOST, 1)
    assert "remedy: restart the agent" in log
    assert log.rstrip().splitlines()[-2] == "Agent status running, connected to its server"
    assert said(scene) == [f"{HOST}, remedy restart_agent: {state}" for state in ("running", "succeeded")]


async def test_a_remedy_that_does_not_succeed_says_why_and_retries_nothing(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        agent_fails(scene, HOST)
        await scene.start()
        await scene.until_state(OrderState.HALTED)
        scene.remote.answers[HOST, "agent.sh"] = RemoteResult(1, AGENT_DOWN.encode())
        state, problem = await scene.act(Act.REMEDY, hosts=[HOST])
        assert (state, Problem.from_json(problem).code) == ("refused", "agent_still_down")
        assert "Agent status not running" in Problem.from_json(problem).evidence
        progress = scene.progress()
        assert (run_of(progress, HOST).state, run_of(progress, HOST).attempt) == (RunState.FAILED, 1)
        (offer,) = offered(scene)
        assert offer.last is not None
        assert (offer.last.code, offer.helped, offer.tried) == ("agent_still_down", 0, 1)
        agent_comes_back(scene, HOST)
        await scene.accepted(Act.REMEDY, hosts=[HOST])
        await scene.until_state(OrderState.SUCCEEDED)


async def test_a_host_that_cannot_be_reached_is_left_and_the_others_are_tried_again(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        agent_fails(scene, HOST, OTHER)
        await scene.start(groups=1, max_failures=8, override_reason="a test")
        await scene.until(lambda p: all(run_of(p, host).state is RunState.FAILED for host in (HOST, OTHER)))
        await scene.until(lambda p: not any(run.state is RunState.RUNNING for run in p.current_runs))
        scene.remote.unreachable.add(OTHER)
        agent_comes_back(scene, HOST)
        await scene.accepted(Act.REMEDY)
        await scene.until(lambda p: run_of(p, HOST).state is RunState.SUCCEEDED)
        assert run_of(scene.progress(), OTHER).attempt == 1
    assert {row.host: row.state for row in rows(scene)} == {HOST: "succeeded", OTHER: "failed"}


async def test_how_often_it_helped_is_counted_over_the_orders_of_the_workspace(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        agent_fails(scene, HOST)
        await scene.start()
        await scene.until_state(OrderState.HALTED)
        # the agent says that it is back, and the step fails again
        scene.remote.answers[HOST, "agent.sh"] = RemoteResult(0, b"Agent status running\n")
        await scene.accepted(Act.REMEDY)
        await scene.until(lambda p: run_of(p, HOST).state is RunState.FAILED and run_of(p, HOST).attempt == 2)
        assert [(offer.helped, offer.tried) for offer in offered(scene)] == [(0, 1)]
        await scene.until_state(OrderState.HALTED)
        agent_comes_back(scene, HOST)
        await scene.accepted(Act.REMEDY)
        await scene.until_state(OrderState.SUCCEEDED)
        agent_fails(scene, OTHER)
        scene.remote.records.clear()  # another order has folders of its own
        scene.create()
        await scene.until_state(OrderState.READY)
        await scene.accepted(Act.START)
        await scene.until_state(OrderState.HALTED)
        assert [(offer.host, offer.helped, offer.tried) for offer in offered(scene)] == [(OTHER, 1, 2)]
        await scene.accepted(Act.CANCEL, "enough")
        await scene.until_state(OrderState.CANCELLED)
        assert offered(scene) == ()


@pytest.mark.parametrize(("asked", "given"), [(0, 120.0), (900, 900.0)])
async def test_a_longer_deadline_is_given_to_the_failed_step_of_that_host_only(
    scene: Scene,  # noqa: F811
    asked: int,
    given: float,
) -> None:
    async with scene.engine():
        scene.remote.late.add((HOST, names.CHECK_AGENT))
        await scene.start()
        progress = await scene.until_state(OrderState.HALTED)
        problem = run_of(progress, HOST).problem
        assert problem is not None
        assert problem.code == "step_timed_out"
        assert scene.remote.deadlines[HOST, "forward-group-1-1", names.CHECK_AGENT] == 60.0
        assert await scene.refused(Act.REMEDY, deadline_s=60) == "deadline_not_longer"
        assert await scene.refused(Act.REMEDY, deadline_s=999_999) == "deadline_impossible"
        scene.remote.late.clear()
        await scene.accepted(Act.REMEDY, **({"deadline_s": asked} if asked else {}))
        await scene.until_state(OrderState.SUCCEEDED)
    assert scene.remote.deadlines[HOST, "forward-group-1-2", names.CHECK_AGENT] == given
    assert scene.remote.deadlines[HOST, "forward-group-1-2", names.DEPLOY] != given
    assert scene.remote.deadlines[OTHER, "forward-group-1-1", names.CHECK_AGENT] == 60.0
    assert said(scene)[-1] == f"{HOST}: check_agent has {given:g} s from now on"


async def test_a_full_disk_is_shown_and_the_host_is_tried_again_once_there_is_room(scene: Scene) -> None:  # noqa: F811
    shows = b"biggest folders below /home/admin:\n    900 MiB  /home/admin/logs\nfree: 0 MiB of 1000 MiB\n"
    async with scene.engine():
        scene.remote.failing.add((HOST, names.DEPLOY))
        scene.remote.prints[HOST, names.DEPLOY] = "cp: 写入 'app.jar' 出错: 设备上没有空间\n"
        await scene.start()
        await scene.until_state(OrderState.HALTED)
        scene.remote.answers[HOST, "biggest folders"] = RemoteResult(1, shows)
        state, problem = await scene.act(Act.REMEDY)
        told = Problem.from_json(problem)
        assert (state, told.code) == ("refused", "disk_still_full")
        assert "900 MiB  /home/admin/logs" in told.evidence
        assert [(offer.helped, offer.tried) for offer in offered(scene)] == [(0, 0)]
        assert "900 MiB  /home/admin/logs" in log_of(scene, HOST, 1)
        scene.remote.failing.clear()
        scene.remote.answers.clear()
        await scene.accepted(Act.REMEDY)
        await scene.until_state(OrderState.SUCCEEDED)


async def test_what_the_check_found_is_remedied_and_the_order_checked_again(scene: Scene) -> None:  # noqa: F811
    with scene.store.writing() as conn:
        conn.execute(sa.update(t.workspace).values(requires_staragent=True))
    async with scene.engine():
        scene.remote.check = NO_AGENT
        scene.create()
        progress = await scene.until_state(OrderState.INIT_FAILED)
        assert {problem.code for _host, problem in progress.problems} == {"agent_not_running"}
        assert {offer.host for offer in offered(scene)} == {host for host, _ in progress.problems}
        assert len(offered(scene)) == 8
        for host in scene.fleet.hosts:
            scene.remote.answers[host, "agent.sh"] = RemoteResult(0, b"Agent status running\n")
        scene.remote.check = HOST_CHECK.replace(b"end=yes", b"agent=yes\nend=yes")
        await scene.accepted(Act.REMEDY)
        await scene.until_state(OrderState.READY)
        kept = sorted((scene.folder / "logs" / str(scene.order_id)).glob(f"{HOST}.remedy-*.log"))
        assert [path.read_text().count("Agent status running") for path in kept] == [1]
        api = Api(str(scene.store.url), operator="alice", log_dir=scene.folder / "logs")
        api.open()
        attempts = api.attempts("acme", "prod", scene.order_id, host=HOST)
        assert [(each.node, each.log_path) for each in attempts] == [("initialise", str(kept[0]))]
        api.close()
        # the next order has it again: it helped all the times here
        await scene.accepted(Act.CANCEL, "enough")
        scene.remote.check = NO_AGENT
        scene.create()
        await scene.until_state(OrderState.INIT_FAILED)
        assert {(offer.helped, offer.tried) for offer in offered(scene)} == {(8, 8)}


async def test_what_has_no_remedy_is_refused_with_what_has(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        agent_fails(scene, HOST)
        await scene.start()
        await scene.until_state(OrderState.HALTED)
        assert await scene.refused(Act.REMEDY, hosts=[OTHER]) == "no_remedy"
        assert await scene.refused(Act.REMEDY, remedy="pray") == "no_such_remedy"
        assert await scene.refused(Act.REMEDY, remedy="longer_deadline") == "no_remedy"
        await scene.accepted(Act.CANCEL, "enough")
        await scene.until_state(OrderState.CANCELLED)
        assert await scene.refused(Act.REMEDY) == "order_ended"
    assert rows(scene) == []


async def test_an_engine_that_takes_over_does_not_do_again_what_had_ended(scene: Scene) -> None:  # noqa: F811
    async with scene.engine():
        agent_fails(scene, HOST)
        await scene.start()
        await scene.until_state(OrderState.HALTED)
    agent_comes_back(scene, HOST)
    with scene.store.writing() as conn:
        command = conn.execute(
            sa.insert(t.command)
            .values(order_id=scene.order_id, act="remedy", params={}, operator="alice", reason="", sent_at=1.0,
                    state="working", waits_for={"text": "x", "params": {}})
            .returning(t.command.c.id)
        ).scalar_one()  # fmt: skip
        run = run_of(scene.progress(), HOST)
        conn.execute(
            sa.insert(t.remedy).values(
                command_id=command, host=HOST, order_id=scene.order_id, direction="forward", node=run.node, attempt=1,
                step=names.CHECK_AGENT, code="agent_not_running", remedy="restart_agent", state="succeeded", begun_at=1.0,
            )
        )  # fmt: skip
    async with scene.engine():
        await scene.until_state(OrderState.SUCCEEDED)
    assert not [host for host, script in scene.remote.scripts if "agent.sh" in script]
