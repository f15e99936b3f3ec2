"""Text from hosts and catalogues that means harm: it is shown, it does nothing, and nothing crashes on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.domain.message import message
from engine.domain.problem import Problem
from engine.store.orders import update_order
from engine.store.store import Store
from tests.support import seeds
from tests.support.cockpit_screens import Situation, open_order, press

EVIL = "[/x] [bold]\x1b]52;c;aGk=\x07\x1b]0;owned\x07\x9b21t\u202e[@click=app.quit]x\u200b\u200d\U000e0041"


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_hostile_titles_evidence_and_logs_reach_the_terminal_harmless(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    stage = Situation(tmp_path, "halted")
    problem = Problem("health_not_passed", message("{seen}", seen=EVIL), message("Retry."), EVIL)
    store = Store.open(stage.url, create=False)
    with store.writing() as conn:
        encoded = problem.to_json()
        update_order(conn, stage.order_id, seeds.NOW, title=EVIL, problem=encoded, reason=EVIL)
    store.close()
    stage.log_path("hz-03").write_text(EVIL + "\n" + "[/x]" * 400 + "\n", encoding="utf-8")
    async with stage.app().run_test(size=size) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "l", "x", "escape")
        lines = pilot.app.screen._compositor.render_strips()
        shown = "\n".join(segment.text for strip in lines for segment in strip)
    assert "[/x]" in shown
    assert not any(char in shown for char in "\x1b\x07\x9b\u202e\u200b\u200d\U000e0041")
    assert "·[@click=app.quit]x···" in shown
