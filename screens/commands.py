"""`:` over any screen: everything the cockpit can do, by name. It does nothing itself: it is dismissed with what was chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input

from screens.paint import paint_of
from screens.translate import N_, _
from screens.widgets.filter_line import matches
from screens.widgets.key_button import DialogButton
from screens.widgets.table import Column, Row, Table

_COLUMNS = (Column("name", "", most=34), Column("about", "", most=50, rank=1))


MOST_ROWS = 14  # of a list in a dialogue
AROUND = 5  # rows of the dialogue that are not the list's: its edges, the field, two buttons


@dataclass(frozen=True, slots=True)
class Command:
    """`name` and `about` as shown."""

    name: str
    about: str
    run: Callable[[], Any]


class CommandsScreen(ModalScreen[Command | None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", N_("back")),
        Binding("down", "move(1)", N_("down"), show=False, priority=True),
        Binding("up", "move(-1)", N_("up"), show=False, priority=True),
    ]

    def __init__(self, commands: Sequence[Command]) -> None:
        super().__init__()
        self._commands = tuple(commands)

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="workspaces"):
            yield Input(placeholder=_("type a part of the name"))
            yield Table(_COLUMNS, empty=N_("No command of that name."), heading=False, led=True)
            yield DialogButton(id="choose")
            yield DialogButton(id="leave", action="screen.leave")

    def on_mount(self) -> None:
        self.query_one("#dialog").border_title = _("Commands")
        self.query_one("#choose", DialogButton).say("enter", _("do it"))
        self.query_one("#leave", DialogButton).say("escape", _("back"))
        self.set_focus(self.query_one(Input))
        self.app.theme_changed_signal.subscribe(self, self._recoloured)
        self._draw()

    def _recoloured(self, _theme: object) -> None:
        self._draw()

    def on_resize(self) -> None:
        """As many rows as fit, and the buttons below them."""
        self.query_one(Table).styles.max_height = max(2, min(MOST_ROWS, self.size.height * 9 // 10 - AROUND))

    def action_move(self, by: int) -> None:
        self.query_one(Table).action_move(by)

    def action_leave(self) -> None:
        self.dismiss(None)

    def on_input_changed(self) -> None:
        self._draw()

    def on_input_submitted(self) -> None:
        self._choose()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self._choose()

    def _choose(self) -> None:
        key = self.query_one(Table).chosen_key
        chosen = next((command for command in self._commands if command.name == key), None)
        if chosen is not None:
            self.dismiss(chosen)

    def _draw(self) -> None:
        wanted, paint = self.query_one(Input).value, paint_of(self.app)
        self.query_one(Table).set_rows(
            [
                Row(
                    each.name, {"name": Text(each.name, style=paint.strong), "about": Text(each.about, style=paint.dim)}
                )
                for each in self._commands
                if matches(wanted, (each.name, each.about))
            ]
        )
