"""Groups and their hosts as one list: a heading per group, its hosts under it, and marks that can be told apart without colour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.text import Text
from textual.events import Click
from textual.message import Message

from engine.domain.hand_groups import AppGroups, HandGroups
from engine.views.catalogue import HostView
from screens.paint import paint_of
from screens.translate import N_, _
from screens.widgets.table import Column, Row, Table

_COLUMNS = (
    Column("mark", "", most=3),
    Column("name", "", most=30),
    Column("where", "", most=14, rank=2),
    Column("runs", "", most=12, rank=1),
)
BETA, EXCLUDED = -1, -2


@dataclass(frozen=True, slots=True)
class Line:
    """A heading (`host` empty) or a host under it; `place` is the group's number from 0, or BETA or EXCLUDED."""

    app: str
    place: int
    host: str = ""

    @property
    def key(self) -> str:
        return f"host {self.host}" if self.host else f"{self.app} {self.place}"


def lines_of(groups: HandGroups) -> tuple[Line, ...]:
    """Beta and the excluded have a heading also where they have no host: there is a place to go to."""
    found: list[Line] = []
    for app in groups.apps:
        places = [(BETA, app.beta), *enumerate(app.groups), (EXCLUDED, app.excluded)]
        for place, hosts in places:
            found += [Line(app.app, place), *(Line(app.app, place, host) for host in hosts)]
    return tuple(found)


def hosts_at(app: AppGroups, place: int) -> tuple[str, ...]:
    return app.beta if place == BETA else app.excluded if place == EXCLUDED else app.groups[place]


class GroupTable(Table):
    class MarkAsked(Message):
        """The mark of a row was clicked."""

    def __init__(self) -> None:
        super().__init__(_COLUMNS, empty=N_("No host here."), heading=False, id="hand-groups")
        self._lines: tuple[Line, ...] = ()

    @property
    def chosen(self) -> Line | None:
        return next((line for line in self._lines if line.key == self.chosen_key), None)

    def show(self, groups: HandGroups, marked: frozenset[str], hosts: Mapping[str, HostView]) -> None:
        self._lines = lines_of(groups)
        several = len(groups.apps) > 1
        self.set_rows(
            [
                Row(line.key, self._host(line, marked, hosts) if line.host else self._heading_of(line, groups, several))
                for line in self._lines
            ]
        )

    def on_click(self, event: Click) -> None:
        """A click on a mark marks, anywhere else it selects."""
        super().on_click(event)
        if event.x <= 4 and event.y + self.scroll_offset.y < len(self._lines):
            self.post_message(self.MarkAsked())

    def _heading_of(self, line: Line, groups: HandGroups, several: bool) -> Mapping[str, Text]:
        paint = paint_of(self.app)
        count = len(hosts_at(groups.of(line.app), line.place))
        name = _place_word(line.place)
        said = f"{line.app}: {name}" if several else name
        style = paint.strong if count else paint.dim
        return {"mark": Text("──", style=paint.dim), "name": Text(f"{said}  ({count})", style=style)}

    def _host(self, line: Line, marked: frozenset[str], hosts: Mapping[str, HostView]) -> Mapping[str, Text]:
        paint = paint_of(self.app)
        view = hosts.get(line.host)
        left = line.place == EXCLUDED
        return {
            "mark": Text("[x]" if line.host in marked else "[ ]", style=paint.strong),
            "name": Text(f"  {line.host}", style=paint.dim if left else paint.plain),
            "where": Text(f"{view.data_centre} {view.cell}" if view else "", style=paint.dim),
            "runs": Text((view.version or "-") if view else "", style=paint.dim),
        }


def _place_word(place: int) -> str:
    if place == BETA:
        return _("Beta group")
    if place == EXCLUDED:
        return _("excluded")
    return _("group {number}").format(number=place + 1)
