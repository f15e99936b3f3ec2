"""A screen that watches the store: it pulls, in a worker thread, when the store says that something may have changed.

The event loop never waits for the store. While a load is running no other one starts; while the store can't be read the
screen says so calmly and keeps trying. It writes nothing.
"""

from __future__ import annotations

import time
from typing import ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen, Screen
from textual.widget import Widget

from engine.api import Api
from engine.domain.problem import Problem, ProblemError
from screens.asking import ask, in_worker
from screens.cockpit import Cockpit, cockpit_of
from screens.widgets.crumbs import Crumbs
from screens.widgets.key_bar import KeyBar
from screens.widgets.said import Retells
from screens.widgets.table import Table
from screens.widgets.trouble import Trouble

DataT = TypeVar("DataT")

RETRY_S = 1.0
SHARE = 0.2  # of the time at most goes into reading what changed: a big order is read less often
LONGEST_REST_S = 1.0
STALE_S = 5.0  # read again after this long even when the store is silent: estimates and the engine's pulse age


class WatchingScreen(Screen[None], Generic[DataT]):
    POLL_S: ClassVar[float] = 0.15

    def __init__(self) -> None:
        super().__init__()
        self.data: DataT | None = None
        self.alive: bool | None = None
        self.orphans = 0
        self._token: object = None
        self._watching = False
        self._busy = False
        self._stale = True
        self._look_again_at = 0.0
        self._stale_at = 0.0
        self._had_focus: Widget | None = None  # before the store could not be read

    @property
    def cockpit(self) -> Cockpit:
        return cockpit_of(self)

    # ---- what a screen says of itself

    def body(self) -> ComposeResult:
        raise NotImplementedError

    def fetch(self, api: Api) -> DataT:
        """Runs in a worker thread. Raises ProblemError."""
        raise NotImplementedError

    def where(self, data: DataT) -> tuple[str, str]:
        """The workspace it is about, as far as there is one. Runs in a worker thread."""
        return self.cockpit.here()

    def show(self, data: DataT) -> None:
        """Draw what was fetched."""
        raise NotImplementedError

    def trail(self) -> tuple[str, ...]:
        """What stands behind tenant and workspace in the top line."""
        return ()

    def tick(self) -> None:
        """Once a second: whatever shows a time draws it again."""

    def on_table_nothing_there(self, event: Table.NothingThere) -> None:
        self.notify(event.said, markup=False)

    # ---- the watch

    def compose(self) -> ComposeResult:
        yield Crumbs()
        with Vertical(id="body"):
            yield from self.body()
        yield Trouble()
        yield KeyBar()

    def on_mount(self) -> None:
        self.draw_crumbs()
        self.app.theme_changed_signal.subscribe(self, self._recoloured)
        self.call_after_refresh(self._watch)

    def _recoloured(self, _theme: object) -> None:
        """Lines that widgets draw themselves wear the palette of the moment they were drawn."""
        self.draw_crumbs()
        self.query_one(KeyBar).redraw()
        if self.data is not None:
            self.show(self.data)

    def retell(self) -> None:
        """Another language is spoken: every word is said again where it stands, and nothing else changes."""
        for widget in self.query("*"):
            if isinstance(widget, Retells):
                widget.retell()
        self._recoloured(None)

    def _watch(self) -> None:
        """Only behind the first frame: a worker that loads the database library would hold it up."""
        self._watching = True
        self.set_interval(self.POLL_S, self._poll)
        self.set_interval(1.0, self._clock)
        self._poll()

    def on_screen_resume(self) -> None:
        self.reload()

    def reload(self) -> None:
        """Fetch at once, whatever the store says."""
        self._stale = True
        self._look_again_at = 0.0
        self._poll()

    def draw_crumbs(self) -> None:
        app = self.cockpit
        trail = (app.tenant or "", app.workspace or "", *self.trail())
        self.query_one(Crumbs).show(trail, production=app.production, alive=self.alive, orphans=self.orphans)

    def _clock(self) -> None:
        if self.data is not None and self._in_sight() and not self.cockpit.unread:
            self.tick()

    def _in_sight(self) -> bool:
        """On top, or below nothing but modals."""
        for screen in reversed(self.app.screen_stack):
            if screen is self:
                return True
            if not isinstance(screen, ModalScreen):
                return False
        return False

    def _poll(self) -> None:
        if not self._watching or self._busy or self.cockpit.unread or not self._in_sight():
            return
        if time.monotonic() < self._look_again_at:
            return
        self._busy = True
        in_worker(self, self._load, group="load")

    async def _load(self) -> None:
        began = time.monotonic()
        try:
            found = await ask(self, self._look)
        except ProblemError as error:
            self._failed(error.problem)
        else:
            if found is not None:
                self.data, self.alive, self.orphans = found
                self._shown(self.data)
                now = time.monotonic()
                if not self._stale:
                    self._look_again_at = now + min(LONGEST_REST_S, (now - began) * (1 / SHARE - 1))
        finally:
            self._busy = False

    def _look(self, api: Api) -> tuple[DataT, bool, int] | None:
        """In a worker thread: nothing when nothing changed."""
        token = api.change_token()
        if token == self._token and not self._stale and time.monotonic() < self._stale_at:
            return None
        self._stale = False
        data = self.fetch(api)
        where = self.where(data)
        found = data, api.engine_alive(), api.orphan_count(*where) if all(where) else 0
        self._token, self._stale_at = token, time.monotonic() + STALE_S
        return found

    def _shown(self, data: DataT) -> None:
        self.query_one(Trouble).clear()
        body = self.query_one("#body")
        was_away, body.display = not body.display, True
        self.draw_crumbs()
        self.show(data)
        if was_away and self._had_focus is not None and self._had_focus.is_attached:
            self.set_focus(self._had_focus)

    def _failed(self, problem: Problem) -> None:
        self._stale = True
        self._look_again_at = time.monotonic() + RETRY_S
        body = self.query_one("#body")
        if body.display:
            self._had_focus, body.display = self.focused, False
        self.query_one(Trouble).show(problem)
