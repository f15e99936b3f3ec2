"""Run one app headless until its first frame is painted, then end at once. `minimal` is the least a Textual app can be."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path


def painted() -> None:
    """What is loaded behind the first frame must not count, nor the tidying up: the process ends here."""
    os._exit(0)


def minimal() -> None:
    from textual.app import App, ComposeResult
    from textual.widgets import Static

    class Minimal(App[None]):
        def compose(self) -> ComposeResult:
            yield Static("hello")

        def on_ready(self) -> None:
            self.call_after_refresh(painted)

    Minimal().run(headless=True, size=(80, 24))


def cockpit() -> None:
    from cockpit.app import CockpitApp
    from engine.api import Api

    class Once(CockpitApp):
        def on_ready(self) -> None:
            self.call_after_refresh(painted)

    with tempfile.TemporaryDirectory() as folder:
        api = Api(f"sqlite:///{folder}/cockpit.db", operator="alice", log_dir=Path(folder))
        Once(api, tenant=None, workspace=None, language="en", theme=None).run(headless=True, size=(80, 24))


if __name__ == "__main__":
    {"minimal": minimal, "cockpit": cockpit}[sys.argv[1]]()
