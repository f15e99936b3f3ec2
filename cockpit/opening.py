"""Opens the screens on a store and keeps an engine alive behind them for as long as they are open.

The engine outlives the screens: leaving them never ends a release. The screens never wait for the engine's start.
"""

from __future__ import annotations

import gc
import logging
import sys
import threading

from cockpit.app import CockpitApp
from cockpit.engine_process import ensure_engine
from cockpit.settings import Settings
from engine.api import Api
from engine.domain.problem import ProblemError

LOOK_EVERY_S = 0.5  # an engine that was killed is missed this soon
AFTER_FAILURE_S = 30.0
SWITCH_S = 0.001  # how long a thread may keep the interpreter when another one wants it
log = logging.getLogger(__name__)


class OpenedCockpit(CockpitApp):
    """The app with its engine: the keeper starts behind the first frame."""

    def __init__(self, api: Api, settings: Settings, *, tenant: str | None, workspace: str | None) -> None:
        super().__init__(
            api,
            tenant=tenant,
            workspace=workspace,
            language=settings.language,
            theme=settings.theme or None,
            ascii=settings.ascii,
        )
        self._settings = settings
        self.left = threading.Event()

    def on_ready(self) -> None:
        self.call_after_refresh(self._shown)

    def _shown(self) -> None:
        """The first frame is on the terminal: what was loaded for it stays, and is never searched for garbage again."""
        gc.freeze()
        gc.enable()
        threading.Thread(target=self._keep_engine, name="keep engine", daemon=True).start()

    def _keep_engine(self) -> None:
        """An engine that ended because it was idle is started again: the operator's next key may need one."""
        while not self.left.is_set():
            try:
                if not self.open_api().engine_alive():
                    ensure_engine(self._settings)
                pause_s = LOOK_EVERY_S
            except ProblemError as error:  # the screens say that no engine is alive; its log says why
                log.warning("%s", error)
                pause_s = AFTER_FAILURE_S
            self.left.wait(pause_s)


def open_screens(settings: Settings, *, tenant: str | None, workspace: str | None) -> int:
    """Show the cockpit until its operator leaves; returns the exit code."""
    api = Api(settings.store, operator=settings.operator, log_dir=settings.log_dir)
    app = OpenedCockpit(api, settings, tenant=tenant, workspace=workspace)
    # The store is read in a worker thread; a key must not wait long for the interpreter meanwhile.
    sys.setswitchinterval(SWITCH_S)
    try:
        app.run()
    finally:
        app.left.set()
        api.close()
    return app.return_code or 0
