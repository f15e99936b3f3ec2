"""`/` in a log: a line to type into. Enter looks for it, Esc goes back to the log."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

from screens.translate import N_, _


class SearchLine(Input):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "drop", N_("back to the log"), show=False)]

    class Wanted(Message):
        """Look for this; nothing when the operator gave it up."""

        def __init__(self, wanted: str) -> None:
            super().__init__()
            self.wanted = wanted

    def __init__(self) -> None:
        super().__init__(id="search")
        self.retell()
        self.display = False

    def retell(self) -> None:
        self.placeholder = _("search the log: Enter finds the newest match, Esc goes back")

    def open(self) -> None:
        """The keyboard is here at once: a key that follows in the same burst is text."""
        self.display = True
        self.value = ""
        self.screen.set_focus(self)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.display = False
        self.post_message(self.Wanted(self.value))

    def action_drop(self) -> None:
        self.display = False
        self.post_message(self.Wanted(""))
