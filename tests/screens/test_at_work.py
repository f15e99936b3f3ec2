"""An act that waits on the world, on the order's screen: what it waits for is said, and other acts go on meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from engine.api import Api
from engine.domain.acts import Confirm, SetWeights
from engine.domain.message import message
from engine.domain.states import Act, CommandState
from engine.store.commands import insert_command, set_working
from engine.store.store import Store
from engine.views.acts import CommandView
from screens.consequence import ConsequenceScreen
from screens.widgets.host_table import HostTable
from screens.widgets.notice import Notice
from tests.support import seeds
from tests.support.cockpit_screens import Situation, open_order, press, settled, until

BUSY = message("The balancer is busy: asked again in 4 s.")


def text_of(widget: Any) -> str:
    drawn = widget._drawn
    return "" if drawn is None else " ".join(str(drawn).split())


async def test_the_next_line_says_what_is_being_waited_for_and_pause_goes_on(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_gray_gate")
    store = Store.open(stage.url, create=False)
    with store.writing() as conn:
        act = SetWeights({"hz-01": 50})
        made = insert_command(conn, order_id=stage.order_id, act=act, operator="bob", reason="", now=seeds.NOW)
        set_working(conn, made, BUSY)
    store.close()
    async with stage.app().run_test(size=(80, 24)) as pilot:
        screen = await open_order(pilot, stage.order_id)
        assert screen.data is not None
        assert [(each.operator, each.act) for each in screen.data.at_work] == [("bob", Act.SET_WEIGHTS)]
        assert screen.data.next == BUSY
        await press(pilot, "p", "enter")
        assert [name for name, _parts, _reason in stage.api.sent] == [Act.PAUSE]
        await press(pilot, "c")
        dialog = pilot.app.screen
        assert isinstance(dialog, ConsequenceScreen)
        answer = stage.api.consequence("acme", "prod", stage.order_id, Confirm("beta-confirm"))
        assert answer.refusal is not None
        assert answer.refusal.code == "weights_at_work"


async def test_whoever_asked_reads_what_it_waits_for_until_it_is_done(tmp_path: Path, monkeypatch: Any) -> None:
    stage = Situation(tmp_path, "group_running")
    may_end = threading.Event()

    def wait(api: Api, command_id: int, *, working: Any) -> CommandView:
        working(CommandView(command_id, stage.order_id, Act.PAUSE, CommandState.WORKING, None, BUSY))
        assert may_end.wait(20)
        return CommandView(command_id, stage.order_id, Act.PAUSE, CommandState.ACCEPTED, None)

    monkeypatch.setattr(type(stage.api), "wait_command", wait)
    async with stage.app().run_test(size=(80, 24)) as pilot:
        screen = await open_order(pilot, stage.order_id)
        notice = screen.query_one(Notice)
        await press(pilot, "p")
        dialog = pilot.app.screen
        assert isinstance(dialog, ConsequenceScreen)
        await until(pilot, lambda: dialog.ready)
        await pilot.press("enter")
        await until(pilot, lambda: text_of(notice) == "▶ pause: The balancer is busy: asked again in 4 s.")
        may_end.set()
        await until(pilot, lambda: text_of(notice) == "✔ pause: accepted")
        await settled(pilot)


async def test_a_balancer_that_is_away_is_said_in_the_next_line_and_at_the_host_that_waits_for_it(
    tmp_path: Path,
) -> None:
    stage = Situation(tmp_path, "balancer_away")
    async with stage.app().run_test(size=(160, 45)) as pilot:
        screen = await open_order(pilot, stage.order_id)
        assert screen.data is not None
        says = str(screen.data.next)
        assert says.startswith("waiting for the balancer lb-")
        assert "(503 ServiceUnavailable), at most until " in says
        assert says in text_of(screen.query_one("#says"))
        waits = {host.name for host in screen.data.hosts if host.waits_for is not None}
        assert len(waits) == 1
        table = screen.query_one(HostTable)
        rows = {row.key: str(row.cells["step"]) for row in table.rows if row.key in screen.data.nodes[3].hosts}
        assert {name for name, step in rows.items() if step.startswith("waits")} == waits
        await press(pilot, "p", "enter")
        assert [name for name, _parts, _reason in stage.api.sent] == [Act.PAUSE]
