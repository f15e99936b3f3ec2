"""A store with nothing in it, or not enough: every key and every command says what comes first, in sentences without a hole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from textual.pilot import Pilot

from cockpit.app import CockpitApp
from engine.api import Api
from engine.store import tables as t
from engine.store.store import Store
from screens.apps import AppsScreen
from screens.commands import CommandsScreen
from screens.help import HelpScreen
from screens.new_release import NewReleaseScreen
from screens.operate import OperateScreen
from screens.order_form import OrderForm
from screens.orders import OrdersScreen
from screens.orphans import OrphansScreen
from screens.widgets.prose import Prose
from screens.workspaces import WorkspacesScreen
from tests.support.cockpit_screens import press, settled, until

FIRST = "cockpit apply FILE"
NO_APP = "There is no app yet"
NO_ORDER = "No order yet"
NOTHING_LEFT = "Every weight that an order moved was given back."

# store → what each key of the list of apps leads to: the screen, and what is said
EMPTY: dict[str, tuple[type, str]] = {
    "r": (AppsScreen, FIRST), "a": (AppsScreen, FIRST), "enter": (AppsScreen, FIRST), "slash": (AppsScreen, FIRST),
    "o": (AppsScreen, FIRST), "z": (AppsScreen, FIRST), "w": (WorkspacesScreen, FIRST), "tab": (AppsScreen, FIRST),
    "colon": (CommandsScreen, "Workspaces"), "ctrl+p": (CommandsScreen, "Workspaces"),
    "question_mark": (HelpScreen, "new release"), "b": (AppsScreen, FIRST), "g": (AppsScreen, FIRST),
    "escape": (AppsScreen, FIRST), "ctrl+c": (AppsScreen, "Press Ctrl+C again"),
    "ctrl+z": (AppsScreen, "No shell here could bring the cockpit back"),
}  # fmt: skip
NO_APPS = EMPTY | {
    **dict.fromkeys(("r", "a", "enter", "slash", "tab", "b", "g", "escape"), (AppsScreen, NO_APP)),
    "o": (OrdersScreen, NO_ORDER), "z": (OrphansScreen, NOTHING_LEFT), "w": (WorkspacesScreen, "acme / prod"),
}  # fmt: skip
NOT_PLACED = NO_APPS | {
    "r": (NewReleaseScreen, "! shop has no service instance in this workspace."),
    "a": (OperateScreen, "! shop has no service instance in this workspace."),
    "enter": (OrdersScreen, NO_ORDER), "slash": (AppsScreen, "filter (! inverts)"),
    **dict.fromkeys(("tab", "b", "g", "escape"), (AppsScreen, "not here")),
}  # fmt: skip
WITHOUT_HOSTS = NOT_PLACED | {
    "r": (NewReleaseScreen, "! shop has no host in this workspace."),
    "a": (OperateScreen, "! shop has no host in this workspace."),
}
WITHOUT_PACKAGE = WITHOUT_HOSTS | {"r": (NewReleaseScreen, "! No version of shop was uploaded")}
STORES = {
    "empty": EMPTY, "no app": NO_APPS, "app without group": NOT_PLACED, "without hosts": WITHOUT_HOSTS,
    "without package": WITHOUT_PACKAGE,
}  # fmt: skip
COMMANDS = ("Workspaces", "Orders", "Weights", "Help", "Answer", "Theme: light", "Theme: dark", "English", "Leave")


def stocked(url: str, what: str) -> None:
    """A tenant and its workspace; an app in it; its place, without hosts; each without the next."""
    store = Store.open(url, create=True)
    with store.writing() as conn:
        if what != "empty":
            tenant = _made(conn, t.tenant, name="acme")
            workspace = _made(conn, t.workspace, tenant_id=tenant, name="prod", production=True, floor_percent=50)
        if what not in ("empty", "no app"):
            archive = {"region": "cn-hangzhou", "bucket": "lab", "key": "stack.tar.gz"}
            stack = _made(
                conn, t.tech_stack, tenant_id=tenant, name="web", version="1", archive=archive, supported_os={},
                supported_regions=[], install_list=[], parameters=[], scripts={"deploy": "a", "restart": "b"},
            )  # fmt: skip
            app = _made(
                conn, t.app, tenant_id=tenant, name="shop", alias="", tech_stack_id=stack, owner="", creator="",
                app_metadata={}, created_at=0.0,
            )  # fmt: skip
            if what != "without package":
                _made(
                    conn, t.package, app_id=app, version="1.0.0", region="cn-hangzhou", bucket="lab", key="one.tar.gz",
                    size=1, uploaded_by="alice", uploaded_at=0.0,
                )  # fmt: skip
        if what in ("without hosts", "without package"):
            _made(conn, t.service_instance, workspace_id=workspace, app_id=app, current_version="")
    store.close()


def _made(conn: sa.Connection, table: sa.Table, **values: object) -> int:
    return int(conn.execute(sa.insert(table).values(**values).returning(table.c.id)).scalar_one())


def opened(folder: Path, what: str) -> tuple[Any, Api]:
    url = f"sqlite:///{folder}/cockpit.db"
    stocked(url, what)
    api = Api(url, operator="alice", log_dir=folder)
    named = {"tenant": None, "workspace": None} if what == "empty" else {"tenant": "acme", "workspace": "prod"}
    return CockpitApp(api, **named, language="en", theme="ansi"), api


def said(pilot: Pilot[None]) -> str:
    app: Any = pilot.app
    strips = app.screen._compositor.render_strips()
    lines = [" ".join("".join(segment.text for segment in strip).replace("▏", " ").split()) for strip in strips]
    blocked = [str(line.content) for line in app.screen.query("#blocked").results(Prose)]
    return "\n".join(
        [
            " ".join(lines),
            *(" ".join(line.split()) for line in blocked),
            *lines,
            *(note.message for note in app._notifications),
        ]
    )


async def expect(pilot: Pilot[None], screen: type, words: str) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, screen) and words in said(pilot))
    await settled(pilot)
    assert not [line for line in said(pilot).splitlines() if re.search(r"\w \.(\s|$)|: \.|“”|#\.|\(\)", line)]


@pytest.mark.parametrize(("store", "key"), [(store, key) for store, keys in STORES.items() for key in keys])
async def test_each_key_says_what_comes_first(store: str, key: str, tmp_path: Path) -> None:
    app, api = opened(tmp_path, store)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, key)
        await expect(pilot, *STORES[store][key])
        if isinstance(app.screen, OrderForm):
            for submit in ("ctrl+s", "b", "g"):
                await press(pilot, submit)
            assert isinstance(app.screen, OrderForm)
        if isinstance(app.screen, (OrdersScreen, OrphansScreen)):
            for again in ("enter", "slash", "g", "a"):
                await press(pilot, again)
            await expect(pilot, *STORES[store][key])
            assert [note.message for note in app._notifications]
    api.close()


@pytest.mark.parametrize("store", STORES)
async def test_each_command_says_what_comes_first(store: str, tmp_path: Path) -> None:
    leads = {"Workspaces": "w", "Orders": "o", "Weights": "z", "Help": "question_mark"}
    app, api = opened(tmp_path, store)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        for command in COMMANDS[:-1]:
            await press(pilot, "colon", *command.replace(":", "").split()[-1], "enter")
            if command in leads:
                await expect(pilot, *STORES[store][leads[command]])
            if command == "Answer":
                await expect(pilot, AppsScreen, "No SSH server is waiting for an answer.")
            while not isinstance(app.screen, AppsScreen):
                await press(pilot, "escape")
        await press(pilot, "colon", *"Leave", "enter")
        await until(pilot, lambda: not app.is_running or app._exit)
    api.close()


@pytest.mark.parametrize("named", [("acme", "prod"), ("acme", None), (None, "prod")])
async def test_a_workspace_from_the_settings_that_the_store_lacks_is_no_dead_end(
    named: tuple[str | None, str | None], tmp_path: Path
) -> None:
    api = Api(f"sqlite:///{tmp_path}/cockpit.db", operator="alice", log_dir=tmp_path)
    app: Any = CockpitApp(api, tenant=named[0], workspace=named[1], language="en", theme="ansi")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        for key in ("o", "z", "r"):
            await press(pilot, key)
            await expect(pilot, AppsScreen, FIRST)
    api.close()
