"""What can be done now stands at the bottom, all of it and nothing else; and the screen says one thing about one state."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from cockpit.cli.order import for_the_command_line
from engine.domain.states import Act, Direction
from engine.plan.what_if_words import gate_without_traffic
from engine.store.orders import update_order
from engine.store.store import Store
from screens import words
from screens.consequence import ConsequenceScreen
from screens.order import OrderScreen
from screens.widgets.flow_view import FlowView
from screens.widgets.host_table import HostTable
from screens.widgets.key_bar import KeyBar
from screens.widgets.key_button import KeyButton
from screens.widgets.next_line import NextLine
from screens.widgets.order_head import OrderHead
from screens.widgets.weight_slider import WeightSlider
from tests.support import seeds
from tests.support.cockpit_screens import Situation, open_order, press, settled, until

SIZE = (80, 24)


def _buttons(widget: NextLine | KeyBar) -> list[KeyButton]:
    return [button for button in widget.query(KeyButton) if button.display and button.region.size]


@pytest.mark.parametrize("language", ["en", "zh_CN"])
@pytest.mark.parametrize("situation", seeds.SITUATIONS)
async def test_every_act_that_can_be_done_now_is_a_button_in_sight(
    situation: str, language: str, tmp_path: Path
) -> None:
    stage = Situation(tmp_path, situation)
    async with stage.app(language).run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        assert screen.data is not None
        if screen.query_one(WeightSlider).display:
            await press(pilot, "escape")
        allowed = [words.act_key(act.act) for act in screen.data.acts if act.allowed]
        await until(pilot, lambda: len(_buttons(screen.query_one(NextLine))) == len(allowed))
        shown = _buttons(screen.query_one(NextLine))
        assert [str(button.label).removeprefix("▸ ")[1] for button in shown] == allowed
        for button in shown:
            assert screen.query_one(NextLine).region.contains_region(button.region)
            assert button.region.bottom < SIZE[1]
        marked = [button.has_class("-marked") for button in shown]
        assert marked == [bool(allowed) and screen.data.state.halts, *[False] * len(allowed)][: len(allowed)]


async def test_the_bottom_line_begins_with_what_is_expected(tmp_path: Path) -> None:
    for situation, begins in (
        ("ready", "▸ ⏎ start"),
        ("paused", "▸ ⏎ resume"),
        ("halted", "▸ ⏎ retry"),
        ("group_running", "l log"),
        ("succeeded", "l log"),
    ):
        folder = tmp_path / situation
        folder.mkdir()
        stage = Situation(folder, situation)
        async with stage.app().run_test(size=SIZE) as pilot:
            screen = await open_order(pilot, stage.order_id)
            line = _bottom_line(screen)
            assert line[0] == begins
            assert line[-1] == "? help"
            assert not any("pause" in item or "confirm" in item for item in line)


async def test_the_bottom_line_of_a_gray_gate_marks_what_is_expected_in_the_slider_and_beside_it(
    tmp_path: Path,
) -> None:
    stage = Situation(tmp_path, "waiting_at_gray_gate")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        await until(pilot, lambda: screen.query_one(WeightSlider).has_focus)
        await settled(pilot)
        assert _bottom_line(screen)[0] == "▸ ⏎ apply"
        await press(pilot, "escape")
        assert _bottom_line(screen)[0] == "▸ ⏎ gray weights"
        await press(pilot, "g")
        assert [item for item in _bottom_line(screen) if "▸" in item] == ["▸ ⏎ apply"]
        assert "⏎ apply" not in _bottom_line(screen)
        _pause(stage)
        await until(pilot, lambda: screen.data is not None and screen.data.paused)
        await settled(pilot)
        assert screen.data is not None
        assert _bottom_line(screen)[0] == f"▸ {words.act_key(screen.data.acts[0].act)} resume"


def _bottom_line(screen: OrderScreen) -> list[str]:
    return [str(button.label) for button in _buttons(screen.query_one(KeyBar))]


async def test_the_whole_order_can_be_worked_by_mouse(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        await pilot.click(_buttons(screen.query_one(NextLine))[0])
        await settled(pilot)
        dialog = pilot.app.screen
        assert isinstance(dialog, ConsequenceScreen)
        await until(pilot, lambda: dialog.ready)
        await pilot.click("#leave")
        await until(pilot, lambda: pilot.app.screen is screen)
        log = next(button for button in _buttons(screen.query_one(KeyBar)) if str(button.label) == "l log")
        await pilot.click(log)
        await settled(pilot)
        assert screen.has_class("-log")


# ----------------------------------------------------------------------------------------------------------------- gray


async def test_a_gate_that_waits_for_weights_says_so_and_its_key_leads_there(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_gray_gate")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        await until(pilot, lambda: screen.query_one(WeightSlider).has_focus)
        assert "▸" not in " ".join(str(button.label) for button in _buttons(screen.query_one(NextLine)))
        await press(pilot, "escape")
        assert str(_buttons(screen.query_one(NextLine))[0].label) == "▸ [g] move the weights first: hz-01 hz-05"
        assert "waiting since" in _says(screen)
        assert "hz-01, hz-05 take no traffic yet" in _says(screen)
        await press(pilot, "c")
        assert pilot.app.screen is screen
        assert screen.query_one(WeightSlider).display
        assert stage.api.sent == []


def test_the_command_line_names_its_own_commands() -> None:
    said = str(for_the_command_line(gate_without_traffic(("hz-01",)), 7).remedy)
    assert said == "`cockpit order weights 7 --weight 10` first, then `cockpit order confirm 7`."


# ------------------------------------------------------------------------------------------------- one thing, one state


async def test_a_paused_order_is_paused_and_nothing_else(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "group_running")
    _pause(stage)
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        head = str(screen.query_one(OrderHead).content)
        assert head.startswith("‖ paused")
        assert "halted" not in head
        assert head.count("paused") == 1
        await press(pilot, "escape", "o")
        (row,) = stage.api.orders("acme", "prod")
        assert str(row.shown) == "paused"


async def test_a_group_in_which_nothing_runs_is_paused_with_its_order(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "paused")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        assert str(screen.query_one(OrderHead).content).startswith("‖ paused")
        drawn = "\n".join(line.plain for line in screen.query_one(FlowView)._painting.lines)
        assert "▶" not in drawn


async def test_what_undoes_stands_behind_what_it_undoes_under_one_name(tmp_path: Path) -> None:
    for situation, name in (("rolling_back", "way back 1"), ("left_behind", "cancel 1")):
        folder = tmp_path / situation
        folder.mkdir()
        stage = Situation(folder, situation)
        async with stage.app().run_test(size=SIZE) as pilot:
            screen = await open_order(pilot, stage.order_id)
            assert screen.data is not None
            directions = [node.direction for node in screen.data.nodes]
            assert directions == sorted(directions, key=lambda each: each is Direction.BACK)
            back = [words.node_word(node) for node in screen.data.nodes if node.direction is Direction.BACK]
            assert back[0] == name
            assert ("way back 1" in _says(screen)) is (situation == "rolling_back")


def _says(screen: OrderScreen) -> str:
    return str(screen.query_one("#says").content).replace("\n", " ")  # type: ignore[attr-defined]


def _pause(stage: Situation) -> None:
    store = Store.open(stage.url, create=False)
    with store.writing() as conn:
        update_order(conn, stage.order_id, seeds.NOW, paused=True)
    store.close()


def test_every_act_has_a_key_and_an_action() -> None:
    assert all(words.act_key(act) and words.act_action(act) for act in Act)


async def test_the_panel_draws_again_when_the_width_changes(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=(160, 45)) as pilot:
        screen = await open_order(pilot, stage.order_id)
        count = len(_buttons(screen.query_one(NextLine)))
        await _resized(pilot, *SIZE)
        assert len(_buttons(screen.query_one(NextLine))) == count


async def _resized(pilot: Pilot[None], width: int, height: int) -> None:
    await pilot.resize_terminal(width, height)
    await settled(pilot)


async def test_an_order_that_is_being_read_says_so_and_not_that_it_touches_no_host(tmp_path: Path) -> None:
    for language, says in (("en", "loading…"), ("zh_CN", "正在读取…")):
        folder = tmp_path / language
        folder.mkdir()
        stage = Situation(folder, "ready")
        async with stage.app(language).run_test(size=(160, 45)) as pilot:
            await settled(pilot)
            screen = OrderScreen(stage.order_id)
            screen._poll = lambda: None  # type: ignore[method-assign]
            await pilot.app.push_screen(screen)
            await pilot.pause()
            table = screen.query_one(HostTable)
            assert any(says in table.render_line(y).text for y in range(table.size.height))
