"""`/`: a line to type a filter into. A leading `!` inverts it; Esc takes it away."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

from screens.translate import N_, _


def matches(wanted: str, texts: Iterable[str]) -> bool:
    """Whether any text holds every word of `wanted`, regardless of case; with a leading `!`, whether none does."""
    inverted = wanted.startswith("!")
    words = wanted.lstrip("!").casefold().split()
    haystack = "\n".join(texts).casefold()
    return not words or (all(word in haystack for word in words) is not inverted)


class FilterLine(Input):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "drop", N_("no filter"), show=False)]

    class Filtered(Message):
        """The filter is another one now; `done` when the operator pressed Enter or Esc and goes back to the list."""

        def __init__(self, wanted: str, *, done: bool) -> None:
            super().__init__()
            self.wanted = wanted
            self.done = done

    def __init__(self) -> None:
        super().__init__()
        self.retell()
        self.display = False

    def retell(self) -> None:
        self.placeholder = _("filter (! inverts), Enter keeps it, Esc drops it")

    def open(self) -> None:
        self.display = True
        self.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Filtered(self.value, done=False))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.display = bool(self.value)
        self.post_message(self.Filtered(self.value, done=True))

    def action_drop(self) -> None:
        self.value = ""
        self.display = False
        self.post_message(self.Filtered("", done=True))
