"""A release walked by keyboard on the real screens, with the real engine process and the practice lab behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from cockpit import engine_process
from cockpit.lab import process as lab
from cockpit.lab.process import LabInfo
from cockpit.opening import OpenedCockpit
from cockpit.settings import load_settings
from engine.api import Api
from engine.catalogue.read import read_files
from engine.domain.states import OrderState, TrafficMode
from engine.kinds.release import asked, release_spec
from engine.store.catalogue import apply
from engine.store.store import Store
from engine.views.orders import OrderView
from screens.consequence import ConsequenceScreen
from screens.new_release import NewReleaseScreen
from screens.order import OrderScreen
from screens.widgets.history_pane import HistoryPane
from screens.widgets.log_pane import LogPane
from screens.widgets.prose import Prose
from screens.widgets.weight_slider import WeightSlider

DEADLINE_S = 40.0
PROD_GROUP = "lb-2zelab01/rsp-2zelab01"
MOST_KEYS = 26
MOST_KEYS_BACK = 12  # and the name of the app and the reason, letter by letter


@pytest.fixture
def practice(tmp_path: Path) -> Iterator[LabInfo]:
    info = lab.up(tmp_path / "lab", 4)
    try:
        store = Store.open(info.store)
        apply(store, read_files([Path(info.catalogue)]), "alice", 1.0)
        store.close()
        yield info
    finally:
        engine_process.stop_engine(load_settings(info.store))
        lab.down(Path(info.dir))


class Walk:
    """The cockpit under a pilot's hands; whatever is waited for comes within a deadline."""

    def __init__(self, app: OpenedCockpit, pilot: Pilot[object], info: LabInfo) -> None:
        self.app, self.pilot, self._place = app, pilot, (info.tenant, info.workspace)
        self.keys = 0

    async def press(self, *keys: str) -> None:
        for key in keys:
            self.keys += 1
            await self.pilot.press(key)
            await self.pilot.pause()

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not holds():
                    await self.pilot.pause(0.05)
        except TimeoutError:
            raise AssertionError(f"never saw {what}; the screen is {self.app.screen}") from None

    def order(self) -> OrderView | None:
        screen = self.app.screen_stack[-1] if isinstance(self.app.screen, OrderScreen) else None
        return screen.data if isinstance(screen, OrderScreen) else None

    async def until_order(self, holds: Callable[[OrderView], bool], what: str) -> OrderView:
        await self.until(lambda: (view := self.order()) is not None and holds(view), what)
        view = self.order()
        assert view is not None
        return view

    async def until_waiting_at(self, node: str) -> OrderView:
        def waits(view: OrderView) -> bool:
            return view.state is OrderState.WAITING and any(n.key == node and n.state == "waiting" for n in view.nodes)

        return await self.until_order(waits, f"the order waiting at {node}")

    async def agree(self, key: str = "enter") -> None:
        """What it would do is shown first; another key than the one that asked for it does it."""
        await self.until(lambda: isinstance(self.app.screen, ConsequenceScreen), "the consequence")
        screen = self.app.screen
        assert isinstance(screen, ConsequenceScreen)
        await self.until(lambda: screen._consequence is not None and screen._consequence.allowed, "an allowed act")
        await self.until(lambda: screen.ready, "a dialog that takes keys")
        await self.press(key)
        await self.until(lambda: isinstance(self.app.screen, OrderScreen), "the order screen again")

    async def until_slider(self) -> None:
        """It opens by itself at a gate that waits for weights."""
        await self.until(lambda: isinstance(self.app.focused, WeightSlider), "the slider")

    async def give_weight(self, *keys: str, weight: int, hosts: int) -> None:
        await self.until_slider()
        await self.press(*keys, "enter")
        await self.agree("g")

        def given(view: OrderView) -> bool:
            moved = [w for host in view.hosts for w in host.weights if w.asked == weight and w.confirmed == weight]
            return len(moved) >= hosts

        await self.until_order(given, f"weight {weight} on {hosts} hosts")

    async def give_all_and_confirm(self) -> None:
        await self.until_slider()
        await self.press("end", "c")
        await self.agree()


