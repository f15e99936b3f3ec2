"""The orders of a workspace: what waits for me first, then what runs, then what ended."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from engine.api import Api
from engine.views.orders import OrderRow
from screens import words
from screens.clone import CloneScreen
from screens.order import OrderScreen
from screens.paint import Paint, paint_of
from screens.translate import N_, _
from screens.watching import WatchingScreen
from screens.widgets.filter_line import FilterLine, matches
from screens.widgets.key_bar import KeyBar, KeyNow
from screens.widgets.table import Column, Row, Table
from screens.words import Tone

_COLUMNS = (
    Column("id", "#", most=8, right=True),
    Column("state", N_("state"), most=22),
    Column("app", N_("app"), most=28),
    Column("version", N_("version"), most=16),
    Column("hosts", N_("hosts"), most=12),
    Column("kind", N_("kind"), most=10, rank=3),
    Column("title", N_("title"), most=32, rank=5),
    Column("created", N_("created"), most=16),
    Column("by", N_("by"), most=12),
    Column("time", N_("took"), most=9, rank=2, right=True),
)
_NO_ORDER = N_("No order yet. On the list of apps, r makes a release, a acts on hosts.")
_NO_MATCH = N_("No order matches the filter: / changes it.")


class OrdersScreen(WatchingScreen[tuple[OrderRow, ...]]):
    """`app` empty: every app's."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", N_("open")),
        Binding("slash", "filter", N_("filter"), key_display="/"),
        Binding("C", "clone", N_("once more")),
        Binding("escape,minus", "app.pop_screen", N_("back"), key_display="esc"),
    ]

    def __init__(self, app: str = "") -> None:
        super().__init__()
        self._of_app = app
        self._wanted = ""

    def body(self) -> ComposeResult:
        yield FilterLine()
        yield Table(_COLUMNS, empty=_NO_ORDER, id="orders")

    def on_mount(self) -> None:
        self.query_one("#orders").focus()

    def trail(self) -> tuple[str, ...]:
        return (self._of_app,)

    def fetch(self, api: Api) -> tuple[OrderRow, ...]:
        rows = api.orders(*self.cockpit.here())
        if self._of_app:
            rows = tuple(row for row in rows if self._of_app in {app.app for app in row.apps})
        return tuple(sorted(rows, key=_urgency))

    def show(self, data: tuple[OrderRow, ...]) -> None:
        self._draw()

    def tick(self) -> None:
        self._draw()

    def action_filter(self) -> None:
        if self.data:
            self.query_one(FilterLine).open()
        else:
            self.query_one("#orders", Table).say_nothing_there()

    def action_open(self) -> None:
        key = self.query_one("#orders", Table).chosen_key
        if key:
            self.app.push_screen(OrderScreen(int(key)))

    def action_clone(self) -> None:
        """The order under the cursor once more; the new one is shown then."""
        table = self.query_one("#orders", Table)
        if table.chosen_key:
            self.app.push_screen(CloneScreen(int(table.chosen_key)), self._cloned)
        else:
            table.say_nothing_there()

    def _cloned(self, order_id: int | None) -> None:
        if order_id is not None:
            self.app.push_screen(OrderScreen(order_id))

    @property
    def expected_key(self) -> KeyNow | None:
        """For the bottom line."""
        return KeyNow("enter", _("open"), "open", self, marked=True) if self.data else None

    def on_table_chosen(self, event: Table.Chosen) -> None:
        self.action_open()

    def on_filter_line_filtered(self, event: FilterLine.Filtered) -> None:
        self._wanted = event.wanted
        self._draw()
        if event.done:
            self.query_one("#orders").focus()

    def _draw(self) -> None:
        paint, now = paint_of(self.app), self.cockpit.now()
        rows = [row for row in self.data or () if matches(self._wanted, _texts(row))]
        table = self.query_one("#orders", Table)
        self.query_one(KeyBar).redraw()
        table.say_instead(_NO_MATCH if self.data else _NO_ORDER)
        table.set_rows([_row(row, paint, now) for row in rows])


def _urgency(row: OrderRow) -> tuple[int, int]:
    """What a person must act on, then what runs, then what ended; the newest first."""
    return (0 if row.state.halts else 1 if not row.state.complete else 2), -row.id


def _texts(row: OrderRow) -> tuple[str, ...]:
    return (
        f"#{row.id}",
        row.subject,
        row.versions,
        row.title,
        row.created_by,
        words.word(row.shown),
        str(row.state),
        row.kind,
    )


def _row(row: OrderRow, paint: Paint, now: float) -> Row:
    hosts = Text(f"{row.done_hosts}/{row.hosts}")
    if row.failed_hosts:
        hosts.append(f" ✗{row.failed_hosts}", paint.tone(Tone.FAIL))
    until = row.ended_at if row.ended_at is not None else now
    return Row(
        str(row.id),
        {
            "id": Text(f"#{row.id}", style=paint.strong),
            "state": paint.glyph_and_word(row.shown),
            "app": Text(row.subject),
            "version": Text(words.versions_asked(row.kind, row.versions)),
            "hosts": hosts,
            "kind": Text(words.kind_word(row.kind), style=paint.dim),
            "title": Text(row.title, style=paint.dim),
            "created": Text(words.when(row.created_at, now)),
            "by": Text(row.created_by),
            "time": Text(words.elapsed(row.started_at, until), style=paint.dim),
        },
    )
