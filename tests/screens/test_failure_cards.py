"""The failure card on the order screen, at 80×24: what was seen, what to do, and what one key does about it."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from engine.diagnose import explain
from engine.domain import step_names
from engine.domain.problem import Problem
from engine.domain.states import Act
from engine.steps.registry import step
from engine.store import tables as t
from engine.store.store import Store
from screens.consequence import ConsequenceScreen
from screens.order import OrderScreen
from screens.widgets.notice import Notice
from screens.widgets.prose import Prose
from screens.widgets.trouble import Problems
from tests.support.cockpit_screens import Situation, open_order, press

SIZE, WIDE = (80, 24), (160, 45)
HOST = "hz-02"


def card(screen: OrderScreen) -> str:
    return " ".join(str(screen.query_one(Problems).query_one(Prose).visual).split())


@pytest.mark.parametrize(
    ("language", "seen"),
    [
        (
            "en",
            (
                "StarAgent is not running on hz-02, or has lost its server.",
                "Agent status not running",
                "→ Restart the agent",
                "r restart the agent, then try again",
                "(helped 3 of 4 times here)",
            ),
        ),
        (
            "zh_CN",
            ("hz-02 上 StarAgent 未运行", "Agent status not running", "r 重启 agent，然后重试", "4 次中 3 次有效"),
        ),
    ],
)
async def test_the_card_says_what_was_seen_and_what_a_key_does_and_how_often_it_helped(
    language: str, seen: tuple[str, ...], tmp_path: Path
) -> None:
    stage = Situation(tmp_path, "agent_down")
    async with stage.app(language).run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        shown = card(screen)
        for words in seen:
            assert words in shown
        problems = screen.query_one(Problems)
        assert problems.region.bottom <= SIZE[1]
        assert problems.max_scroll_y == 0


async def test_its_key_asks_for_the_remedy_once_its_consequence_was_read(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "agent_down")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "r")
        dialog = pilot.app.screen
        assert isinstance(dialog, ConsequenceScreen)
        assert stage.api.sent == []
        assert "restarts StarAgent" in str(dialog.query_one("#would", Prose).visual)
        await press(pilot, "enter")
        assert stage.api.sent == [(Act.REMEDY, {}, "")]
        await press(pilot, "m", "enter")
        assert stage.api.sent[1:] == [(Act.REMEDY, {"hosts": [HOST]}, "")]


async def test_the_remedy_is_a_command_by_name(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "agent_down")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "colon", *"remedy", "enter", "r")
        assert stage.api.sent == [(Act.REMEDY, {}, "")]


async def test_where_no_card_offers_a_step_the_key_says_so_and_sends_nothing(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        assert "then try again" not in card(screen)
        await press(pilot, "r", "enter")
        assert "No failure here has a remedy that is a step." in str(pilot.app.screen.query_one("#would", Prose).visual)
        assert stage.api.sent == []


async def test_what_the_engine_refuses_is_said_with_what_was_seen(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "agent_down")
    seen = "     900 MiB  /home/admin/logs\nfree: 0 MiB of 1000 MiB on /"
    disk_full = explain(step(step_names.DEPLOY), 1, False, "No space left on device", host=HOST, app="trade-core")
    stage.api.refusal = Problem("disk_still_full", disk_full.what, disk_full.remedy, seen)
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        await press(pilot, "r", "enter")
        assert "900 MiB /home/admin/logs" in " ".join(str(screen.query_one(Notice).visual).split())


async def test_why_a_remedy_did_not_help_stays_on_the_card(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "agent_down")
    why = explain(step(step_names.CHECK_AGENT), 1, False, "no route to 10.0.0.9:8000", host=HOST, app="trade-core")
    store = Store.open(stage.url)
    with store.writing() as conn:
        command = conn.execute(
            sa.insert(t.command)
            .values(order_id=stage.order_id, act="remedy", params={}, operator="alice", state="refused", sent_at=1.0)
            .returning(t.command.c.id)
        ).scalar_one()
        conn.execute(
            sa.insert(t.remedy).values(
                command_id=command, host=HOST, order_id=stage.order_id, node="group-1", direction="forward", attempt=1,
                step=step_names.CHECK_AGENT, code="agent_not_running", remedy="restart_agent", state="failed",
                begun_at=1.0, problem=why.to_json(),
            )
        )  # fmt: skip
    store.close()
    async with stage.app().run_test(size=WIDE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        assert "helped 3 of 5 times here" in card(screen)
        assert "no route to 10.0.0.9:8000" in card(screen)


async def test_an_unknown_failure_says_that_and_shows_its_last_lines(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "agent_down")
    unknown = explain(step(step_names.DEPLOY), 3, False, "one\ntwo\nthree\nfour\nfive\n", host=HOST, app="trade-core")
    store = Store.open(stage.url)
    with store.writing() as conn:
        conn.execute(sa.update(t.host_run).where(t.host_run.c.host == HOST).values(problem=unknown.to_json()))
        conn.execute(sa.update(t.order).where(t.order.c.id == stage.order_id).values(problem=unknown.to_json()))
    store.close()
    async with stage.app().run_test(size=WIDE) as pilot:
        shown = card(await open_order(pilot, stage.order_id))
        assert "an unknown failure, no card fits" in shown
        assert "│ two │ three │ four │ five" in shown
        assert "then try again" not in shown
