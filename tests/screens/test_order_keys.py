"""What the keys of the order screen send, and what they never send."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.text import Text
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, Select

from engine.domain.message import message
from engine.domain.problem import Problem
from engine.domain.states import Act
from engine.store.orders import update_order
from engine.store.store import Store
from screens.apps import AppsScreen
from screens.consequence import ConsequenceScreen
from screens.order import OrderScreen
from screens.weights import live_weight
from screens.widgets.flow_view import FlowView
from screens.widgets.host_table import HostTable
from screens.widgets.key_bar import KeyBar
from screens.widgets.key_button import KeyButton
from screens.widgets.log_pane import LogPane
from screens.widgets.notice import Notice
from screens.widgets.prose import Prose
from screens.widgets.weight_slider import WeightSlider
from tests.support import seeds
from tests.support.cockpit_screens import Situation, open_order, press, settled, until

SIZE = (80, 24)


async def test_enter_starts_a_ready_order_only_after_its_consequence_was_shown(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "ready")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, ConsequenceScreen)
        assert stage.api.sent == []
        await press(pilot, "c")
        assert [act for act, _params, _reason in stage.api.sent] == [Act.START]
        assert isinstance(pilot.app.screen, OrderScreen)


async def test_confirm_names_the_gate_that_waits(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_beta_gate")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "c", "enter")
        assert stage.api.sent == [(Act.CONFIRM, {"node": "beta-confirm"}, "")]


async def test_c_confirms_the_gate_even_while_the_order_is_paused(tmp_path: Path) -> None:
    """Enter does what is expected (resume); c does what the next line says c does."""
    for key, then, expected in (("c", "enter", Act.CONFIRM), ("enter", "p", Act.RESUME)):
        folder = tmp_path / key
        folder.mkdir()
        stage = Situation(folder, "paused")
        async with stage.app().run_test(size=SIZE) as pilot:
            await open_order(pilot, stage.order_id)
            await press(pilot, key, then)
            assert [act for act, _params, _reason in stage.api.sent] == [expected]


async def test_escape_leaves_the_consequence_and_sends_nothing(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_beta_gate")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "c", "escape")
        assert isinstance(pilot.app.screen, OrderScreen)
        assert stage.api.sent == []


async def test_rolling_back_in_production_needs_a_reason_and_the_typed_name(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_beta_gate")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "R", "enter")
        assert stage.api.sent == []
        assert isinstance(pilot.app.screen, ConsequenceScreen)
        await press(pilot, *"slow", "enter", *"trade-cor", "enter")
        assert stage.api.sent == []
        assert isinstance(pilot.app.screen, ConsequenceScreen)
        await press(pilot, "e", "enter")
        assert [(act, reason) for act, _params, reason in stage.api.sent] == [(Act.ROLL_BACK, "slow")]


async def test_rolling_back_a_succeeded_order_makes_an_order_of_its_own_and_shows_it(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "succeeded")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "R", *"bad figures", "enter", *"trade-core", "enter")
        await until(pilot, lambda: shown_order(pilot.app.screen) not in (0, stage.order_id))
        await settled(pilot)
        order = stage.api.order("acme", "prod", shown_order(pilot.app.screen))
        assert (order.kind, order.versions, order.reason) == ("rollback", "1.0.0", "bad figures")
        assert stage.api.sent == []
        await press(pilot, "escape")
        assert shown_order(pilot.app.screen) == stage.order_id


def shown_order(screen: Screen[Any]) -> int:
    return screen.order_id if isinstance(screen, OrderScreen) else 0


async def test_the_version_to_go_back_to_is_chosen_in_the_dialog(tmp_path: Path) -> None:
    """Hosts of the order ran a version before that never succeeded here: there is no way back until one is chosen."""
    stage = Situation(tmp_path, "halted")
    store = Store.open(stage.url, create=False)
    seeds.ran_before(store, stage.order_id, "hz-02", "2.0.0", succeeded=("1.0.0", "1.1.0"))
    store.close()
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "R")
        dialog = pilot.app.screen
        choice = dialog.query_one("#choice", Select)
        assert choice.display
        await until(pilot, lambda: choice.value == "1.1.0")
        choice.focus()
        await press(pilot, "enter", "down", "enter")  # open the list, the one below, take it
        assert choice.value == "1.0.0"
        dialog.query_one("#reason").focus()
        await press(pilot, *"slow", "enter", *"trade-core", "enter")
        assert stage.api.sent == [(Act.ROLL_BACK, {"version": "1.0.0"}, "slow")]


async def test_an_act_that_is_not_possible_now_cannot_be_pressed(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "ready")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "R", "enter", "enter")
        assert stage.api.sent == []
        assert isinstance(pilot.app.screen, ConsequenceScreen)


async def test_retry_means_all_failed_hosts_and_capital_t_only_the_one_under_the_cursor(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "t", "enter", "T", "enter")
        assert [params for _act, params, _reason in stage.api.sent] == [{}, {"hosts": ["hz-03"]}]


async def test_a_retry_is_made_one_that_does_everything_again_and_back(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "t")
        dialog = pilot.app.screen
        assert isinstance(dialog, ConsequenceScreen)
        would = dialog.query_one("#would", Prose)
        again = dialog.query_one("#from-start", KeyButton)
        await until(pilot, lambda: "attempt 2 begins at check health" in str(would.content))
        await press(pilot, "a")
        await until(pilot, lambda: "from its first step" in str(would.content))
        assert "begin at the failed step instead" in str(again.label)
        await press(pilot, "a")
        await until(pilot, lambda: "begins at check health" in str(would.content))
        await press(pilot, "a")
        await until(pilot, lambda: "from its first step" in str(would.content))
        await press(pilot, "enter")
        assert stage.api.sent == [(Act.RETRY, {"from_start": True}, "")]


async def test_there_is_nothing_to_choose_where_nothing_was_done_before(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "ready")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "c", "a")
        assert isinstance(pilot.app.screen, ConsequenceScreen)
        assert not pilot.app.screen.query_one("#from-start").display
        assert stage.api.sent == []


async def test_p_pauses_what_runs_and_resumes_what_is_paused(tmp_path: Path) -> None:
    for situation, expected in (("group_running", Act.PAUSE), ("paused", Act.RESUME)):
        folder = tmp_path / situation
        folder.mkdir()
        stage = Situation(folder, situation)
        async with stage.app().run_test(size=SIZE) as pilot:
            await open_order(pilot, stage.order_id)
            await press(pilot, "p", "enter")
            assert [act for act, _params, _reason in stage.api.sent] == [expected]


async def test_a_refusal_says_what_and_what_to_do_instead(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "ready")
    stage.api.refusal = Problem("plan_stale", message("The fleet changed."), message("Initialise the order again."))
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        await press(pilot, "c", "enter")
        notice = screen.query_one(Notice)
        await until(pilot, lambda: notice.display and "The fleet changed." in str(notice.content))
        assert "Initialise the order again." in str(notice.content)


# ---------------------------------------------------------------------------------------------------------------- weights


async def test_the_slider_sends_pending_weights_only_after_their_consequence_was_shown(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_gray_gate")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "g", "2", "5", "down", "right")
        assert stage.api.sent == []
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, ConsequenceScreen)
        assert stage.api.sent == []
        await press(pilot, "g")
        assert stage.api.sent == [(Act.SET_WEIGHTS, {"weights": {"hz-01": 26, "hz-05": 25}}, "")]


async def test_escape_leaves_the_slider_and_nothing_of_it_stays_pending(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_gray_gate")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        slider = screen.query_one(WeightSlider)
        await press(pilot, "g", "pageup")
        assert slider.pending.weights == {"hz-01": 1, "hz-05": 1}
        await press(pilot, "escape")
        assert slider.pending.weights == {}
        assert not slider.display
        assert pilot.app.screen is screen
        assert screen.query_one(HostTable).has_focus
        assert stage.api.sent == []


async def test_c_with_weights_that_are_not_applied_applies_them_and_confirms(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_gray_gate")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        await press(pilot, "c", "c")
        assert stage.api.sent == []
        assert "Give these hosts a weight first" in (screen.query_one(Notice)._drawn or Text()).plain
        await press(pilot, "end", "c")
        dialog = pilot.app.screen
        assert isinstance(dialog, ConsequenceScreen)
        said = " ".join(str(dialog.query_one("#do", KeyButton).label).split())
        assert said.startswith("[⏎] sets weight 100: hz-01, hz-05; then confirms Beta group and starts group 1")
        await press(pilot, "enter")
        await until(pilot, lambda: len(stage.api.sent) == 2)
        assert [(act, parts) for act, parts, _reason in stage.api.sent] == [
            (Act.SET_WEIGHTS, {"weights": {"hz-01": 100, "hz-05": 100}}),
            (Act.CONFIRM, {"node": "beta-confirm"}),
        ]
        await until(pilot, lambda: not screen.query_one(WeightSlider).display)


async def test_a_gate_is_not_confirmed_when_its_weights_are_refused(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_gray_gate")
    stage.api.refusal = Problem("balancer_busy", message("The balancer is busy."), message("Ask again."))
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        await press(pilot, "g", "end", "c", "enter")
        await until(pilot, lambda: "busy" in (screen.query_one(Notice)._drawn or Text()).plain)
        assert [act for act, _parts, _reason in stage.api.sent] == [Act.SET_WEIGHTS]


async def test_the_slider_opens_by_itself_at_a_gate_that_waits_for_weights_but_takes_no_focus_from_a_log(
    tmp_path: Path,
) -> None:
    stage = Situation(tmp_path, "waiting_at_gray_gate")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        slider = screen.query_one(WeightSlider)
        await until(pilot, lambda: slider.has_focus)
        await press(pilot, "escape")
        screen.tick()
        assert not slider.display
        screen._slider.offered = ""
        await press(pilot, "l")
        pilot.app.pressed_at = 0.0  # type: ignore[attr-defined]
        screen.tick()
        assert not slider.display
        await press(pilot, "l")
        screen.tick()  # a key was pressed just now
        assert not slider.display
        pilot.app.pressed_at = 0.0  # type: ignore[attr-defined]
        screen.tick()
        assert slider.display


async def test_h_is_the_history_in_the_slider_too(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_gray_gate")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        await press(pilot, "g", "5", "0", "h")
        assert screen.query_one(WeightSlider).pending.weights == {"hz-01": 50, "hz-05": 50}
        assert screen.has_class("-history")


async def test_what_the_balancer_shows_never_overwrites_a_pending_weight(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_gray_gate")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        await press(pilot, "g", "down", "4", "0")
        _move_weight(stage, "hz-01", 7)
        await until(pilot, lambda: screen.data is not None and live_weight(screen.data.hosts[0]) == 7)
        await settled(pilot)
        assert screen.query_one(WeightSlider).pending.weights == {"hz-01": 40}


def _move_weight(stage: Situation, host: str, weight: int) -> None:
    store = Store.open(stage.url, create=False)
    with store.writing() as conn:
        story = seeds.OrderStory.__new__(seeds.OrderStory)
        story.conn, story.id, story.at = conn, stage.order_id, seeds.NOW
        story.set_weight(host, weight, owned=True)
        update_order(conn, stage.order_id, seeds.NOW)
    store.close()


# ------------------------------------------------------------------------------------------------- what takes keys is seen


@pytest.mark.parametrize("asks", ["g", "enter"])
@pytest.mark.parametrize("stands_there", ["l", "h"])
async def test_asking_for_the_slider_leaves_what_stands_in_its_place(
    stands_there: str, asks: str, tmp_path: Path
) -> None:
    stage = Situation(tmp_path, "waiting_at_gray_gate")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        slider = screen.query_one(WeightSlider)
        await until(pilot, lambda: slider.has_focus)
        await press(pilot, "escape", stands_there)
        assert not slider.region.size
        await press(pilot, asks)
        assert slider.has_focus
        assert slider.region.size
        assert not screen.has_class("-log")
        assert not screen.has_class("-history")
        await press(pilot, "2", "5")
        assert slider.pending.weights == {"hz-01": 25, "hz-05": 25}


@pytest.mark.parametrize("stands_there", ["l", "h"])
async def test_a_slider_that_is_not_seen_takes_no_key_and_is_there_again_behind_it(
    stands_there: str, tmp_path: Path
) -> None:
    stage = Situation(tmp_path, "waiting_at_gray_gate")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        slider = screen.query_one(WeightSlider)
        await press(pilot, "g", "2", "5", stands_there, "7", "end", "right")
        assert not slider.region.size
        assert slider.pending.weights == {"hz-01": 25, "hz-05": 25}
        assert not any("apply" in item.words for item in screen.query_one(KeyBar)._shown)
        await press(pilot, "escape")
        assert slider.has_focus
        assert slider.region.size


async def test_a_slider_that_a_narrower_terminal_hides_takes_no_key(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_gray_gate")
    async with stage.app().run_test(size=(160, 45)) as pilot:
        screen = await open_order(pilot, stage.order_id)
        slider = screen.query_one(WeightSlider)
        await press(pilot, "g", "2", "5", "h")
        slider.focus()
        await settled(pilot)
        await pilot.resize_terminal(*SIZE)
        await settled(pilot)
        assert not slider.region.size
        await press(pilot, "7", "end")
        assert slider.pending.weights == {"hz-01": 25, "hz-05": 25}


async def test_searching_the_log_leaves_the_history(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=(160, 45)) as pilot:
        screen = await open_order(pilot, stage.order_id)
        await press(pilot, "h", "slash")
        assert not screen.has_class("-history")
        assert screen.focused is not None
        assert screen.focused.region.size


# ------------------------------------------------------------------------------------------------------- what is typed


async def test_a_typed_weight_over_100_is_refused_in_words_and_changes_nothing(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_gray_gate")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        slider = screen.query_one(WeightSlider)
        await press(pilot, "g", "1", "5", "0", "0")
        assert slider.pending.weights == {"hz-01": 15, "hz-05": 15}
        assert "at most 100" in slider._heading().plain
        await press(pilot, "backspace")
        assert slider.pending.weights == {"hz-01": 1, "hz-05": 1}
        assert "at most 100" not in slider._heading().plain
        await press(pilot, "backspace")
        assert slider.pending.weights == {}
        await press(pilot, "3", "0", "1", "down")
        assert "at most 100" not in slider._heading().plain
        await press(pilot, "4", "0")
        assert slider.pending.weights == {"hz-01": 40, "hz-05": 30}


# ------------------------------------------------------------------------------------------------------------ by mouse


async def test_a_gray_gate_is_passed_with_clicks_only(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_gray_gate")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        slider = screen.query_one(WeightSlider)
        await until(pilot, lambda: slider.has_focus)
        await _click_bar(pilot, 1, 1.0)
        assert slider.pending.weights == {"hz-01": 100, "hz-05": 100}
        await _click_bar(pilot, 2, 0.5)
        assert 40 <= slider.pending.weights["hz-01"] <= 60
        await _click_bar(pilot, 2, 0.0)
        assert slider.pending.weights == {"hz-05": 100}
        await pilot.click(slider, offset=(2, 3))
        assert slider.pending.weights == {"hz-05": 100}
        await _click_bar(pilot, 3, 0.0)
        assert slider.pending.weights == {}
        await _click_bar(pilot, 1, 1.0)
        assert stage.api.sent == []
        await _click(pilot, "apply")
        await _click_do(pilot)
        assert [(act, parts) for act, parts, _reason in stage.api.sent] == [
            (Act.SET_WEIGHTS, {"weights": {"hz-01": 100, "hz-05": 100}})
        ]
        for host in ("hz-01", "hz-05"):
            _move_weight(stage, host, 100)
        await until(pilot, lambda: screen.data is not None and screen.data.acts[0].act is Act.CONFIRM)
        await settled(pilot)
        await _click(pilot, "apply and confirm")
        await _click_do(pilot)
        assert stage.api.sent[-1][:2] == (Act.CONFIRM, {"node": "beta-confirm"})
        assert len(stage.api.sent) == 2


async def _click_bar(pilot: Pilot[None], row: int, part: float) -> None:
    """`part` of its length; where it stands follows from what is pending."""
    slider = pilot.app.screen.query_one(WeightSlider)
    drawn = slider.render_line(row).text
    bar = [at for at, cell in enumerate(drawn) if cell in "━─"]
    await pilot.click(slider, offset=(bar[0] + round(part * (len(bar) - 1)), row))
    await settled(pilot)


async def _click(pilot: Pilot[None], words: str) -> None:
    bar = pilot.app.screen.query_one(KeyBar)
    at = [item.words for item in bar._shown].index(words)
    await pilot.click(list(bar.query(KeyButton))[at])
    await settled(pilot)


async def _click_do(pilot: Pilot[None]) -> None:
    dialog = pilot.app.screen
    assert isinstance(dialog, ConsequenceScreen)
    await until(pilot, lambda: dialog.ready)
    await pilot.click("#do")
    await until(pilot, lambda: pilot.app.screen is not dialog)
    await settled(pilot)


# ------------------------------------------------------------------------------------------------------------- moving about


async def test_the_log_takes_the_narrow_screen_and_gives_it_back(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        log = screen.query_one(LogPane)
        assert not log.display or log.region.height == 0
        await press(pilot, "l")
        assert log.region.height > 10
        assert log.view.has_focus
        await press(pilot, "escape")
        assert pilot.app.screen is screen
        assert log.region.height == 0


async def test_the_log_stops_following_when_scrolled_up_and_counts_what_came(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=(160, 45)) as pilot:
        screen = await open_order(pilot, stage.order_id)
        view = screen.query_one(LogPane).view
        await press(pilot, "l", "up")
        assert not view.following
        with stage.log_path("hz-03").open("a") as log:
            log.write("one\ntwo\nthree\n")
        await until(pilot, lambda: view.unseen == 3)
        await press(pilot, "end")
        assert view.following
        assert view.unseen == 0


async def test_n_goes_to_the_failed_host(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        screen.query_one(FlowView).select("beta", by_hand=True)
        await settled(pilot)
        await press(pilot, "n")
        assert screen.query_one(FlowView).selected == "group-1"
        assert screen.query_one(HostTable).chosen_key == "hz-03"


async def test_the_screen_follows_the_store(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "ready")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        store = Store.open(stage.url, create=False)
        with store.writing() as conn:
            update_order(conn, stage.order_id, seeds.NOW, state="running", started_at=seeds.NOW)
        store.close()
        await until(pilot, lambda: screen.data is not None and screen.data.state == "running", within_s=2.0)


async def test_q_leaves_and_says_that_the_engine_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Situation(tmp_path, "group_running")
    app = stage.app()
    async with app.run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        said: list[str] = []
        monkeypatch.setattr(app, "exit", lambda *_args, message: said.append(str(message)))
        await pilot.press("q")
        await until(pilot, lambda: bool(said))
    assert "The engine goes on" in said[0]


async def test_a_release_is_made_by_keyboard_from_the_list_of_apps(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=SIZE) as pilot:
        await settled(pilot)
        await press(pilot, "end", "r", "ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, OrderScreen))
        await settled(pilot)
        order = stage.api.orders("acme", "prod")[0]
        assert (order.subject, order.versions) == ("trade-core", "3.0.0")


async def test_the_filter_of_the_apps_can_be_inverted_and_dropped(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=SIZE) as pilot:
        await settled(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, AppsScreen)
        table = screen.query_one("#apps")

        def shown() -> list[str]:
            return [row.key for row in table.rows]  # type: ignore[attr-defined]

        await press(pilot, "slash", *"led", "enter")
        assert shown() == ["ledger"]
        await press(pilot, "slash")
        screen.query_one("FilterLine", Input).value = "!led"
        await settled(pilot)
        assert shown() == ["trade-core"]
        await press(pilot, "escape")
        assert shown() == ["ledger", "trade-core"]


async def test_what_was_missing_is_no_longer_said_once_it_is_given(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "group_running")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "x", "enter")
        missing = pilot.app.screen.query_one("#missing")
        assert missing.display
        await press(pilot, "w")
        assert not missing.display
