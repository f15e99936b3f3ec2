"""A release of several apps, and weights host by host, as the form asks for them."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Select

from engine.domain.orders import AppAsked, OrderSpec
from engine.kinds.release import asked
from screens.hand_groups import HandGroupsScreen
from screens.new_release import NewReleaseScreen
from screens.order import OrderScreen
from screens.order_apps import OrderAppsScreen
from screens.picking import PickScreen
from screens.preset_weights import PresetWeightsScreen
from screens.widgets.notice import Notice
from screens.widgets.preview import Preview
from screens.widgets.prose import Prose
from screens.widgets.table import Table
from tests.support.cockpit_screens import Situation, press, settled, until

SIZE = (80, 24)


async def form(pilot: Pilot[None]) -> NewReleaseScreen:
    await settled(pilot)
    screen = NewReleaseScreen("trade-core")
    await pilot.app.push_screen(screen)
    await settled(pilot)
    return screen


def spec_of(screen: NewReleaseScreen) -> OrderSpec:
    spec = screen.spec()
    assert spec is not None
    return spec


def shown(pilot: Pilot[None]) -> str:
    strips = pilot.app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


async def pick(pilot: Pilot[None], key: str, choice: str) -> None:
    """Open a list by its key and take one of it."""
    await press(pilot, key)
    await until(pilot, lambda: isinstance(pilot.app.screen, PickScreen))
    assert isinstance(pilot.app.screen, PickScreen)
    pilot.app.screen.query_one(Table).move_to(choice)
    await press(pilot, "enter")
    await settled(pilot)


async def test_two_apps_of_which_one_waits_are_asked_for_by_keys_and_the_order_is_made(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await form(pilot)
        await press(pilot, "a")
        await until(pilot, lambda: isinstance(pilot.app.screen, OrderAppsScreen))
        apps = pilot.app.screen
        assert isinstance(apps, OrderAppsScreen)
        await settled(pilot)
        await pick(pilot, "a", "ledger")
        apps.query_one(Table).move_to("trade-core")
        await pick(pilot, "v", "2.0.0")
        await pick(pilot, "n", "ledger")
        assert [(app.app, app.version, app.needs) for app in apps._apps.apps] == [
            ("trade-core", "2.0.0", ("ledger",)),
            ("ledger", "1.0.0", ()),
        ]
        await press(pilot, "ctrl+s")
        await settled(pilot)
        assert pilot.app.screen is screen
        assert asked(spec_of(screen)).apps == (
            AppAsked("trade-core", "2.0.0", ("ledger",)),
            AppAsked("ledger", "1.0.0"),
        )
        assert "trade-core 2.0.0, waits for ledger" in screen.query_one("#several", Prose)._said.plain
        await until(pilot, lambda: "ledger - → 1.0.0" in screen.query_one(Preview)._text._said.plain)
        preview = screen.query_one(Preview)._text._said.plain
        assert preview.index("ledger: group 1") < preview.index("trade-core: group 1")
        await press(pilot, "ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, OrderScreen))
        await settled(pilot)
    (row,) = stage.api.orders("acme", "prod")
    assert {app.app for app in stage.api.order("acme", "prod", row.id).apps} == {"trade-core", "ledger"}


async def test_a_circle_is_refused_as_it_is_drawn_and_named(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=SIZE) as pilot:
        await form(pilot)
        await press(pilot, "a")
        await until(pilot, lambda: isinstance(pilot.app.screen, OrderAppsScreen))
        apps = pilot.app.screen
        assert isinstance(apps, OrderAppsScreen)
        await settled(pilot)
        await pick(pilot, "a", "ledger")
        await pick(pilot, "n", "trade-core")
        apps.query_one(Table).move_to("trade-core")
        before = apps._apps
        await pick(pilot, "n", "ledger")
        assert apps._apps == before
        said = apps.query_one(Notice)._said.plain
        assert "trade-core → ledger → trade-core" in said or "ledger → trade-core → ledger" in said
        await press(pilot, "u", "u")
        assert [app.app for app in apps._apps.apps] == ["trade-core"]
        await press(pilot, "d")
        assert "An order has at least one app." in apps.query_one(Notice)._said.plain


async def test_groups_of_several_apps_are_edited_together_and_each_host_stays_with_its_app(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await form(pilot)
        await press(pilot, "a")
        await until(pilot, lambda: isinstance(pilot.app.screen, OrderAppsScreen))
        await settled(pilot)
        await pick(pilot, "a", "ledger")
        await press(pilot, "ctrl+s")
        await until(pilot, lambda: len(screen._preview.apps) == 2 if screen._preview else False)
        await press(pilot, "e")
        await until(pilot, lambda: isinstance(pilot.app.screen, HandGroupsScreen))
        editor = pilot.app.screen
        assert isinstance(editor, HandGroupsScreen)
        await settled(pilot)
        assert [app.app for app in editor._groups.apps] == ["trade-core", "ledger"]
        assert "ledger: group 1" in shown(pilot)
        ledger = editor._groups.of("ledger")
        await press(pilot, "home", "down", "x")
        assert editor._groups.of("ledger") == ledger


async def test_weights_are_typed_host_by_host_and_for_several_at_once(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await form(pilot)
        screen.query_one("#traffic", Select).value = "preset"
        await settled(pilot)
        await press(pilot, "p")
        await until(pilot, lambda: isinstance(pilot.app.screen, PresetWeightsScreen))
        editor = pilot.app.screen
        assert isinstance(editor, PresetWeightsScreen)
        hosts = list(editor._weights)
        await press(pilot, "5", "down", "space", "space", "2", "0")
        assert [editor._weights[host] for host in hosts[:4]] == [5, 20, 20, 100]
        await press(pilot, "0")
        assert "A weight is from 1 to 100." in shown(pilot)
        assert editor._weights[hosts[1]] == 20
        await press(pilot, "right", "enter")
        await settled(pilot)
        assert pilot.app.screen is screen
        weights = asked(spec_of(screen)).preset_weights
        assert [weights[host] for host in hosts[:4]] == [5, 21, 21, 100]
        assert "3 others (p)" in shown(pilot)


async def test_excluded_hosts_have_no_preset_weight(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await form(pilot)
        screen.query_one("#traffic", Select).value = "preset"
        await settled(pilot)
        await press(pilot, "e")
        await until(pilot, lambda: isinstance(pilot.app.screen, HandGroupsScreen))
        editor = pilot.app.screen
        assert isinstance(editor, HandGroupsScreen)
        await settled(pilot)
        await press(pilot, "down", "down", "x", "ctrl+s")
        await until(pilot, lambda: screen._preview is not None and len(screen._preview.hosts) == 7)
        assert screen._preview is not None
        assert screen._preview.problems == ()
