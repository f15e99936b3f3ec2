"""Skip, exclude, limits, a pause before a group and handing over, by key and by `:`, each behind its consequence."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa
from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import Select

from engine.domain.states import Act
from engine.store import tables as t
from engine.store.store import Store
from screens.commands import CommandsScreen
from screens.consequence import ConsequenceScreen
from screens.limits import LimitsScreen
from screens.order import OrderScreen
from screens.widgets.flow_view import FlowView
from screens.widgets.host_table import HostTable
from screens.widgets.log_view import LogView
from screens.widgets.notice import Notice
from screens.widgets.order_head import OrderHead
from screens.widgets.prose import Prose
from tests.support.cockpit_screens import Situation, burst, open_order, press, settled, until

SIZE = (80, 24)
FAILED = "hz-03"
WHY = (*"disk", "enter", *"trade-core", "enter")  # a reason, and in production the app's name


def said(pilot: Pilot[None]) -> str:
    """What the dialogue says that the act would do."""
    return pilot.app.screen.query_one("#would", Prose)._said.plain


def change(stage: Situation, **values: object) -> None:
    store = Store.open(stage.url, create=False)
    with store.writing() as conn:
        conn.execute(sa.update(t.order).values(**values))
    store.close()


async def test_s_skips_the_host_when_the_step_at_which_it_failed_never_is(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "s")
        assert isinstance(pilot.app.screen, ConsequenceScreen)
        assert "its health is checked" in said(pilot)
        assert "a rollback of this order still returns it" in said(pilot)
        await press(pilot, *WHY)
        assert stage.api.sent == [(Act.SKIP, {"host": FAILED}, "disk")]


async def test_the_step_or_the_whole_host_is_chosen_in_the_dialogue(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    failed_at_install(stage)
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "s")
        choice = pilot.app.screen.query_one("#choice", Select)
        assert choice.display
        assert choice.value == "install_software"
        assert f"{FAILED} goes on with configure environment" in said(pilot)
        choice.value = ""
        await until(pilot, lambda: "its health is checked" in said(pilot))
        choice.value = "install_software"
        await until(pilot, lambda: "goes on with" in said(pilot))
        pilot.app.screen.query_one("#reason").focus()
        await settled(pilot)
        await press(pilot, *WHY)
        assert stage.api.sent == [(Act.SKIP, {"host": FAILED, "step": "install_software"}, "disk")]


def failed_at_install(stage: Situation) -> None:
    store = Store.open(stage.url, create=False)
    with store.writing() as conn:
        run = (t.host_run.c.host == FAILED, t.host_run.c.direction == "forward")
        conn.execute(sa.update(t.host_run).where(*run).values(failed_at="install_software"))
        at = (t.step.c.host == FAILED, t.step.c.direction == "forward")
        conn.execute(sa.update(t.step).where(*at, t.step.c.state == "failed").values(state="pending", started_at=None))
        conn.execute(sa.update(t.step).where(*at, t.step.c.key == "install_software").values(state="failed"))
    store.close()


async def test_e_excludes_the_host_under_the_cursor(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_beta_gate")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        screen.query_one(FlowView).select("group-1")
        screen.on_flow_view_selected(FlowView.Selected("group-1", by_hand=True))
        await settled(pilot)
        screen.query_one(HostTable).move_to("hz-02")
        await settled(pilot)
        await press(pilot, "e")
        assert "nothing was done to it" in said(pilot)
        await press(pilot, *WHY)
        assert stage.api.sent == [(Act.EXCLUDE, {"host": "hz-02"}, "disk")]


async def test_a_host_that_is_done_is_not_excluded_and_the_dialogue_says_why(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_beta_gate")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "e")
        assert "The order has nothing left to do on hz-01." in said(pilot)
        await press(pilot, "escape")
        assert stage.api.sent == []


async def test_b_asks_for_two_numbers_and_shows_what_they_mean(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "b")
        assert isinstance(pilot.app.screen, LimitsScreen)
        await press(pilot, "backspace", "backspace", "3", "enter", "backspace", "x", "enter")
        assert "a whole number from 0 to 10000, not x" in pilot.app.screen.query_one("#missing", Prose)._said.plain
        await press(pilot, "backspace", "1", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConsequenceScreen))
        await settled(pilot)
        assert f"goes on although these failed: {FAILED}" in said(pilot)
        await press(pilot, "b")
        assert stage.api.sent == [(Act.SET_LIMITS, {"parallelism": 3, "max_failures": 1}, "")]


async def test_the_log_under_a_dialogue_stands_still(tmp_path: Path) -> None:
    """It has more lines than rows there and can't get a scrollbar: it asks for one once."""
    stage = Situation(tmp_path, "halted")
    told: list[Message] = []
    async with stage.app().run_test(size=SIZE, message_hook=told.append) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "b")
        told.clear()
        await asyncio.sleep(0.5)
        assert sum(isinstance(message, LogView.Changed) for message in told) < 20


