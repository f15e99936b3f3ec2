"""Help and commands speak the operator's language and know nothing of the framework; what is chosen is kept; small and plain
terminals lose nothing that matters."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from screens import translate
from screens.apps import AppsScreen
from screens.commands import CommandsScreen
from screens.filters import in_ascii
from screens.help import help_lines
from screens.order import OrderScreen
from screens.widgets.host_table import HostTable
from screens.widgets.key_button import key_name
from screens.widgets.next_line import NextLine
from screens.widgets.order_head import OrderHead
from screens.widgets.weight_slider import WeightSlider
from tests.support.cockpit_screens import Situation, burst, open_order, press, settled, until

SIZE = (80, 24)


def _drawn(pilot: Pilot[None]) -> list[str]:
    return ["".join(segment.text for segment in strip) for strip in pilot.app.screen._compositor.render_strips()]


@pytest.fixture(autouse=True)
def english_afterwards() -> object:
    yield
    from cockpit.app import LOCALE_DIR

    translate.use("en", LOCALE_DIR)


async def test_a_theme_is_chosen_by_typing_and_kept(tmp_path: Path) -> None:
    kept: list[tuple[str, str]] = []
    app = Situation(tmp_path, "fleet").app(remember=lambda key, value: kept.append((key, value)))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await burst(pilot, ":high\n")
        await until(pilot, lambda: app.theme == "high-contrast")
        assert kept == [("theme", "high-contrast")]
        assert isinstance(app.screen, AppsScreen)


async def test_a_language_is_chosen_over_an_order_which_stays_open(tmp_path: Path) -> None:
    kept: list[tuple[str, str]] = []
    stage = Situation(tmp_path, "halted")
    app = stage.app(remember=lambda key, value: kept.append((key, value)))
    async with app.run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await burst(pilot, ":简\n")
        await until(pilot, lambda: kept == [("language", "zh_CN")])
        await settled(pilot)
        assert isinstance(app.screen, OrderScreen)
        assert any("接下来" in line for line in _drawn(pilot))


async def test_under_chinese_no_command_and_no_help_is_english(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app("zh_CN").run_test(size=(100, 40)) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "colon")
        assert isinstance(pilot.app.screen, CommandsScreen)
        words = [command.about for command in pilot.app.screen._commands]
        assert not any(about.isascii() for about in words)
        assert all(ord(char) < 0x1F000 for line in _drawn(pilot) for char in line)  # no emoji
        await press(pilot, "escape")
        for focus in ("#hosts", "#flow", "LogView"):
            pilot.app.screen.set_focus(pilot.app.screen.query_one(focus))
            await settled(pilot)
            said = [translate._(what) for _keys, what in help_lines(pilot.app.screen)]
            assert not [what for what in said if what.isascii()]


@pytest.mark.parametrize("keys", [("slash",), ("w",), ("r",)])
async def test_the_help_of_a_field_has_nothing_of_the_framework(keys: tuple[str, ...], tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=SIZE) as pilot:
        await settled(pilot)
        await press(pilot, *keys)
        text = " ".join(f"{names} {what}" for names, what in help_lines(pilot.app.screen))
        for leftover in ("Focus", "Dismiss", "menu", "Move cursor", "_sign", "Submit", "Delete"):
            assert leftover not in text


# ------------------------------------------------------------------------------------------------------- small and plain


@pytest.mark.parametrize("situation", ["halted", "waiting_at_beta_gate", "waiting_at_gray_gate", "group_running"])
async def test_at_40_by_12_host_state_and_next_are_in_sight(situation: str, tmp_path: Path) -> None:
    stage = Situation(tmp_path, situation)
    async with stage.app().run_test(size=(40, 12)) as pilot:
        screen = await open_order(pilot, stage.order_id)
        assert screen.query_one(OrderHead).region.height >= 1
        slider, table = screen.query_one(WeightSlider), screen.query_one(HostTable)
        # at a gray gate the weights of its hosts stand in the place of the hosts
        first, shown = ("all hosts", slider) if slider.display else (table.chosen_key, table)
        assert shown.region.height >= 2
        drawn = _drawn(pilot)
        assert any(line.startswith(f">{first}") for line in drawn)
        assert not slider.display or any(" hz-01" in line for line in drawn)
        assert any("next:" in line for line in drawn)
        assert screen.query_one(NextLine).region.bottom == 11


async def test_the_form_scrolls_to_its_preview_on_a_small_terminal(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=(40, 12)) as pilot:
        await settled(pilot)
        await press(pilot, "end", "r")
        await until(pilot, lambda: not any("in service" in line for line in _drawn(pilot)))
        screen = pilot.app.screen
        for _field in screen.focus_chain:
            if any("in service" in line for line in _drawn(pilot)):
                break
            await press(pilot, "tab")
        assert any("in service" in line for line in _drawn(pilot))


def test_in_ascii_full_and_empty_differ_and_enter_has_a_name(tmp_path: Path) -> None:
    assert in_ascii("━━──") == "==--"
    app = Situation(tmp_path, "fleet").app(ascii=True)
    assert key_name("enter", app) == "Enter"
    assert key_name("left", app) == "Left"


async def test_the_columns_of_the_slider_stay_in_line_at_100(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_gray_gate")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        await press(pilot, "g", "1", "0", "0", "down", "5")
        region = screen.query_one(WeightSlider).region
        rows = _drawn(pilot)[region.y + 1 : region.y + 4]
        assert all("weight" in row and "traffic" in row for row in rows)
        assert len({cell_len(row[: row.index("weight")]) for row in rows}) == 1
        assert len({cell_len(row[: row.index("traffic")]) for row in rows}) == 1


@pytest.mark.parametrize("keys", [("r",), ("a",), ("o",), ("z",), ("r", "enter"), ("slash",)])
async def test_under_chinese_no_key_of_a_list_or_form_is_english(keys: tuple[str, ...], tmp_path: Path) -> None:
    """Whatever has the focus, and in an open list as well."""
    stage = Situation(tmp_path, "left_behind" if keys == ("z",) else "fleet")
    async with stage.app("zh_CN").run_test(size=(100, 40)) as pilot:
        await settled(pilot)
        await press(pilot, *keys)
        screen = pilot.app.screen
        for field in [pilot.app.focused, *(screen.focus_chain if keys[-1] != "enter" else [])]:
            screen.set_focus(field)
            await settled(pilot)
            said = [translate._(what) for _keys, what in help_lines(screen)]
            assert [what for what in said if what.isascii() and what != "Beta"] == []
            bar = _drawn(pilot)[-1]
            assert not [word for word in ("menu", "Select", "Focus", "Dismiss", "Toggle", "back") if word in bar]
