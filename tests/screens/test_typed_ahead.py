"""What is typed ahead, pasted or fallen onto the keyboard never acts; a click selects, and only a button acts."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.events import Key, Paste
from textual.pilot import Pilot
from textual.widgets import Input

from engine.domain.acts import ACTS
from engine.domain.states import Act
from screens.apps import AppsScreen
from screens.consequence import ConsequenceScreen
from screens.order import OrderScreen
from screens.orders import OrdersScreen
from screens.typed_ahead import BURST_S, QUIET_S, Patience
from screens.widgets.host_table import HostTable
from screens.widgets.table import Table
from tests.support.cockpit_screens import Situation, burst, open_order, press, settled, until

SIZE = (80, 24)
# act → (a state of the order in which its key asks for it, the key)
ASKED_BY: dict[Act, tuple[str, str]] = {
    Act.INITIALISE: ("init_failed", "i"),
    Act.START: ("ready", "c"),
    Act.CONFIRM: ("waiting_at_beta_gate", "c"),
    Act.PAUSE: ("group_running", "p"),
    Act.RESUME: ("paused", "p"),
    Act.RETRY: ("halted", "t"),
    Act.REMEDY: ("agent_down", "r"),
    Act.CANCEL: ("halted", "x"),
    Act.ROLL_BACK: ("halted", "R"),
}


@pytest.mark.parametrize("text", ["/start\n", "/confirm\n", ":start\n", "/tttt\nt\n"])
@pytest.mark.parametrize("focus", ["#hosts", "#flow", "LogView"])
async def test_text_behind_a_slash_or_a_colon_never_asks_for_an_act(text: str, focus: str, tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=(160, 45)) as pilot:
        screen = await open_order(pilot, stage.order_id)
        screen.set_focus(screen.query_one(focus))
        await settled(pilot)
        await burst(pilot, text)
        assert stage.api.sent == []
        assert not isinstance(pilot.app.screen, ConsequenceScreen)


@pytest.mark.parametrize("screen", [AppsScreen, OrdersScreen])
async def test_what_is_typed_right_behind_a_slash_lands_in_the_filter(screen: type, tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=SIZE) as pilot:
        await settled(pilot)
        if screen is OrdersScreen:
            await press(pilot, "o")
        await burst(pilot, "/trade\n")
        assert isinstance(pilot.app.screen, screen)
        assert pilot.app.screen.query_one("FilterLine", Input).value == "trade"


@pytest.mark.parametrize("act", [Act.START, Act.CONFIRM, Act.PAUSE, Act.RESUME, Act.RETRY, Act.REMEDY, Act.INITIALISE])
async def test_enter_in_the_burst_that_opened_it_does_nothing(act: Act, tmp_path: Path) -> None:
    situation, key = ASKED_BY[act]
    stage = Situation(tmp_path, situation)
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await burst(pilot, f"{key}\n\n\n{key}\n")
        assert stage.api.sent == []
        assert isinstance(pilot.app.screen, ConsequenceScreen)
        await press(pilot, "enter")
        assert [each for each, _params, _reason in stage.api.sent] == [act]


async def test_a_stream_of_text_never_answers_the_dialog_it_has_opened(tmp_path: Path) -> None:
    """However slowly it comes: outside production a cancel would ask for no more than a reason and Enter."""
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        pilot.app.production = False  # type: ignore[attr-defined]
        await press(pilot, "x")
        screen = pilot.app.screen
        assert isinstance(screen, ConsequenceScreen)
        await until(pilot, lambda: screen.patience.painted_at is not None)
        began = (screen.patience.painted_at or 0) + BURST_S / 2
        for number, key in enumerate(["y", "e", "s", "enter", "n", "o", "enter"]):
            typed = Key(key, None if key == "enter" else key)
            typed.time = began + number * BURST_S * 0.9
            pilot.app._driver.send_message(typed)  # type: ignore[union-attr]
        await settled(pilot)
        assert stage.api.sent == []
        assert isinstance(pilot.app.screen, ConsequenceScreen)
        assert pilot.app.screen.query_one("#reason", Input).value == ""


async def test_the_key_that_opened_it_does_not_do_it(tmp_path: Path) -> None:
    for opens, does in (("enter", "c"), ("c", "enter")):
        folder = tmp_path / opens
        folder.mkdir()
        stage = Situation(folder, "waiting_at_beta_gate")
        async with stage.app().run_test(size=SIZE) as pilot:
            await open_order(pilot, stage.order_id)
            await press(pilot, opens, opens, opens)
            assert stage.api.sent == []
            assert isinstance(pilot.app.screen, ConsequenceScreen)
            await pilot.pause(QUIET_S)
            await press(pilot, does)
            assert [act for act, _params, _reason in stage.api.sent] == [Act.CONFIRM]


@pytest.mark.parametrize("situation", ["ready", "waiting_at_beta_gate", "halted", "paused"])
async def test_a_bracketed_paste_does_nothing(situation: str, tmp_path: Path) -> None:
    stage = Situation(tmp_path, situation)
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        pilot.app.post_message(Paste("c\n\nt\nx\nR\n"))
        await settled(pilot)
        assert pilot.app.screen is screen
        assert stage.api.sent == []


async def test_what_is_typed_behind_the_enter_of_a_field_lands_in_the_next_one(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "R")
        dialog = pilot.app.screen
        assert isinstance(dialog, ConsequenceScreen)
        await until(pilot, lambda: dialog.ready)
        await burst(pilot, "route table empty\ntrade-core")
        assert dialog.query_one("#reason", Input).value == "route table empty"
        assert dialog.query_one("#typed", Input).value == "trade-core"
        assert stage.api.sent == []


async def test_a_paste_into_the_reason_is_text(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "R")
        pilot.app.post_message(Paste("errors on hz-03\ntrade-core\n"))
        await settled(pilot)
        assert stage.api.sent == []
        assert pilot.app.screen.query_one("#reason", Input).value == "errors on hz-03"


@pytest.mark.parametrize("act", ASKED_BY)
async def test_in_production_the_button_says_what_the_act_does(act: Act, tmp_path: Path) -> None:
    situation, key = ASKED_BY[act]
    stage = Situation(tmp_path, situation)
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, key)
        answer = stage.api.consequence("acme", "prod", stage.order_id, ACTS[act].type())
        button = pilot.app.screen.query_one("#do")
        assert str(answer.summary) in str(button.label)  # type: ignore[attr-defined]
        assert button.region.bottom <= SIZE[1]
        rule = " ".join(str(pilot.app.screen.query_one("#to-type").content).split())  # type: ignore[attr-defined]
        assert ("Type trade-core" in rule) is bool(answer.type_to_confirm)
        assert "Production" in rule


async def test_a_wish_that_was_met_is_no_longer_asked_for(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "R", "enter")
        missing = pilot.app.screen.query_one("#missing")
        assert missing.display
        await press(pilot, "s")
        assert not missing.display


# ------------------------------------------------------------------------------------------------------------------ mouse


async def test_a_click_on_a_host_selects_it_and_asks_for_nothing(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_beta_gate")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        table = screen.query_one(HostTable)
        for times in (1, 1, 2):
            await pilot.click(table, offset=(3, 2), times=times)
            await settled(pilot)
            assert pilot.app.screen is screen
            assert table.chosen_key == table.rows[1].key
        assert stage.api.sent == []


@pytest.mark.parametrize("list_of", ["apps", "orders", "orphans", "workspaces"])
async def test_a_click_on_any_list_selects_only(list_of: str, tmp_path: Path) -> None:
    stage = Situation(tmp_path, "left_behind")
    async with stage.app().run_test(size=SIZE) as pilot:
        await settled(pilot)
        await press(pilot, *{"orders": "o", "orphans": "z", "workspaces": "w"}.get(list_of, ""))
        screen = pilot.app.screen
        table = screen.query_one("#apps" if list_of == "apps" else "Table", Table)
        for _time in range(2):
            await pilot.click(table, offset=(3, 1))
            await settled(pilot)
            assert pilot.app.screen is screen
            assert table.cursor == 0


async def test_a_click_on_the_button_acts(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_beta_gate")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "c")
        await _ready(pilot)
        await pilot.click("#do")
        await settled(pilot)
        assert [act for act, _params, _reason in stage.api.sent] == [Act.CONFIRM]
        assert isinstance(pilot.app.screen, OrderScreen)


async def _ready(pilot: Pilot[None]) -> None:
    screen = pilot.app.screen
    assert isinstance(screen, ConsequenceScreen)
    await until(pilot, lambda: screen.ready)


# --------------------------------------------------------------------------------------------------------------- patience


def test_a_key_pressed_before_it_was_painted_is_not_taken() -> None:
    patience = Patience()
    assert not patience.takes(1.0)
    patience.painted(2.0)
    assert not patience.takes(1.9)
    assert not patience.takes(2.0 + BURST_S / 2)
    assert patience.takes(2.0 + 2 * BURST_S)
    assert patience.takes(2.0 + 2 * BURST_S + 0.01)  # a name is typed quickly once it is meant


def test_a_stream_of_keys_is_not_taken_before_it_ends() -> None:
    patience = Patience()
    patience.painted(0.0)
    assert not any(patience.takes(0.1 + number * BURST_S * 0.9) for number in range(50))
    assert patience.takes(0.1 + 51 * BURST_S)


def test_what_has_no_meaning_here_makes_it_wait_again() -> None:
    patience = Patience()
    patience.painted(0.0)
    assert patience.takes(1.0)
    patience.again(1.0)
    assert not patience.takes(1.0 + BURST_S * 1.1)
    patience.again(2.0)
    assert patience.takes(2.0 + QUIET_S + 0.01)