async def test_the_pause_before_a_group_is_set_and_taken_back_with_the_same_key(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        screen.query_one(FlowView).select("group-2")
        await press(pilot, "P", "enter")
        assert stage.api.sent == [(Act.PAUSE_BEFORE, {"node": "group-2"}, "")]
        change(stage, pauses_before=["group-2"])
        await until(pilot, lambda: any(node.pauses for node in (screen.data.nodes if screen.data else ())))
        screen.query_one(FlowView).select("group-2")
        await press(pilot, "P", "enter")
        assert stage.api.sent[1] == (Act.PAUSE_BEFORE, {"node": "group-2", "off": True}, "")


async def test_a_gate_is_no_group_to_pause_before(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_beta_gate")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        await press(pilot, "P")
        assert "Choose a group in the flowchart first" in screen.query_one(Notice)._said.plain
        assert isinstance(pilot.app.screen, OrderScreen)


async def test_handing_over_chooses_among_those_who_may_act(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    name_operators(stage, "alice", "bob", "carol")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        await press(pilot, "H")
        choice = pilot.app.screen.query_one("#choice", Select)
        await until(pilot, lambda: choice.value == "bob")
        choice.value = "carol"
        await until(pilot, lambda: "from then on: carol" in said(pilot))
        await settled(pilot)
        pilot.app.screen.query_one("#do").focus()
        await press(pilot, "enter")
        assert stage.api.sent == [(Act.HAND_OVER, {"to": "carol"}, "")]
        change(stage, handed_to="carol")
        await until(pilot, lambda: screen.data is not None and screen.data.responsible == "carol")
        await settled(pilot)
        assert "responsible: carol" in str(screen.query_one(OrderHead)._drawn)


async def test_where_nobody_else_may_act_handing_over_is_refused(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "H")
        assert "Nobody else may act on this order." in said(pilot)


def name_operators(stage: Situation, *names: str) -> None:
    store = Store.open(stage.url, create=False)
    with store.writing() as conn:
        tenant = conn.execute(sa.select(t.tenant.c.id).where(t.tenant.c.name == "acme")).scalar_one()
        for name in names:
            operator = conn.execute(sa.insert(t.operator).values(name=name).returning(t.operator.c.id)).scalar_one()
            conn.execute(sa.insert(t.operator_role).values(operator_id=operator, tenant_id=tenant, role="admin"))
    store.close()


async def test_what_failed_in_the_chosen_group_is_retried(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        await press(pilot, "ctrl+t", "enter")
        assert stage.api.sent == [(Act.RETRY, {"hosts": [FAILED]}, "")]
        screen.query_one(FlowView).select("group-2")
        await press(pilot, "ctrl+t")
        assert "No host of this group has failed." in screen.query_one(Notice)._said.plain


@pytest.mark.parametrize(("typed", "act"), [("exclude", Act.EXCLUDE), ("skip", Act.SKIP), ("roll back", Act.ROLL_BACK)])
async def test_every_act_is_a_command_too(tmp_path: Path, typed: str, act: Act) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "colon")
        await until(pilot, lambda: isinstance(pilot.app.screen, CommandsScreen))
        await burst(pilot, f"{typed}\n")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConsequenceScreen))
        await settled(pilot)
        await until(pilot, lambda: pilot.app.screen.ready)  # type: ignore[attr-defined]
        await press(pilot, *WHY)
        assert [name for name, _params, _reason in stage.api.sent] == [act]


async def test_a_host_that_was_excluded_is_shown_so_and_counts_as_left_out(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    store = Store.open(stage.url, create=False)
    with store.writing() as conn:
        run = t.host_run.c.host == "hz-04"
        conn.execute(sa.update(t.host_run).where(run).values(state="skipped", leaving="excluded"))
    store.close()
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        assert "1 left out" in str(screen.query_one(OrderHead)._drawn)
        assert screen.data is not None
        assert [str(host.shown) for host in screen.data.hosts if host.name == "hz-04"] == ["excluded"]
