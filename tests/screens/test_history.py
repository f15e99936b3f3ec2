"""The history of an order on its screen: who did what, when and why, and what was refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from engine.store import tables as t
from engine.store.store import Store
from screens.order import OrderScreen
from screens.widgets.history_pane import HistoryPane
from screens.widgets.log_pane import LogPane
from screens.widgets.prose import Prose
from tests.support import seeds
from tests.support.cockpit_screens import Situation, open_order, press, settled, until


def write_history(stage: Situation) -> None:
    store = Store.open(stage.url, create=False)
    with store.writing() as conn:
        row = conn.execute(sa.select(t.order.c.workspace_id, t.workspace.c.tenant_id).join(t.workspace)).first()
        assert row is not None
        place = {"workspace_id": row.workspace_id, "tenant_id": row.tenant_id, "order_id": stage.order_id, "target": ""}
        refused = {"code": "not_allowed", "what": {"text": "vic is viewer here: cancel needs operator.", "params": {}},
                   "remedy": {"text": "", "params": {}}, "evidence": ""}  # fmt: skip
        lines = [
            {"at": seeds.NOW - 500, "operator": "alice", "act": "create_release", "reason": "", "outcome": "done",
             "problem": None},
            {"at": seeds.NOW - 300, "operator": "vic", "act": "cancel", "reason": "wrong window", "outcome": "refused",
             "problem": refused},
        ]  # fmt: skip
        conn.execute(sa.insert(t.audit), [place | line for line in lines])
    store.close()


def shown(screen: OrderScreen) -> str:
    """What stands in the pane, without its line breaks."""
    said = screen.query_one(HistoryPane).query_one(Prose)._drawn
    return "" if said is None else " ".join(said.plain.split("\n"))


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
@pytest.mark.parametrize("situation", ["halted", "succeeded"])
async def test_h_shows_who_did_what_and_what_was_refused(tmp_path: Path, situation: str, size: tuple[int, int]) -> None:
    stage = Situation(tmp_path, situation)
    write_history(stage)
    async with stage.app().run_test(size=size) as pilot:
        screen = await open_order(pilot, stage.order_id)
        await press(pilot, "h")
        pane = screen.query_one(HistoryPane)
        assert pane.region.height > 5
        assert pane.has_focus
        assert screen.query_one(LogPane).region.height == 0
        text = shown(screen)
        assert "alice  creates the order: release trade-core 1.0.0 → 2.0.0  ✔ done" in text
        assert "vic  cancel  ✗ refused" in text
        assert "wrong window" in text
        assert "vic is viewer here: cancel needs operator." in text
        await press(pilot, "escape")
        assert pilot.app.screen is screen
        assert pane.region.height == 0
        await press(pilot, "h", "h")
        assert pane.region.height == 0


async def test_the_history_goes_on_while_it_is_open(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=(80, 24)) as pilot:
        screen = await open_order(pilot, stage.order_id)
        await press(pilot, "h")
        assert "the engine  halts the order" in shown(screen)
        assert "alice" not in shown(screen)
        write_history(stage)
        store = Store.open(stage.url, create=False)
        with store.writing() as conn:
            conn.execute(sa.update(t.order).values(changed_at=seeds.NOW))
        store.close()
        await until(pilot, lambda: "alice" in shown(screen))
        await settled(pilot)
