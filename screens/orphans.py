"""The weights that no living order owns: which order left them behind, on which hosts, and the one act that gives them back."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from engine.api import Api
from engine.domain.acts import AnyAct, GiveBack
from engine.views.orders import OrphanView
from screens import words
from screens.acting import Acting
from screens.paint import Paint, paint_of
from screens.translate import N_, _
from screens.watching import WatchingScreen
from screens.widgets.notice import Notice
from screens.widgets.table import Column, Row, Table
from screens.words import Tone

_COLUMNS = (
    Column("host", N_("host"), most=24),
    Column("weight", N_("now → gets back"), most=18),
    Column("order", N_("order"), most=22),
    Column("app", N_("app"), most=24, rank=2),
    Column("group", N_("server group"), most=34, rank=1),
)


class OrphansScreen(WatchingScreen[tuple[OrphanView, ...]]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("g,enter", "give_back", N_("give its weight back")),
        Binding("a", "give_all_back", N_("all of the order")),
        Binding("escape,minus", "app.pop_screen", N_("back"), key_display="esc"),
    ]

    def body(self) -> ComposeResult:
        yield Table(_COLUMNS, empty=N_("Every weight that an order moved was given back."), id="orphans")
        yield Notice()

    def on_mount(self) -> None:
        self.query_one("#orphans").focus()

    def trail(self) -> tuple[str, ...]:
        return (_("weights left behind"),)

    def fetch(self, api: Api) -> tuple[OrphanView, ...]:
        return api.orphans(*self.cockpit.here())

    def show(self, data: tuple[OrphanView, ...]) -> None:
        paint = paint_of(self.app)
        self.query_one("#orphans", Table).set_rows([_row(each, paint) for each in data])

    def on_table_chosen(self, event: Table.Chosen) -> None:
        self.action_give_back()

    def action_give_back(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            self._ask(chosen.order, GiveBack((chosen.host,)))
        else:
            self.query_one("#orphans", Table).say_nothing_there()

    def action_give_all_back(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            self._ask(chosen.order, GiveBack())
        else:
            self.query_one("#orphans", Table).say_nothing_there()

    def _ask(self, order_id: int, act: GiveBack) -> None:
        Acting(self, order_id, self._accepted).ask(act)

    def _accepted(self, act: AnyAct) -> None:
        self.reload()

    def _chosen(self) -> OrphanView | None:
        key = self.query_one("#orphans", Table).chosen_key
        return next((each for each in self.data or () if _key(each) == key), None)


def _key(each: OrphanView) -> str:
    return f"{each.order} {each.host} {each.balancer} {each.server_group} {each.port}"


def _row(each: OrphanView, paint: Paint) -> Row:
    now = "?" if each.now is None else str(each.now)
    group = f"{each.balancer} {each.server_group}".rstrip() + (f":{each.port}" if each.port else "")
    return Row(
        _key(each),
        {
            "host": Text(each.host, style=paint.strong),
            "weight": Text().append(now, paint.tone(Tone.FAIL)).append(f" → {each.due}"),
            "order": Text(f"#{each.order} {words.word(each.state)}"),
            "app": Text(", ".join(each.apps)),
            "group": Text(group, style=paint.dim),
        },
    )
