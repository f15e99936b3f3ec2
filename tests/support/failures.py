"""Orders that failed for a reason a card knows, as the engine would have written them; for `seeds.SITUATIONS`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from engine.diagnose import explain
from engine.domain import step_names
from engine.domain.problem import Problem
from engine.domain.states import NodeState, OrderState
from engine.steps.registry import step
from engine.store import tables as t
from engine.store.orders import update_order
from tests.support.orders import make_order

if TYPE_CHECKING:
    from tests.support.seeds import OrderStory

AGENT_SAID = "last lines of /home/staragent/log/staragent_core.log:\nno process of /home/staragent/bin\nAgent status not running\n"


def agent_down(story: OrderStory) -> None:
    """The agent of the first host of a group does not run. Restarting it helped 3 of 4 times here."""
    story.check_succeeds()
    story.start()
    story.run_group("beta")
    story.wait_at("beta-confirm")
    story.confirm("beta-confirm")
    story.begin_group("group-1")
    host = story.progress.plan.node("group-1").hosts[0]  # type: ignore[union-attr]
    problem = explain(step(step_names.CHECK_AGENT), 1, False, AGENT_SAID, host=host, app="trade-core")
    story.run_host(host, upto=step_names.CHECK_AGENT, fails=problem)
    story.node("group-1", NodeState.HALTED)
    story.state(OrderState.HALTED, problem)
    tried_before(story, problem, helped=3, tried=4)


def tried_before(story: OrderStory, problem: Problem, *, helped: int, tried: int) -> None:
    """An order that ended long ago, whose check told of the problem on `tried` hosts; it was remedied on `helped` of them."""
    conn = story.conn
    before = make_order(conn, story.scope.workspace_id, story.progress.spec, now=1.0)
    hosts = [f"hz-{number:02}" for number in range(1, tried + 1)]
    left = [{"host": host, "problem": problem.to_json()} for host in hosts[helped:]]
    update_order(conn, before, 2.0, state=str(OrderState.CANCELLED), problems=left, ended_at=2.0)
    for host in hosts:
        command = conn.execute(
            sa.insert(t.command)
            .values(
                order_id=before, act="remedy", params={"hosts": [host]}, operator="alice", state="accepted", sent_at=1.0
            )
            .returning(t.command.c.id)
        ).scalar_one()
        conn.execute(
            sa.insert(t.remedy).values(
                command_id=command, host=host, order_id=before, code=problem.code, remedy="restart_agent",
                state="succeeded", begun_at=1.0, ended_at=2.0,
            )
        )  # fmt: skip
