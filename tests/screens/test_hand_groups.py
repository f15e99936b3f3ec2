"""Groups by hand, on their screen: by keyboard and by mouse, with undo, and what they mean beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Select

from engine.domain.orders import Grouping
from engine.domain.states import Strategy
from screens.hand_groups import HandGroupsScreen
from screens.new_release import NewReleaseScreen
from screens.operate import OperateScreen
from screens.order import OrderScreen
from screens.widgets.group_table import GroupTable
from screens.widgets.key_button import KeyButton
from screens.widgets.notice import Notice
from screens.widgets.preview import Preview
from tests.support.cockpit_screens import Situation, press, settled, until

SIZE = (80, 24)


async def form(pilot: Pilot[None]) -> NewReleaseScreen:
    await settled(pilot)
    screen = NewReleaseScreen("trade-core")
    await pilot.app.push_screen(screen)
    await settled(pilot)
    return screen


async def editor(pilot: Pilot[None]) -> HandGroupsScreen:
    """Of two groups of four hosts each."""
    await form(pilot)
    await press(pilot, "e")
    await until(pilot, lambda: isinstance(pilot.app.screen, HandGroupsScreen))
    screen = pilot.app.screen
    assert isinstance(screen, HandGroupsScreen)
    await settled(pilot)
    return screen


def shown(pilot: Pilot[None]) -> str:
    strips = pilot.app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def said(pilot: Pilot[None]) -> str:
    """What stands on the right, with one blank for every break."""
    return " ".join(pilot.app.screen.query_one(Preview)._text._said.plain.split())


def names(pilot: Pilot[None]) -> list[str]:
    """The list as it stands there, a heading with how many hosts it has."""
    table = pilot.app.screen.query_one(GroupTable)
    return [" ".join(row.cells["name"].plain.split()) for row in table.rows]


async def to(pilot: Pilot[None], key: str) -> None:
    pilot.app.screen.query_one(GroupTable).move_to(key)
    await pilot.pause()


def grouping(form: NewReleaseScreen | OperateScreen) -> Grouping:
    spec = form.spec()
    assert spec is not None
    return spec.grouping


async def test_hosts_are_moved_one_by_one_and_several_together_and_the_order_is_made_so(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await editor(pilot)
        before = names(pilot)
        assert before[:3] == ["Beta group (0)", "group 1 (4)", "hz-02"]
        await to(pilot, "host hz-02")
        await press(pilot, "b")
        await to(pilot, "host hz-04")
        await press(pilot, "space", "space", "n")
        await to(pilot, "host hz-08")
        await press(pilot, "x")
        await settled(pilot)
        assert "Beta group (1)" in names(pilot)
        await until(pilot, lambda: "excluded, keep what they run: hz-08 (1.0.0)" in said(pilot))
        edited = screen._groups.of("trade-core")
        assert (edited.beta, edited.excluded, len(edited.groups[-1])) == (("hz-02",), ("hz-08",), 2)
        await press(pilot, "ctrl+s")
        await settled(pilot)
        form = pilot.app.screen
        assert isinstance(form, NewReleaseScreen)
        assert grouping(form) == Grouping(
            beta=True, beta_hosts=("hz-02",), by_hand=edited.groups, excluded=("hz-08",), strategy=Strategy.QUICK
        )
        assert "Beta 1, 3 groups, 1 excluded" in shown(pilot)
        await press(pilot, "ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, OrderScreen))
        await settled(pilot)
    (row,) = stage.api.orders("acme", "prod")
    view = stage.api.order_spec("acme", "prod", row.id)
    assert view.grouping.by_hand == edited.groups


async def test_groups_are_split_merged_reordered_and_every_edit_is_undone(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await editor(pilot)
        steps = [screen._groups]
        await to(pilot, "trade-core 0")
        for key in ("s", "J", "m", "K", "right"):
            await press(pilot, key)
            if key == "K":
                await to(pilot, "host hz-01")
            steps.append(screen._groups)
        assert [len(step.apps[0].groups) for step in steps] == [2, 3, 3, 2, 2, 2]
        assert len(set(steps)) == len(steps)
        for step in reversed(steps[:-1]):
            await press(pilot, "u")
            assert screen._groups == step
        await press(pilot, "u")
        assert "Nothing to undo." in shown(pilot)


async def test_the_floor_and_the_curve_are_those_of_the_groups_while_they_are_edited(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=SIZE) as pilot:
        await editor(pilot)
        await until(pilot, lambda: "4 at the lowest" in said(pilot))
        await to(pilot, "trade-core 0")
        await press(pilot, "m")
        await until(pilot, lambda: "0 at the lowest" in said(pilot))
        await press(pilot, "u")
        await until(pilot, lambda: "4 at the lowest" in said(pilot))


async def test_a_mark_is_clicked_and_the_acts_are_buttons(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await editor(pilot)
        await pilot.click(GroupTable, offset=(2, 2))
        await pilot.click(GroupTable, offset=(2, 3))
        assert len(screen._marked) == 2
        await pilot.click(GroupTable, offset=(12, 4))
        assert len(screen._marked) == 2
        await press(pilot, "b")
        split, undo = (
            screen.query("#hand-keys KeyButton").first(KeyButton),
            screen.query("#hand-keys KeyButton").last(KeyButton),
        )
        assert len(screen._groups.apps[0].beta) == 2
        await to(pilot, "trade-core 1")
        await pilot.click(split)
        await settled(pilot)
        assert len(screen._groups.apps[0].groups) == 3
        await pilot.click(undo)
        await settled(pilot)
        assert len(screen._groups.apps[0].groups) == 2


async def test_what_was_edited_is_not_dropped_by_one_key(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await editor(pilot)
        await to(pilot, "host hz-02")
        await press(pilot, "b", "escape")
        assert pilot.app.screen is screen
        assert "Esc once more" in screen.query_one(Notice)._said.plain
        await press(pilot, "escape")
        await settled(pilot)
        form = pilot.app.screen
        assert isinstance(form, NewReleaseScreen)
        assert grouping(form).by_hand == ()


async def test_a_strategy_takes_the_place_of_groups_by_hand(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=SIZE) as pilot:
        form_screen = await form(pilot)
        form_screen.query_one("#strategy", Select).value = "by_hand"
        await settled(pilot)
        await press(pilot, "ctrl+s")
        await settled(pilot)
        assert len(grouping(form_screen).by_hand) == 2
        assert not form_screen.query_one("#beta").display
        form_screen.query_one("#strategy", Select).value = "one_per_group"
        await settled(pilot)
        assert grouping(form_screen) == Grouping(Strategy.ONE_PER_GROUP, grouping(form_screen).count)


@pytest.mark.parametrize("keys", ["9", "1"])
async def test_a_group_that_is_not_there_is_said_and_nothing_moves(tmp_path: Path, keys: str) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await editor(pilot)
        before = screen._groups
        await to(pilot, "host hz-02")
        await press(pilot, keys)
        assert screen._groups == before
        assert ("There is no group 9" in shown(pilot)) is (keys == "9")
