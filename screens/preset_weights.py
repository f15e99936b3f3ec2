"""Preset weights, host by host: what is typed goes to the marked hosts, else to the one under the cursor.

It asks for nothing to be done: it hands its weights back to the form it was opened from, or leaves them as they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from screens.paint import paint_of
from screens.translate import N_, _
from screens.weights import HIGHEST
from screens.widgets.key_button import DialogButton
from screens.widgets.table import Column, Row, Table

LEAST = 1
_COLUMNS = (
    Column("mark", "", most=3),
    Column("host", N_("host"), most=30),
    Column("weight", N_("weight"), right=True),
    Column("bar", "", most=22, rank=1),
)
_BAR = 20


class PresetWeightsScreen(ModalScreen[Mapping[str, int] | None]):
    """Dismissed with the weight of every host, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(digit, f"digit({digit})", N_("the weight"), show=False, key_display="0–9") for digit in "0123456789"),
        Binding("backspace", "take_back", N_("take the last digit back"), show=False),
        Binding("left,minus", "change(-1)", N_("one less"), show=False),
        Binding("right,plus,equals_sign", "change(1)", N_("one more"), show=False),
        Binding("space", "mark", N_("mark"), show=False),
        Binding("a", "mark_all", N_("mark all"), show=False),
        Binding("enter,ctrl+s", "take", N_("take these weights"), show=False, priority=True),
        Binding("escape", "leave", N_("back")),
    ]

    def __init__(self, hosts: Sequence[str], weights: Mapping[str, int]) -> None:
        super().__init__()
        self._hosts = tuple(hosts)
        self._weights = {host: weights.get(host, HIGHEST) for host in self._hosts}
        self._marked: frozenset[str] = frozenset()
        self._typed = ""

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="picking"):
            yield Table(_COLUMNS)
            yield Static("", id="refusal", markup=False)
            yield DialogButton(id="mark", action="screen.mark")
            yield DialogButton(id="take", action="screen.take")
            yield DialogButton(id="leave", action="screen.leave")

    def on_mount(self) -> None:
        dialog = self.query_one("#dialog")
        dialog.border_title = _("Weights: type a number, Space marks, a marks all")
        self.query_one("#mark", DialogButton).say("space", _("mark"))
        self.query_one("#take", DialogButton).say("enter", _("take these weights"))
        self.query_one("#leave", DialogButton).say("escape", _("back"))
        self.query_one("#refusal").display = False
        self.query_one(Table).focus()
        self._draw()

    def on_resize(self) -> None:
        """As many rows as fit, and the buttons below them."""
        self.query_one(Table).styles.max_height = max(3, self.size.height * 9 // 10 - 6)

    def on_table_highlighted(self) -> None:
        self._typed = ""

    def _meant(self) -> Sequence[str]:
        chosen = self.query_one(Table).chosen_key
        return [host for host in self._hosts if host in self._marked] or ([chosen] if chosen else [])

    def action_mark(self) -> None:
        table = self.query_one(Table)
        self._marked ^= {table.chosen_key}
        self._typed = ""
        self._draw()
        table.action_move(1)

    def action_mark_all(self) -> None:
        self._marked = frozenset() if len(self._marked) == len(self._hosts) else frozenset(self._hosts)
        self._typed = ""
        self._draw()

    def action_digit(self, digit: int) -> None:
        """A digit that leads outside of 1–100 is not taken, and that is said."""
        typed = f"{self._typed}{digit}"
        if not LEAST <= int(typed) <= HIGHEST:
            self._refuse(_("A weight is from {low} to {high}.").format(low=LEAST, high=HIGHEST))
            return
        self._typed = typed
        self._set(int(typed))

    def action_take_back(self) -> None:
        self._typed = self._typed[:-1]
        if self._typed:
            self._set(int(self._typed))

    def action_change(self, by: int) -> None:
        self._typed = ""
        for host in self._meant():
            self._weights[host] = max(LEAST, min(HIGHEST, self._weights[host] + by))
        self._draw()

    def action_take(self) -> None:
        self.dismiss(dict(self._weights))

    def action_leave(self) -> None:
        self.dismiss(None)

    def _set(self, weight: int) -> None:
        for host in self._meant():
            self._weights[host] = weight
        self._draw()

    def _refuse(self, why: str) -> None:
        refusal = self.query_one("#refusal", Static)
        refusal.update(f"! {why}")
        refusal.display = True

    def _draw(self) -> None:
        paint = paint_of(self.app)
        self.query_one("#refusal").display = False
        self.query_one(Table).set_rows(
            [
                Row(
                    host,
                    {
                        "mark": Text("[x]" if host in self._marked else "[ ]", style=paint.strong),
                        "host": Text(host),
                        "weight": Text(str(weight), style=paint.strong),
                        "bar": Text("▆" * max(1, weight * _BAR // HIGHEST), style=paint.dim),
                    },
                )
                for host, weight in self._weights.items()
            ]
        )
