"""Hosts to be marked: a list whose rows carry a mark that can be told apart without colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message

from engine.views.catalogue import HostView
from screens.paint import paint_of
from screens.translate import N_
from screens.widgets.table import Column, Row, Table

_COLUMNS = (
    Column("mark", "", most=3),
    Column("host", N_("host"), most=20),
    Column("state", N_("state"), most=14),
)


class HostMarks(Table):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("space", "mark", N_("mark the host"))]

    class Marked(Message):
        """Other hosts are marked."""

    def __init__(self) -> None:
        super().__init__(_COLUMNS, empty=N_("No host here."), heading=False, id="marks")
        self._hosts: tuple[HostView, ...] = ()
        self._marked: frozenset[str] = frozenset()

    @property
    def marked(self) -> tuple[str, ...]:
        """Of the hosts that are shown, in their order."""
        return tuple(host.name for host in self._hosts if host.name in self._marked)

    def show(self, hosts: Sequence[HostView]) -> None:
        self._hosts = tuple(hosts)
        self._draw()

    def clear_marks(self) -> None:
        self._marked = frozenset()
        self._draw()

    def action_mark(self) -> None:
        """Mark the host under the cursor, or take its mark away; the next one is at hand then."""
        if self.chosen_key:
            self._marked ^= {self.chosen_key}
            self._draw()
            self.action_move(1)
            self.post_message(self.Marked())

    def _draw(self) -> None:
        paint = paint_of(self.app)
        self.set_rows(
            [
                Row(
                    host.name,
                    {
                        "mark": Text("[x]" if host.name in self._marked else "[ ]", style=paint.strong),
                        "host": Text(host.name),
                        "state": paint.glyph_and_word(host.state),
                    },
                )
                for host in self._hosts
            ]
        )
