"""Another language, other colours, other data: the row, its line, the focus and what was typed stay where they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from textual.pilot import Pilot
from textual.widgets import Input, Select

from engine.domain.message import message
from engine.domain.problem import Problem
from engine.store import tables as t
from engine.store.store import Store
from screens import translate
from screens.apps import AppsScreen
from screens.new_release import NewReleaseScreen
from screens.orders import OrdersScreen
from screens.widgets.filter_line import FilterLine
from screens.widgets.host_table import HostTable
from screens.widgets.table import Table
from screens.widgets.weight_slider import WeightSlider
from tests.support import seeds
from tests.support.cockpit_screens import Situation, open_order, press, settled, until
from tests.support.orders import make_order

SIZE = (80, 24)
# screen → (situation, whether the order is open, keys)
SCREENS: dict[str, tuple[str, bool, tuple[str, ...]]] = {
    "apps": ("group_running", False, ("end",)),
    "apps, filtered": ("fleet", False, ("slash", "t", "r", "enter")),
    "apps, empty": ("empty", False, ()),
    "orders": ("halted", False, ("o",)),
    "orphans": ("left_behind", False, ("z",)),
    "release": ("fleet", False, ("end", "r", "b", "g", "tab", "tab")),
    "release, wrong number": ("fleet", False, ("end", "r", "tab", "tab", "end", "9")),
    "release of an app that is not here": ("fleet", False, ("home", "r")),
    "operate": ("fleet", False, ("end", "a", "tab", "tab", "tab", "space")),
    "order": ("halted", True, ("down",)),
    "order, log": ("halted", True, ("l", "up")),
    "order, history": ("halted", True, ("h",)),
    "order, check failed": ("init_failed", True, ()),
    "slider": ("waiting_at_gray_gate", True, ("g", "2", "5")),
}


def drawn(pilot: Pilot[None]) -> list[str]:
    return ["".join(segment.text for segment in strip) for strip in pilot.app.screen._compositor.render_strips()]


def differing(lines: list[str], others: list[str]) -> list[tuple[str, str]]:
    return [pair for pair in zip(lines, others, strict=True) if pair[0] != pair[1]]


@pytest.fixture(autouse=True)
def english_afterwards() -> object:
    yield
    from cockpit.app import LOCALE_DIR

    translate.use("en", LOCALE_DIR)


async def arrange(pilot: Pilot[None], stage: Situation, screen: str) -> None:
    _situation, order_open, keys = SCREENS[screen]
    await settled(pilot)
    if order_open:
        await open_order(pilot, stage.order_id)
    await press(pilot, *keys)


@pytest.mark.parametrize("screen", SCREENS)
async def test_another_language_changes_the_words_and_nothing_else(screen: str, tmp_path: Path) -> None:
    """The screen is, to the letter, the one it would be had that language been spoken all along."""
    here = Situation(tmp_path, SCREENS[screen][0])
    there = here.app("zh_CN")
    async with there.run_test(size=SIZE) as pilot:
        await arrange(pilot, here, screen)
        expected, focus = drawn(pilot), str(pilot.app.focused)
    app = here.app("en")
    async with app.run_test(size=SIZE) as pilot:
        await arrange(pilot, here, screen)
        before = drawn(pilot)
        app.speak("zh_CN")
        await settled(pilot)
        assert differing(drawn(pilot), expected) == []
        assert str(pilot.app.focused) == focus
        app.speak("en")
        await settled(pilot)
        assert differing(drawn(pilot), before) == []


@pytest.mark.parametrize("screen", SCREENS)
async def test_other_colours_change_no_letter(screen: str, tmp_path: Path) -> None:
    stage = Situation(tmp_path, SCREENS[screen][0])
    async with stage.app().run_test(size=SIZE) as pilot:
        await arrange(pilot, stage, screen)
        before, focus = drawn(pilot), pilot.app.focused
        pilot.app.theme = "light"
        await settled(pilot)
        assert drawn(pilot) == before
        assert pilot.app.focused is focus


async def test_the_palette_changes_the_language_under_the_cursor_and_leaves_it_there(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=SIZE) as pilot:
        await settled(pilot)
        await press(pilot, "home")
        screen = pilot.app.screen
        assert screen.query_one("#apps", Table).chosen_key == "ledger"
        await press(pilot, "colon", *"语言", "up", "down", "down", "enter")
        await until(pilot, lambda: translate.language() == "zh_CN")
        await settled(pilot)
        assert pilot.app.screen is screen
        assert screen.query_one("#apps", Table).chosen_key == "ledger"
        assert screen.query_one("#apps").has_focus


async def test_what_was_typed_and_chosen_stays_when_the_language_changes(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    app = stage.app()
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await press(pilot, "end", "r", "b", "g")
        form = app.screen
        assert isinstance(form, NewReleaseScreen)
        form.query_one("#version", Select).value = "3.0.0"
        form.query_one("#title", Input).value = "夜间 release"
        form.query_one("#title").focus()
        await settled(pilot)
        app.speak("zh_CN")
        await settled(pilot)
        spec = form.spec()
        assert app.screen is form
        assert spec is not None
        assert (spec.title, form.beta, form._traffic) == ("夜间 release", True, "gray")
        assert form.query_one("#version", Select).value == "3.0.0"
        assert form.query_one("#title").has_focus


async def test_a_weight_that_is_being_chosen_survives_another_language(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_gray_gate")
    app = stage.app()
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        await press(pilot, "g", "2", "5")
        app.speak("zh_CN")
        await settled(pilot)
        assert screen.query_one(WeightSlider).has_focus
        assert any("25" in line for line in drawn(pilot))


def more_orders(stage: Situation, count: int) -> None:
    store = Store.open(stage.url)
    with store.writing() as conn:
        workspace = conn.execute(sa.select(t.order.c.workspace_id).limit(1)).scalar_one()
        for _number in range(count):
            made = make_order(conn, workspace, seeds.release_spec(), created_by="bob", now=seeds.NOW)
            conn.execute(sa.update(t.order).where(t.order.c.id == made).values(state="succeeded", ended_at=seeds.NOW))
    store.close()


async def test_rows_that_come_above_move_neither_the_row_under_the_cursor_nor_its_line(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "succeeded")
    more_orders(stage, 60)
    async with stage.app().run_test(size=SIZE) as pilot:
        await settled(pilot)
        await press(pilot, "o", *["pagedown"] * 2, "up", "up", "up")
        screen = pilot.app.screen
        assert isinstance(screen, OrdersScreen)
        table = screen.query_one(Table)
        row = table.chosen_key
        line = next(at for at, text in enumerate(drawn(pilot)) if f">  #{row} " in text or f">#{row} " in text)
        more_orders(stage, 5)
        await until(pilot, lambda: len(table.rows) == 66)
        await settled(pilot)
        assert table.chosen_key == row
        assert f"#{row} " in drawn(pilot)[line]
        assert drawn(pilot)[line].startswith(">")


async def test_a_store_that_is_away_for_a_moment_takes_neither_the_focus_nor_the_row(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        await press(pilot, "down")
        row = screen.query_one(HostTable).chosen_key
        stage.api.broken = Problem("store_unreachable", message("It is away."), message("Wait."), "")
        screen.reload()
        await until(pilot, lambda: not screen.query_one("#body").display)
        stage.api.broken = None
        screen._look_again_at = 0.0
        await until(pilot, lambda: bool(screen.query_one("#body").display))
        await settled(pilot)
        assert screen.query_one("#hosts").has_focus
        assert screen.query_one(HostTable).chosen_key == row


async def test_the_cursor_begins_on_an_app_that_runs_here(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=SIZE) as pilot:
        await settled(pilot)
        assert isinstance(pilot.app.screen, AppsScreen)
        assert pilot.app.screen.query_one("#apps", Table).chosen_key == "trade-core"
        await press(pilot, "slash", *"ledger", "enter", "slash", "escape")
        assert pilot.app.screen.query_one("#apps", Table).chosen_key == "ledger"
        assert not pilot.app.screen.query_one(FilterLine).display
