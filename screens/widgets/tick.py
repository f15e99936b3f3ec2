"""A checkbox whose mark can be told apart without colour: `[x]` or `[ ]`."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Checkbox


class Tick(Checkbox):
    """As Textual's, which draws the same X for on and off and its sides in the colour of its ground: neither can be seen
    everywhere."""

    @property
    def _button(self) -> Content:
        return Content("[x]" if self.value else "[ ]")
