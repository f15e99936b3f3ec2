"""What the order screen says of hosts, weights and logs is so: the numbers agree, and no word says more than what happened."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from engine.domain.states import Direction, RunState
from engine.store import tables as t
from engine.store.store import Store
from engine.views.orders import OrderView
from screens.widgets.history_pane import HistoryPane
from screens.widgets.host_table import HostTable
from screens.widgets.key_bar import KeyBar
from screens.widgets.log_pane import LogPane
from screens.widgets.order_head import OrderHead
from screens.widgets.trouble import Problems
from tests.support import seeds
from tests.support.cockpit_screens import Situation, open_order, press

NARROW = (80, 24)


def changed(stage: Situation, change: sa.Executable) -> None:
    store = Store.open(stage.url, create=False)
    with store.writing() as conn:
        conn.execute(change)
        conn.execute(sa.update(t.order).values(changed_at=seeds.NOW))
    store.close()


def weights(stage: Situation, hosts: tuple[str, ...], weight: int) -> None:
    values = {"asked": weight, "confirmed": weight, "verified": "yes"}
    changed(stage, sa.update(t.weight).where(t.weight.c.host.in_(hosts)).values(**values))


def view(stage: Situation) -> OrderView:
    stage.api.open()
    return stage.api.order("acme", "prod", stage.order_id)


def head(screen: object) -> str:
    return "\n".join(screen.query_one(OrderHead)._drawn.plain.split("\n"))  # type: ignore[attr-defined]


def bottom(screen: object) -> list[str]:
    return [f"{each.key} {each.words}" for each in screen.query_one(KeyBar)._shown]  # type: ignore[attr-defined]


async def test_gray_hosts_count_and_the_head_says_how_little_they_carry(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_gray_gate")
    weights(stage, ("hz-01", "hz-05"), 10)
    async with stage.app().run_test(size=NARROW) as pilot:
        screen = await open_order(pilot, stage.order_id)
        assert "in service 8 of 8 (2 gray: 3.2% of traffic), at least 4 must stay  ████▆▆▃▃" in head(screen)
        assert screen.query_one(OrderHead).size.height == 2
        rows = {row.key: row.cells for row in screen.query_one(HostTable).rows}
        assert rows["hz-01"]["step"].plain == "traffic by hand"
        assert rows["hz-01"]["weight"].plain == "10/100✓"


async def test_a_gray_host_without_traffic_is_not_said_to_have_it_back(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_gray_gate")
    async with stage.app().run_test(size=NARROW) as pilot:
        screen = await open_order(pilot, stage.order_id)
        rows = {row.key: row.cells for row in screen.query_one(HostTable).rows}
        assert [rows[host]["step"].plain for host in ("hz-01", "hz-05")] == ["no traffic yet"] * 2


@pytest.mark.parametrize("situation", ["rolled_back", "rolling_back"])
async def test_hosts_that_were_never_touched_say_so_and_head_and_list_count_alike(
    tmp_path: Path, situation: str
) -> None:
    stage = Situation(tmp_path, situation)
    async with stage.app().run_test(size=NARROW) as pilot:
        screen = await open_order(pilot, stage.order_id)
        assert screen.data is not None
        (listed,) = stage.api.orders("acme", "prod")
        assert f"{listed.done_hosts}/{listed.hosts} hosts" in head(screen)
        assert {host.direction for host in screen.data.counted} == {Direction.BACK}
        untouched = [host for host in screen.data.hosts if host.direction is Direction.FORWARD]
        assert len(untouched) == len(screen.data.hosts) - listed.hosts > 0
        screen.query_one("#flow").select("finish")  # type: ignore[attr-defined]
        screen._show_hosts(seeds.NOW)
        rows = {row.key: row.cells for row in screen.query_one(HostTable).rows}
        for host in untouched:
            assert (rows[host.name]["state"].plain, rows[host.name]["version"].plain) == ("· untouched", "1.0.0")


async def test_a_failure_says_its_cause_and_which_key_shows_more_at_80x24(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=NARROW) as pilot:
        screen = await open_order(pilot, stage.order_id)
        problem = next(host.problem for host in screen.data.hosts if host.problem)  # type: ignore[union-attr]
        said = " ".join(screen.query_one(Problems)._text._drawn.plain.split("\n"))  # type: ignore[union-attr]
        assert "(l: its log)" in said
        assert problem.evidence.splitlines()[-1] in said
        assert said.count("hz-03") == 1


def test_a_host_that_the_order_works_on_is_not_told_as_one_that_does_not_answer(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "group_running")
    at_work = [host.name for host in view(stage).hosts if host.state is RunState.RUNNING]
    idle = next(host.name for host in view(stage).hosts if host.name not in at_work)
    unwell = {"confirmed": 100, "balancer_health": "unhealthy"}
    changed(stage, sa.update(t.weight).where(t.weight.c.host.in_([*at_work, idle])).values(**unwell))
    (balancer,) = view(stage).balancers
    assert at_work
    assert balancer.silent == (idle,)


async def test_in_the_log_the_bottom_line_has_the_keys_of_the_log(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=NARROW) as pilot:
        screen = await open_order(pilot, stage.order_id)
        await press(pilot, "l")
        for key in ("/ search", "a earlier", "w wrap", "s save"):
            assert key in bottom(screen)
        heading = screen.query_one(LogPane)._heading._drawn.plain
        assert "follows" not in heading
        assert "the end" in heading
        await press(pilot, "t")
        assert pilot.app.screen is not screen


async def test_what_can_be_looked_at_stands_in_the_bottom_line_in_every_state(tmp_path: Path) -> None:
    for situation in (
        "ready",
        "waiting_at_beta_gate",
        "waiting_at_gray_gate",
        "group_running",
        "halted",
        "rolling_back",
        "succeeded",
    ):
        folder = tmp_path / situation
        folder.mkdir()
        stage = Situation(folder, situation)
        async with stage.app("zh_CN").run_test(size=NARROW) as pilot:
            screen = await open_order(pilot, stage.order_id)
            shown = {each.action for each in screen.query_one(KeyBar)._shown}
            out = "leave" if situation == "waiting_at_gray_gate" else "back"  # the slider has the cursor there
            assert {"log", "history", out, "help"} <= shown, situation
            visible = [button for button in screen.query_one(KeyBar).children if button.display]
            assert visible[-1].region.right <= NARROW[0]


async def test_the_version_stays_at_80_columns_whatever_the_step_is_called(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "group_running")
    changed(stage, sa.update(t.step).where(t.step.c.state == "running").values(started_at=seeds.NOW - 5))
    async with stage.app().run_test(size=NARROW) as pilot:
        screen = await open_order(pilot, stage.order_id)
        table = screen.query_one(HostTable)
        longest = table.rows[0].cells["step"].append(" and a very long name of a step")
        assert longest.cell_len > 30
        assert "version" in [column.key for column, _width in table._laid_out()]
        assert "took" in [column.key for column, _width in table._laid_out()]


async def test_the_history_is_told_without_keys_of_nodes(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=NARROW) as pilot:
        screen = await open_order(pilot, stage.order_id)
        await press(pilot, "h")
        said = " ".join(screen.query_one(HistoryPane).query_one("#history-text")._drawn.plain.split("\n"))  # type: ignore[attr-defined]
        assert "the engine  halts the order: hz-03 failed" in said
        assert "health check" in said


async def test_where_room_is_short_the_last_line_that_was_seen_stays_without_its_date(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    line = "2026-11-29 08:32:00 ERROR [health] datasource not ready: connection pool exhausted (active 32, idle 0, waiting 118)"
    async with stage.app().run_test(size=NARROW) as pilot:
        screen = await open_order(pilot, stage.order_id)
        problems = screen.query_one(Problems)
        problem = next(host.problem for host in screen.data.hosts if host.problem)  # type: ignore[union-attr]
        problems.show([("hz-03", replace(problem, evidence=line))])
        problems.fit(3)
        said = problems._text._drawn.plain.split("\n")  # type: ignore[union-attr]
        assert len(said) == 3
        assert said[1].startswith("  │ ERROR [health] datasource not ready: connection pool exhausted")
