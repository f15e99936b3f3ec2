"""Dialogues and lists on every terminal: buttons to click and to walk to, a cursor that can be seen, nothing off the edge."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input

from screens.apps import AppsScreen
from screens.commands import CommandsScreen
from screens.help import HelpScreen
from screens.widgets.key_button import DialogButton
from screens.widgets.table import Column, Row, Table
from screens.workspaces import WorkspacesScreen
from tests.support.cockpit_screens import Situation, press, settled, until

DIALOGUES = {"colon": CommandsScreen, "w": WorkspacesScreen, "question_mark": HelpScreen}
SIZES = [(80, 24), (160, 45), (40, 12)]


def drawn(pilot: Pilot[None]) -> list[str]:
    return ["".join(segment.text for segment in strip) for strip in pilot.app.screen._compositor.render_strips()]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("key", DIALOGUES)
async def test_the_buttons_of_a_dialogue_are_in_sight_in_the_tab_order_and_act(
    key: str, size: tuple[int, int], tmp_path: Path
) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=size) as pilot:
        await settled(pilot)
        await press(pilot, key)
        dialogue = pilot.app.screen
        assert isinstance(dialogue, DIALOGUES[key])
        inside = dialogue.query_one("#dialog").region
        buttons = list(dialogue.query(DialogButton))
        assert buttons
        assert all(inside.contains_region(button.region) and button.region.height for button in buttons)
        walked = set()
        for _key in range(len(dialogue.focus_chain)):
            await press(pilot, "tab")
            walked.add(pilot.app.focused)
        assert set(buttons) <= walked
        dialogue.query_one("#leave").focus()
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, AppsScreen)
        await press(pilot, key)
        await pilot.click("#leave")
        await settled(pilot)
        assert isinstance(pilot.app.screen, AppsScreen)


@pytest.mark.parametrize("by_click", [False, True])
async def test_a_workspace_is_chosen_by_its_button(by_click: bool, tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "w")
        table = pilot.app.screen.query_one(Table)
        assert table.chosen_key == "acme / prod"
        await press(pilot, "up")
        wanted = table.chosen_key
        if by_click:
            await pilot.click("#choose")
        else:
            pilot.app.screen.query_one("#choose", Button).focus()
            await press(pilot, "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, AppsScreen))
        assert f"{pilot.app.tenant} / {pilot.app.workspace}" == wanted  # type: ignore[attr-defined]


@pytest.mark.parametrize("key", ["colon", "w"])
async def test_the_row_that_enter_takes_looks_like_it_while_the_name_is_typed(key: str, tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, key, "o", "r")
        assert isinstance(pilot.app.focused, Input)
        table = pilot.app.screen.query_one(Table)
        line = drawn(pilot)[table.region.y + table._heading][table.region.x : table.region.right]
        assert line.startswith(">") == bool(table.rows)


async def test_a_list_is_painted_in_its_own_width_from_its_first_frame(tmp_path: Path) -> None:
    """Rows that came before the width was known are not cut to the width of nothing."""
    table = Table([Column("name", "name", most=34)])
    table.set_rows([Row("one", {})])
    assert table._laid_for == 0
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        frames: list[str] = []
        painted = Table.render_line

        def noted(self: Table, y: int) -> object:
            strip = painted(self, y)
            frames.append("".join(segment.text for segment in strip))
            return strip

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Table, "render_line", noted)
            await press(pilot, "colon")
        assert [line for line in frames if "…" in line] == []


async def test_on_a_small_terminal_the_apps_are_in_sight(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=(40, 12)) as pilot:
        await settled(pilot)
        assert any("trade-core" in line and "1.0.0 8/8" in line for line in drawn(pilot))
        assert "acme / prod" in drawn(pilot)[0]


async def test_what_a_list_says_instead_of_rows_is_never_cut_off(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=(40, 12)) as pilot:
        await settled(pilot)
        await press(pilot, "o")
        assert "No order yet. On the list of apps, r makes a release, a acts on hosts." in " ".join(
            " ".join(drawn(pilot)).split()
        )
