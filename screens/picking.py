"""One of a few, over a screen: a list in a dialogue. Enter takes the row under the cursor, Esc none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Button

from screens.commands import AROUND, MOST_ROWS
from screens.translate import N_, _
from screens.widgets.key_button import DialogButton
from screens.widgets.table import Column, Row, Table

_COLUMNS = (Column("mark", "", most=3), Column("name", "", most=40), Column("more", "", most=56, rank=1))


class PickScreen(ModalScreen[str | None]):
    """`choices` are (key, mark, name, more). Dismissed with a key, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", N_("back"))]

    def __init__(self, title: str, choices: Sequence[tuple[str, str, str, str]]) -> None:
        super().__init__()
        self._title, self._choices = title, choices

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="picking"):
            yield Table(_COLUMNS, heading=False, empty=N_("Nothing to choose from."))
            yield DialogButton(id="choose")
            yield DialogButton(id="leave", action="screen.leave")

    def on_mount(self) -> None:
        self.query_one("#dialog").border_title = self._title
        self.query_one("#choose", DialogButton).say("enter", _("take this one"))
        self.query_one("#leave", DialogButton).say("escape", _("back"))
        table = self.query_one(Table)
        table.set_rows(
            [
                Row(key, {"mark": Text(mark), "name": Text(name), "more": Text(more)})
                for key, mark, name, more in self._choices
            ]
        )
        table.focus()

    def on_resize(self) -> None:
        """As many rows as fit, and the buttons below them."""
        self.query_one(Table).styles.max_height = max(2, min(MOST_ROWS, self.size.height * 9 // 10 - AROUND))

    def on_table_chosen(self, event: Table.Chosen) -> None:
        self.dismiss(event.key)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "choose":
            self.dismiss(self.query_one(Table).chosen_key or None)

    def action_leave(self) -> None:
        self.dismiss(None)
