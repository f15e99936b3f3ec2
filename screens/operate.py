"""Acting on hosts of an app without a new version: restart them, take them offline, bring them online.

One form for every kind of order that acts on chosen hosts. Nothing is created before it is submitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Select

from engine.domain.hand_groups import HandGroups
from engine.domain.orders import OrderSpec
from engine.kinds import chosen_hosts, offline, online, restart
from engine.views.catalogue import HostView
from screens import words
from screens.order_form import WALK, OrderForm, grouped
from screens.translate import N_, _
from screens.widgets.host_marks import HostMarks
from screens.widgets.said import Choice, Said

# kind → which hosts it takes, for what the form proposes; what speaks against an order the engine says
_TAKES = {
    restart.NAME: chosen_hosts.deployed,
    offline.NAME: chosen_hosts.deployed,
    online.NAME: online.takes,
}


class Whose(StrEnum):
    """`all`: every host of the app that the kind takes."""

    ALL = "all"
    MARKED = "marked"


class OperateScreen(OrderForm):
    BINDINGS: ClassVar[list[BindingType]] = [*WALK]

    def __init__(self, app: str) -> None:
        super().__init__(app)
        self._whose_chosen = False
        self._proposed = Whose.ALL

    def fields(self) -> ComposeResult:
        with Horizontal(classes="row named"):
            yield Said(N_("what"))
            yield Choice(lambda: [(Text(words.kind_word(kind)), kind) for kind in _TAKES], id="kind")
        with Horizontal(classes="row named"):
            yield Said(N_("app"))
            yield self.app_field()
        with Horizontal(classes="row named"):
            yield Said(N_("hosts"))
            yield Choice(
                lambda: [(Text(_("all of the app")), Whose.ALL), (Text(_("those marked")), Whose.MARKED)], id="whose"
            )
        yield HostMarks()
        yield from self.group_fields()
        yield Said(N_("the reason, for the audit"))
        yield Input(id="reason")
        yield Said(N_("title"))
        yield Input(id="title")

    def on_mount(self) -> None:
        self.query_one("#kind").focus()

    def trail(self) -> tuple[str, ...]:
        return (self._app, _("act on hosts"))

    # ---- what is chosen

    @property
    def _kind(self) -> str:
        return self.query_one("#kind", Choice).chosen

    @property
    def _whose(self) -> Whose:
        return Whose(self.query_one("#whose", Choice).chosen)

    @property
    def _marked(self) -> tuple[str, ...]:
        return self.query_one(HostMarks).marked

    def app_changed(self) -> None:
        self.query_one(HostMarks).clear_marks()

    def choices_changed(self) -> None:
        self.query_one(HostMarks).show(self._hosts())
        if not self._whose_chosen:
            self._propose_whose()
        self.fit_groups(len(self._meant()))

    def _hosts(self) -> tuple[HostView, ...]:
        """Those of the app, as far as they are read."""
        return tuple(host for host in (self.data.hosts if self.data else ()) if self._app in host.apps)

    def _meant(self) -> tuple[str, ...]:
        if self._whose is Whose.MARKED:
            return self._marked
        return tuple(host.name for host in self._hosts() if _TAKES[self._kind](host))

    def _propose_whose(self) -> None:
        """Nobody takes a whole app offline by a key too many: all of its hosts must be chosen for that."""
        self._proposed = Whose.MARKED if self._kind == offline.NAME else Whose.ALL
        self._set_whose(self._proposed)

    def _set_whose(self, whose: Whose) -> None:
        self.query_one("#whose", Choice).choose(whose)

    def on_select_changed(self, event: Select.Changed) -> None:
        if event.select.id == "whose" and self._whose is not self._proposed:
            self._whose_chosen = True

    def on_host_marks_marked(self) -> None:
        self._whose_chosen = True
        self._set_whose(Whose.MARKED)
        self.refresh_form()

    # ---- the order

    def missing(self) -> str:
        if not self._app:
            return _("Choose an app.")
        return _("Mark hosts in the list with the space bar, or choose all.")

    def spec_with(self, hand: HandGroups | None) -> OrderSpec | None:
        marked = self._marked if self._whose is Whose.MARKED else ()
        if not self._app or (self._whose is Whose.MARKED and not marked) or self.wrong_numbers():
            return None
        return grouped(
            chosen_hosts.spec_of(
                self._kind,
                [self._app],
                hosts=marked,
                title=self.text("title"),
                strategy=self.strategy,
                groups=self.groups if self._groups_typed else None,
                beta=self.beta,
                override_reason=self.text("override"),
                reason=self.text("reason"),
                seed=self._seed,
            ),
            hand,
        )

    def hosts_to_group(self) -> Mapping[str, Sequence[str]]:
        return {self._app: self._meant()}
