"""The weight slider on the order screen: when it opens, whose weights it moves, and what its keys ask for.

It sends nothing: what is decided there goes through `ask`, which shows the consequence first.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

from textual.screen import Screen

from engine.domain.acts import AnyAct, Confirm, SetWeights
from engine.domain.states import Act
from engine.views.orders import HostRunView, OrderView
from screens.cockpit import cockpit_of
from screens.order_places import slider_hosts
from screens.translate import _
from screens.typed_ahead import QUIET_S
from screens.widgets.flow_view import FlowView
from screens.widgets.host_table import HostTable
from screens.widgets.next_line import NextLine
from screens.widgets.notice import Notice
from screens.widgets.weight_slider import WeightSlider


class Asks(Protocol):
    def __call__(self, act: AnyAct, *, first: SetWeights | None = None) -> None: ...


class SliderAtGate:
    def __init__(self, screen: Screen[Any], ask: Asks) -> None:
        self._screen = screen
        self._ask = ask
        self._order: OrderView | None = None
        self.offered = ""  # the gate whose slider was opened: it opens by itself once

    def show(self, order: OrderView) -> None:
        self._order = order
        self._show_next()
        self._show_hosts()

    def open(self) -> None:
        if self._widget.display:
            self._screen.remove_class("-log", "-history")
            self._widget.focus()
            return
        if not self._hosts():
            self._notice.tell(
                _("Weights are not moved by hand at this node; gray releases do that at their gates."), good=False
            )
            return
        self._screen.remove_class("-log", "-history")
        self._widget.display = True
        self._table.display = False
        self._show_hosts()
        self._show_next()
        self._widget.focus()

    def offer(self, *, follows: bool) -> None:
        """At a gate that waits for weights it opens by itself, once, for whoever follows the release and is at nothing else."""
        order = self._order
        gate = next((node for node in order.nodes if node.sliders and node.state.halts), None) if order else None
        waits = any(act.weights_first for act in (order.acts if order else ()))
        if gate is None or not waits or gate.key == self.offered:
            return
        at_rest = time.monotonic() - cockpit_of(self._screen).pressed_at >= QUIET_S
        if follows and at_rest and self._screen.app.screen is self._screen and self._table.has_focus:
            self.offered = gate.key
            self.open()

    def applied(self, event: WeightSlider.Applied) -> bool:
        """What its key asked for; whether the gate is to be confirmed as it stands."""
        weights = SetWeights(event.weights)
        if not event.confirms and event.weights:
            self._ask(weights)
        elif not event.confirms:
            self._notice.tell(_("No weight was changed: type one first."), good=False)
        elif event.weights and any(act.act is Act.CONFIRM for act in (self._order.acts if self._order else ())):
            self._ask(Confirm(), first=weights)
        elif event.weights:
            self._notice.tell(_("There is nothing to confirm now: ⏎ applies the weights."), good=False)
        else:
            return True
        return False

    def close(self) -> None:
        had_focus = self._widget.has_focus
        self._widget.reset()
        self._widget.display, self._table.display = False, True
        self._show_next()
        if had_focus:
            self._table.focus()

    @property
    def _widget(self) -> WeightSlider:
        return self._screen.query_one(WeightSlider)

    @property
    def _table(self) -> HostTable:
        return self._screen.query_one(HostTable)

    @property
    def _notice(self) -> Notice:
        return self._screen.query_one(Notice)

    def _hosts(self) -> tuple[HostRunView, ...]:
        return slider_hosts(self._order, self._screen.query_one(FlowView).selected) if self._order else ()

    def _show_next(self) -> None:
        if self._order is not None:
            self._screen.query_one(NextLine).show(self._order, at_slider=self._widget.display)

    def _show_hosts(self) -> None:
        if self._widget.display and self._order is not None:
            hosts = self._hosts()
            self._widget.show(hosts, self._order.hosts)
            if not hosts:
                self.close()
