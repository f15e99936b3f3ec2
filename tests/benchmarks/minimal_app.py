"""The least a Textual app can be; the cockpit's first frame is measured against this one's."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.widgets import Static


class Minimal(App[None]):
    def compose(self) -> ComposeResult:
        yield Static("first frame")


if __name__ == "__main__":
    Minimal().run()
