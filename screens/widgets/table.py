"""A list with columns that knows cell widths: the one every list of the screens is drawn with.

It draws only the lines in sight and, when rows change, only those that changed. Columns that do not fit are left out by rank
rather than squeezed. It never interprets markup: a cell is a rich `Text`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from screens.paint import paint_of, strip_of
from screens.translate import N_, _
from screens.widgets.cursor import cursor_mark, cursor_style
from screens.widgets.prose import wrapped

_GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """`title` is a msgid. `most` is the most cells it takes; rank 0 always stays, the highest rank is left out first. Before any
    is left out, one with a `least` is made as narrow as that."""

    key: str
    title: str
    most: int = 24
    rank: int = 0
    right: bool = False
    least: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    key: str
    cells: Mapping[str, Text] = field(default_factory=dict)


class Table(ScrollView, can_focus=True):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", N_("down"), show=False),
        Binding("up,k", "move(-1)", N_("up"), show=False),
        Binding("pagedown", "page(1)", N_("page down"), show=False),
        Binding("pageup", "page(-1)", N_("page up"), show=False),
        Binding("home", "far(-1)", N_("first row"), show=False),
        Binding("end,G", "far(1)", N_("last row"), show=False),
        Binding("enter", "choose", N_("open"), show=False),
    ]
    cursor = var(0)

    class Highlighted(Message):
        """Another row is under the cursor."""

        def __init__(self, table: Table, key: str) -> None:
            super().__init__()
            self.table = table
            self.key = key

        @property
        def control(self) -> Table:
            return self.table

    class Chosen(Message):
        """Enter."""

        def __init__(self, table: Table, key: str) -> None:
            super().__init__()
            self.table = table
            self.key = key

        @property
        def control(self) -> Table:
            return self.table

    class NothingThere(Message):
        """Enter, where there is no row; `said` is what the list says instead."""

        def __init__(self, said: str) -> None:
            super().__init__()
            self.said = said

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        empty: str = "",
        heading: bool = True,
        id: str | None = None,
        led: bool = False,
    ) -> None:
        """`empty` is a msgid: what is said instead of rows. `led`: its cursor is moved from a field beside it, so it never has the
        focus itself and its cursor always looks as if it had."""
        super().__init__(id=id)
        self.can_focus = not led
        self._led = led
        self._columns = tuple(columns)
        self._rows: tuple[Row, ...] = ()
        self._layout: tuple[tuple[Column, int], ...] = ()
        self._laid_for = 0  # cells the layout was made for
        self._empty = empty
        self._heading = 1 if heading else 0
        self._drawn: dict[str, tuple[Row, tuple[object, ...], Strip]] = {}  # lines as they were drawn last, by key

    @property
    def rows(self) -> tuple[Row, ...]:
        return self._rows

    @property
    def chosen_key(self) -> str:
        """The key of the row under the cursor; empty when there is none."""
        return self._rows[self.cursor].key if self.cursor < len(self._rows) else ""

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show these. The cursor stays on its row's key, and that row on its line; if it is gone the cursor stays at its place in
        the list."""
        before, key, had, was_at = self._rows, self.chosen_key, bool(self._rows), self.cursor
        self._rows = tuple(rows)
        keys = [row.key for row in self._rows]
        if len(self._drawn) > 2 * len(keys):
            self._drawn.clear()
        self.set_reactive(Table.cursor, keys.index(key) if key in keys else max(0, min(self.cursor, len(keys) - 1)))
        layout = self._laid_out()
        if layout != self._layout or len(before) != len(self._rows):
            self._layout, self._laid_for = layout, self.size.width
            self.virtual_size = Size(self.size.width, len(self._rows) + self._heading)
            self.refresh(layout=not had or len(before) != len(self._rows))
        else:
            for at, (old, new) in enumerate(zip(before, self._rows, strict=True)):
                if old != new:
                    self.refresh_line(at + self._heading)
        if self.chosen_key == key and self.cursor != was_at:
            self.call_after_refresh(self._follow_rows, self.scroll_offset.y + self.cursor - was_at)
        if self.chosen_key != key:
            self.call_after_refresh(self._cursor_into_sight)
            self.post_message(self.Highlighted(self, self.chosen_key))

    def say_instead(self, empty: str) -> None:
        """`empty`, a msgid, is said where there are no rows."""
        if empty != self._empty:
            self._empty = empty
            self.refresh()

    def retell(self) -> None:
        """Headings are as wide as their words."""
        self._relaid()
        self.refresh()

    def move_to(self, key: str) -> None:
        for at, row in enumerate(self._rows):
            if row.key == key:
                self.cursor = at

    # ---- moving

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(len(self._rows) - 1, cursor))

    def watch_cursor(self, before: int, after: int) -> None:
        if before == after or not self._rows:
            return
        top = self.scroll_offset.y
        self._cursor_into_sight()
        if self.scroll_offset.y == top:
            self.refresh_line(before + self._heading)
            self.refresh_line(after + self._heading)
        else:
            self.refresh()
        self.post_message(self.Highlighted(self, self.chosen_key))

    def action_move(self, by: int) -> None:
        self.cursor += by

    def action_page(self, by: int) -> None:
        self.cursor += by * max(1, self.size.height - self._heading - 1)

    def action_far(self, by: int) -> None:
        self.cursor = by * len(self._rows)

    def action_choose(self) -> None:
        if self.chosen_key:
            self.post_message(self.Chosen(self, self.chosen_key))
        else:
            self.say_nothing_there()

    def say_nothing_there(self) -> None:
        """Whatever was meant for a row: there is none, and what comes first is said."""
        if self._empty:
            self.post_message(self.NothingThere(_(self._empty)))

    def on_click(self, event: Click) -> None:
        """A click selects; only a button acts."""
        at = event.y - self._heading + self.scroll_offset.y
        if event.y >= self._heading and at < len(self._rows):
            self.cursor = at

    def _follow_rows(self, top: int) -> None:
        """Rows came or went above the cursor's: what is looked at stays where it is."""
        self.scroll_to(y=max(0, top), animate=False, force=True)
        self._cursor_into_sight()

    def _cursor_into_sight(self) -> None:
        visible = max(1, self.size.height - self._heading)
        top = self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True)
        elif self.cursor >= top + visible:
            self.scroll_to(y=self.cursor - visible + 1, animate=False, force=True)

    # ---- drawing

    def on_resize(self, event: Resize) -> None:
        self._relaid()
        self._cursor_into_sight()
        self.refresh()

    def _relaid(self) -> None:
        self._layout, self._laid_for = self._laid_out(), self.size.width
        self.virtual_size = Size(self.size.width, len(self._rows) + self._heading)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return (len(self._rows) or max(1, len(self._instead(width)))) + self._heading

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        if width != self._laid_for:  # painted in a new width before it was told of it
            self._layout, self._laid_for = self._laid_out(), width
        if y < self._heading:
            said = self.heading_text()
            if said is not None:
                return strip_of(said, self.app).apply_style(base).adjust_cell_length(width, base)
            return self._line(self._heading_cells(), paint_of(self.app).dim, base)
        at = y - self._heading + self.scroll_offset.y
        if at < len(self._rows):
            return self._row(at, base)
        if not self._rows and at < len(instead := self._instead(width)):
            return strip_of(instead[at], self.app).apply_style(base).adjust_cell_length(width, base)
        return Strip.blank(width, base)

    def _instead(self, width: int) -> list[Text]:
        """What is said where there are no rows, as many lines as it takes."""
        if not self._empty:
            return []
        said = Text(_(self._empty), style=paint_of(self.app).dim)
        lines = wrapped(said, max(8, width - 2)).split("\n")
        return [Text(" ").append_text(line) for line in lines]

    def _row(self, at: int, base: Style) -> Strip:
        row, here = self._rows[at], at == self.cursor
        mark = cursor_mark(self, led=self._led) if here else " "
        look = (base, self._layout, self.size.width, mark)
        drawn = self._drawn.get(row.key)
        if drawn is None or drawn[0] is not row or drawn[1] != look:
            drawn = row, look, self._line(row.cells, None, base, marker=mark)
            self._drawn[row.key] = drawn
        strip = drawn[2]
        if not here:
            return strip
        return Strip(list(Segment.apply_style(strip, post_style=cursor_style(self, led=self._led))), strip.cell_length)

    def _line(self, cells: Mapping[str, Text], style: Style | None, base: Style, marker: str = " ") -> Strip:
        line = Text(marker)
        for number, (column, width) in enumerate(self._layout):
            cell = cells.get(column.key, Text()).copy()
            cell.truncate(width, overflow="ellipsis")
            fill = " " * (width - cell.cell_len)
            line.append(" " * _GAP if number else "")
            line.append_text(Text(fill).append_text(cell) if column.right else cell.append(fill))
        if style is not None:
            line.stylize(style)
        strip = strip_of(line, self.app)
        return strip.apply_style(base).adjust_cell_length(self.size.width, base)

    def heading_text(self) -> Text | None:
        """What is said in the place of the columns' titles, if anything is."""
        return None

    def _heading_cells(self) -> dict[str, Text]:
        return {column.key: Text(_(column.title)) for column in self._columns}

    def _laid_out(self) -> tuple[tuple[Column, int], ...]:
        """The columns that fit and their widths: as wide as their widest cell, the lowest ranks first."""
        room = max(0, self.size.width - 2)
        natural = {column.key: self._natural_width(column) for column in self._columns}
        least = {c.key: min(natural[c.key], c.least or natural[c.key]) for c in self._columns}
        kept = list(self._columns)
        while sum(least[c.key] + _GAP for c in kept) - _GAP > room:
            last = max(kept, key=lambda column: column.rank, default=None)
            if last is None or last.rank == 0:
                break
            kept.remove(last)
        too_much = sum(natural[c.key] + _GAP for c in kept) - _GAP - room
        while too_much > 0 and kept:
            narrowing = [column for column in kept if natural[column.key] > least[column.key]]
            widest = max(narrowing or kept, key=lambda column: natural[column.key])
            if natural[widest.key] <= 4:
                break
            natural[widest.key] -= 1
            too_much -= 1
        return tuple((column, natural[column.key]) for column in kept)

    def _natural_width(self, column: Column) -> int:
        widest = max((row.cells[column.key].cell_len for row in self._rows if column.key in row.cells), default=0)
        return max(cell_len(_(column.title)) if self._heading else 1, min(widest, column.most))
