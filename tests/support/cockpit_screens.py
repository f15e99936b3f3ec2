"""The app over a real SQLite store seeded with fixed rows and a frozen clock, and an engine's answers on demand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.events import Key
from textual.pilot import Pilot

from cockpit.app import CockpitApp
from engine.api import Api
from engine.api_errors import ApiError
from engine.domain.acts import AnyAct, encode
from engine.domain.orders import OrderSpec
from engine.domain.problem import Problem
from engine.domain.states import Act, CommandState
from engine.store.store import Store
from engine.views.acts import CommandView
from screens.consequence import ConsequenceScreen
from screens.order import OrderScreen
from screens.typed_ahead import TypedAhead
from screens.watching import WatchingScreen
from tests.support import seeds

LOG_LINES = 40


class AnsweredApi(Api):
    """The real api, with an engine that answers every command at once: accepted, or refused with `refusal`.

    `sent` keeps (name of the act, its parts, reason). While `broken` is set the store can't be read.
    """

    def __init__(self, url: str, log_dir: Path) -> None:
        super().__init__(url, operator="alice", log_dir=log_dir, now=lambda: seeds.NOW)
        self.sent: list[tuple[Act, dict[str, Any], str]] = []
        self.refusal: Problem | None = None
        self.broken: Problem | None = None

    def change_token(self) -> object:
        if self.broken is not None:
            raise ApiError(self.broken)
        return super().change_token()

    def send(
        self,
        tenant: str,
        workspace: str,
        order_id: int,
        act: AnyAct,
        *,
        reason: str = "",
    ) -> int:
        self.sent.append((act.name, encode(act), reason))
        return len(self.sent)

    def wait_command(self, command_id: int, **_how: Any) -> CommandView:
        act = self.sent[command_id - 1][0]
        state = CommandState.REFUSED if self.refusal else CommandState.ACCEPTED
        return CommandView(command_id, 1, act, state, self.refusal)


class Situation:
    """A store with at most one order in it, its logs, and the app on it."""

    def __init__(self, folder: Path, situation: str, *, hosts: int = 8, spec: OrderSpec | None = None) -> None:
        """`situation` is one of `seeds.SITUATIONS`, `fleet` (no order) or `empty` (no app)."""
        self.url = f"sqlite:///{folder}/store.db"
        self.log_dir = folder / "logs"
        self.order_id = 0
        store = Store.open(self.url, create=True)
        if situation != "empty":
            seeds.seed_fleet(store, hosts=hosts)
        if situation not in ("empty", "fleet"):
            self.order_id = seeds.seed_order(store, situation, spec)
            self._write_logs()
        seeds.seed_engine(store)
        store.close()
        self.api = AnsweredApi(self.url, self.log_dir)

    def app(self, language: str = "en", **more: Any) -> CockpitApp:
        options = {"tenant": "acme", "workspace": "prod", "theme": "dark", "now": lambda: seeds.NOW} | more
        return CockpitApp(self.api, language=language, **options)

    def log_path(self, host: str) -> Path:
        return self.log_dir / str(self.order_id) / f"{host}.forward-group-1-1.log"

    def _write_logs(self) -> None:
        for host in seeds.HOSTS:
            path = self.log_path(host)
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = ["── 12:11:20 deploy", "installing trade-core-2.0.0.tar.gz", "正在启动应用服务 trade-core …"]
            lines += [f"INFO  component {number:02} started" for number in range(LOG_LINES)]
            lines += ["ERROR db: connection refused", "── 12:12:05 check_health", "passed:false"]
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")


async def until(pilot: Pilot[None], true: Callable[[], bool], *, within_s: float = 10.0) -> None:
    """Wait until it is so; fails when it does not come true in time."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, f"it did not come true within {within_s} s on {pilot.app.screen}"
        await pilot.pause()
        await asyncio.sleep(0.01)


async def idle(pilot: Pilot[None]) -> None:
    """No worker is at work. Unlike Textual's own wait this one does not mind that a newer worker called another one off."""
    await until(pilot, lambda: all(worker.is_finished for worker in pilot.app.workers), within_s=30.0)


async def settled(pilot: Pilot[None]) -> None:
    """The screen shows what the store says, and nothing is on its way."""
    screen = pilot.app.screen
    if isinstance(screen, WatchingScreen):
        await until(pilot, lambda: screen.data is not None)
    for _ in range(2):
        await idle(pilot)
        await pilot.pause()


async def open_order(pilot: Pilot[None], order_id: int) -> OrderScreen:
    await settled(pilot)
    screen = OrderScreen(order_id)
    await pilot.app.push_screen(screen)
    await settled(pilot)
    return screen


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys one after another, each on a settled screen and, where an act is asked for, once it was read."""
    for key in keys:
        await until(pilot, lambda: _would_be_taken(pilot))
        await pilot.press(key)
        await settled(pilot)


def _would_be_taken(pilot: Pilot[None]) -> bool:
    app, screen = pilot.app, pilot.app.screen
    if isinstance(app, TypedAhead) and app.swallows(time.monotonic()):
        return False
    return not isinstance(screen, ConsequenceScreen) or screen.ready


async def burst(pilot: Pilot[None], text: str) -> None:
    """Keys as they come from a paste without brackets: all at once, nobody waits for anything."""
    names = {"/": "slash", ":": "colon", "\n": "enter", " ": "space"}
    driver = pilot.app._driver
    assert driver is not None
    for char in text:
        driver.send_message(Key(names.get(char, char), None if char == "\n" else char))
    await pilot.pause()
    await settled(pilot)
