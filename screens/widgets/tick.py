"""A checkbox whose mark can be told apart without colour: `[x]` or `[ ]`."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Checkbox

from screens.translate import _


class Tick(Checkbox):
    """As Textual's, which draws the same X for on and off and its sides in the colour of its ground: neither can be seen
    everywhere."""

    def __init__(self, msgid: str, *, id: str) -> None:
        super().__init__(_(msgid), id=id)
        self._msgid = msgid

    def retell(self) -> None:
        self.label = Content(_(self._msgid))

    @property
    def _button(self) -> Content:
        return Content("[x]" if self.value else "[ ]")