async def test_a_gray_release_with_beta_and_one_failing_host_is_walked_by_keyboard_with_few_keys(
    practice: LabInfo,
) -> None:
    settings = load_settings(practice.store)
    api = Api(settings.store, operator="alice", log_dir=settings.log_dir)
    app = OpenedCockpit(api, settings, tenant=practice.tenant, workspace=practice.workspace)
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            walk = Walk(app, pilot, practice)
            await walk.until(lambda: app.screen.data is not None and api.engine_alive(), "the apps and an engine")  # type: ignore[attr-defined]
            await walk.press("r")
            await walk.until(lambda: isinstance(app.screen, NewReleaseScreen), "the form")
            form = app.screen
            assert isinstance(form, NewReleaseScreen)
            await walk.until(lambda: form.spec() is not None, "an app and a version proposed")
            await walk.press("b", "g")
            spec = form.spec()
            assert spec is not None
            release = asked(spec)
            assert [(app.app, app.version) for app in release.apps] == [("trade-core", "2.0.0")]
            assert (spec.grouping.beta, release.traffic) == (True, TrafficMode.GRAY)
            await walk.press("ctrl+s")
            ready = await walk.until_order(lambda view: view.state is OrderState.READY, "the order ready")
            failing = next(node for node in ready.nodes if node.key == "group-1").hosts[0]
            lab.fault(Path(practice.dir), "failing_health", True, failing)

            await walk.press("c")
            await walk.agree()
            view = await walk.until_waiting_at("beta-confirm")
            assert {host.name for host in view.hosts if host.version == "2.0.0"} == set(view.nodes[1].hosts)

            await walk.give_weight("1", "0", weight=10, hosts=2)
            await walk.give_weight("5", "0", weight=50, hosts=2)
            await walk.give_all_and_confirm()
            await walk.until_order(lambda view: view.state is OrderState.HALTED, "the order halted by the failing host")
            lab.fault(Path(practice.dir), "failing_health", False, failing)
            await walk.press("t")
            await walk.agree()
            for number in (1, 2):
                await walk.until_waiting_at(f"group-{number}-confirm")
                await walk.give_all_and_confirm()
            view = await walk.until_order(lambda view: view.state.complete, "the end of the order")
            assert view.state is OrderState.SUCCEEDED
            assert {host.version for host in view.hosts} == {"2.0.0"}
            assert {(w.recorded, w.confirmed, w.owned) for host in view.hosts for w in host.weights} == {
                (100, 100, False)
            }
            assert walk.keys <= MOST_KEYS
            await walk.press("q")
    finally:
        app.left.set()
        api.close()
    assert set(lab.status(Path(practice.dir)).weights[PROD_GROUP].values()) == {100}


async def test_a_bad_release_is_rolled_back_and_explained_by_keyboard_with_few_keys(practice: LabInfo) -> None:
    settings = load_settings(practice.store)
    api = Api(settings.store, operator="alice", log_dir=settings.log_dir)
    app = OpenedCockpit(api, settings, tenant=practice.tenant, workspace=practice.workspace)
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            walk = Walk(app, pilot, practice)
            await walk.until(lambda: app.screen.data is not None and api.engine_alive(), "the apps and an engine")  # type: ignore[attr-defined]
            order_id = api.create_order(
                practice.tenant, practice.workspace, release_spec(app="trade-core", version="3.0.0")
            )
            await app.push_screen(OrderScreen(order_id))
            await walk.until_order(lambda view: view.state is OrderState.READY, "the order ready")
            await walk.press("c")
            await walk.agree()
            await walk.until_order(lambda view: view.state is OrderState.HALTED, "the order halted")
            await walk.press("R")
            await walk.until(lambda: isinstance(app.screen, ConsequenceScreen), "the consequence")
            dialog = app.screen
            assert isinstance(dialog, ConsequenceScreen)
            await walk.until(lambda: dialog._consequence is not None and dialog.ready, "a dialog that takes keys")
            typed = walk.keys
            await walk.press(*"bad", "enter", *"trade", "minus", *"core", "enter")
            letters = walk.keys - typed - 2
            view = await walk.until_order(lambda view: view.state.complete, "the way back at its end")
            assert view.state is OrderState.ROLLED_BACK
            await walk.press("h")
            history = app.screen.query_one(HistoryPane)
            await walk.until(
                lambda: "1.0.0" in history.query_one(Prose)._said.plain, "what was rolled back, and to what"
            )
            said = history.query_one(Prose)._said.plain
            assert "halts the order" in said
            assert "3.0.0 → 1.0.0" in said
            assert "bad" in said
            await walk.press("l")
            pane = app.screen.query_one(LogPane)
            await walk.until(lambda: len(pane._attempts) > 1, "all attempts of the host")
            assert walk.keys - letters <= MOST_KEYS_BACK
            await walk.press("q")
    finally:
        app.left.set()
        api.close()
