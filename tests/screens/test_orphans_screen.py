"""Weights left behind: said on every screen, listed on one, given back by one key with a reason."""

from __future__ import annotations

from pathlib import Path

from engine.domain.states import Act
from screens.consequence import ConsequenceScreen
from screens.orphans import OrphansScreen
from screens.widgets.crumbs import Crumbs
from tests.support.cockpit_screens import Situation, open_order, press, settled

SIZE = (80, 24)


def top_line(screen: object) -> str:
    return str(screen.query_one(Crumbs).content)  # type: ignore[attr-defined]


async def test_every_screen_says_that_weights_were_left_behind(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "left_behind")
    async with stage.app().run_test(size=SIZE) as pilot:
        await settled(pilot)
        assert "! 1 weight left behind (z)" in top_line(pilot.app.screen)
        await press(pilot, "o")
        assert "! 1 weight left behind (z)" in top_line(pilot.app.screen)
        await open_order(pilot, stage.order_id)
        assert "! 1 weight left behind (z)" in top_line(pilot.app.screen)


async def test_nothing_is_said_when_nothing_was_left_behind(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")  # a weight at 0 that a living order owns
    async with stage.app().run_test(size=SIZE) as pilot:
        await settled(pilot)
        assert "left behind" not in top_line(pilot.app.screen)
        await press(pilot, "z")
        assert isinstance(pilot.app.screen, OrphansScreen)
        await press(pilot, "enter", "a")
        assert stage.api.sent == []


async def test_enter_gives_a_weight_back_only_with_a_reason_and_in_production_the_name(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "left_behind")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "z", "enter", "enter")
        assert isinstance(pilot.app.screen, ConsequenceScreen)
        assert stage.api.sent == []
        await press(pilot, *"ok", "enter", *"trade-core", "enter")
        assert stage.api.sent == [(Act.GIVE_BACK, {"hosts": ["hz-03"]}, "ok")]
        assert isinstance(pilot.app.screen, OrphansScreen)
