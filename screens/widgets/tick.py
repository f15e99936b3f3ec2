"""A checkbox whose mark can be told apart without colour: `[x]` or `[ ]`."""

from __future__ import annotations

from textual.widgets import Checkbox


class Tick(Checkbox):
    """As Textual's, which draws the same X for on and off and tells them apart by colour only."""

    BUTTON_LEFT = "["
    BUTTON_RIGHT = "]"

    @property
    def BUTTON_INNER(self) -> str:  # type: ignore[override]
        return "x" if self.value else " "
