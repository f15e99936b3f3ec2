"""Opens the screens on a store and keeps an engine alive behind them for as long as they are open.

The engine outlives the screens: leaving them never ends a release. The screens never wait for the engine's start.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
from pathlib import Path

from textual.drivers.linux_driver import LinuxDriver

from cockpit.app import CockpitApp
from cockpit.engine_process import ensure_engine, outdated
from cockpit.identity import operating_system_user
from cockpit.lab.process import LabInfo
from cockpit.practice import program
from cockpit.remember import remember
from cockpit.settings import Settings, store_file
from cockpit.terminal import TerminalWatch, can_come_back
from cockpit.terminal_driver import TerminalDriver
from engine import lending
from engine.api import Api
from engine.domain.problem import ProblemError
from screens.attention import title_sequence
from screens.cockpit import Practice
from screens.translate import N_, _, tr

LOOK_EVERY_S = 0.5  # an engine that was killed is missed this soon
UNREAD_EVERY_S = 5.0  # the same, while nobody reads the terminal
AFTER_FAILURE_S = 30.0
IGNORED_S = 30.0
SWITCH_S = 0.001  # how long a thread may keep the interpreter when another one wants it
DIFFERS = (N_("proxy"), N_("settings"), N_("program"))  # what `outdated` may name
log = logging.getLogger(__name__)


class OpenedCockpit(CockpitApp):
    """The app with its engine: the keeper starts behind the first frame. `watch` None: it is at no terminal."""

    def __init__(
        self,
        api: Api,
        settings: Settings,
        *,
        tenant: str | None,
        workspace: str | None,
        watch: TerminalWatch | None = None,
        practice: LabInfo | None = None,
    ) -> None:
        super().__init__(
            api,
            tenant=tenant,
            workspace=workspace,
            language=settings.language,
            theme=settings.theme or None,
            ascii=settings.ascii,
            remember=remember,
        )
        self._settings = settings
        self._looping: asyncio.AbstractEventLoop | None = None
        self.left = threading.Event()
        self._title_told = ""
        self.terminal = watch
        if practice is not None:
            self.practice = practice_of(practice)
        if watch is not None and self.driver_class is LinuxDriver:  # not in a browser
            self.driver_class = TerminalDriver

    def on_load(self) -> None:
        self._looping = asyncio.get_running_loop()

    def leave(self, status: int) -> None:
        """End the screens, from any thread; the terminal is given back as it was found."""
        if self._looping is None:
            sys.exit(status)
        self._looping.call_soon_threadsafe(lambda: self.exit(return_code=status))

    @property
    def unread(self) -> bool:
        return isinstance(self._driver, TerminalDriver) and self._driver.unread

    def tell_terminal(self, title: str, *, rings: bool = False) -> None:
        driver = self._driver
        if not isinstance(driver, TerminalDriver):
            return
        if driver.has_title and title != self._title_told:
            self._title_told = title
            driver.write(title_sequence(title or "cockpit", ascii=self.ascii))
        if rings and self._settings.bell:
            driver.write("\x07")

    def stop_until_continued(self) -> bool:
        driver = self._driver
        if not isinstance(driver, TerminalDriver) or not can_come_back():
            return False
        self._suspend_signal()
        driver.stop_until_continued()
        return True

    def on_app_focus(self) -> None:
        """The operator came back to this terminal: what it has is what counts now."""
        lending.lend(self._settings.folder)

    def on_ready(self) -> None:
        self.call_after_refresh(self._shown)

    def _shown(self) -> None:
        """The first frame is on the terminal: what was loaded for it stays, and is never searched for garbage again."""
        gc.freeze()
        gc.enable()
        if (ignored := self._settings.ignored) is not None:
            self.notify(f"{tr(ignored.what)} {tr(ignored.remedy)}", severity="warning", timeout=IGNORED_S, markup=False)
        threading.Thread(target=self._keep_engine, name="keep engine", daemon=True).start()

    def _keep_engine(self) -> None:
        """An engine that ended because it was idle is started again: the operator's next key may need one. It is lent this
        terminal's SSH agent: at once, and again when whoever lent it theirs has gone. One that is idle and was started with other
        settings than this cockpit has is renewed, once: two cockpits must not take turns at it."""
        lending.lend(self._settings.folder)
        first = True
        while not self.left.is_set():
            try:
                lending.lend_if_nobody_does(self._settings.folder)
                api = self.open_api()
                if not api.engine_alive():
                    ensure_engine(self._settings)
                elif first and (differs := outdated(api, self._settings)):
                    ensure_engine(self._settings)
                    self.call_from_thread(self._tell_renewed, differs)
                first = False
                pause_s = UNREAD_EVERY_S if self.unread else LOOK_EVERY_S
            except ProblemError as error:  # the screens say that no engine is alive; its log says why
                log.warning("%s", error)
                pause_s = AFTER_FAILURE_S
            self.left.wait(pause_s)

    def _tell_renewed(self, differs: tuple[str, ...]) -> None:
        named = ", ".join(_(name) for name in differs)
        self.notify(_("The idle engine was restarted: different {what}.").format(what=named), markup=False)


def practice_of(info: LabInfo) -> Practice:
    command = program()
    return Practice(
        fault=f"{command} lab fault failing_health --host {info.hosts[0]}",
        faults=f"{command} lab faults",
        store=store_file(info.store) or Path(info.dir),
    )


def open_screens(
    settings: Settings,
    watch: TerminalWatch,
    *,
    tenant: str | None,
    workspace: str | None,
    practice: LabInfo | None = None,
    farewell: bool = True,
) -> int:
    """Show the cockpit until its operator leaves or the terminal does; returns the exit code. `practice`: it is on this fleet.
    `farewell` False: the caller says what goes on."""
    api = Api(settings.store, operator=operating_system_user(), log_dir=settings.log_dir)
    app = OpenedCockpit(api, settings, tenant=tenant, workspace=workspace, watch=watch, practice=practice)
    app.says_farewell = farewell
    # The store is read in a worker thread; a key must not wait long for the interpreter meanwhile.
    sys.setswitchinterval(SWITCH_S)
    try:
        with watch.screens(app.leave):
            app.run()
    finally:
        app.left.set()
        api.close()
    return app.return_code or 0
