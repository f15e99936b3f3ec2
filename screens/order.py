"""The cockpit: one order, its flowchart, the hosts of the selected node, the log of the selected host, and what is next.

The screen decides nothing: every key that acts shows its consequence first (`acting.Acting`), and what can be done, what
follows and what stands in the way all come from the engine's view.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from engine.api import Api
from engine.domain.acts import (
    ACTS,
    AnyAct,
    Cancel,
    Confirm,
    Initialise,
    Pause,
    Resume,
    Retry,
    RollBack,
    SetWeights,
)
from engine.domain.problem import Problem, ProblemError
from engine.domain.states import Act, Direction, NodeState, OrderState, RunState
from engine.views.orders import AttemptView, HostRunView, NodeView, OrderView
from screens import words
from screens.acting import Acting
from screens.asking import ask, in_worker
from screens.translate import N_, _
from screens.typed_ahead import QUIET_S
from screens.watching import WatchingScreen
from screens.widgets.flow_view import FlowView
from screens.widgets.history_pane import HistoryPane
from screens.widgets.host_pane import HostPane
from screens.widgets.host_table import HostTable
from screens.widgets.key_bar import KeyBar, KeyNow
from screens.widgets.log_pane import LogPane
from screens.widgets.next_line import NextLine
from screens.widgets.notice import Notice
from screens.widgets.order_head import OrderHead
from screens.widgets.table import Table
from screens.widgets.trouble import Problems
from screens.widgets.weight_slider import WeightSlider

_EXPECTED = (Act.START, Act.CONFIRM, Act.RESUME, Act.RETRY, Act.INITIALISE)  # what Enter may mean


class OrderScreen(WatchingScreen[OrderView]):
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012  # textual declares it so
    VERTICAL_BREAKPOINTS = [(0, "-low"), (16, "-high")]  # noqa: RUF012  # textual declares it so
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "confirm", N_("start, confirm"), show=False),
        Binding("enter", "expected", N_("do what is expected"), show=False),
        Binding("g", "weights", N_("gray weights"), show=False),
        Binding("p", "pause", N_("pause, resume"), show=False),
        Binding("t", "retry", N_("retry"), show=False),
        Binding("T", "retry_host", N_("retry this host only"), show=False),
        Binding("i", "initialise", N_("initialise again"), show=False),
        Binding("x", "cancel", N_("cancel"), show=False),
        Binding("R", "roll_back", N_("roll back"), show=False),
        Binding("l", "log", N_("log")),
        Binding("h", "history", N_("history")),
        Binding("slash", "search_log", N_("search"), key_display="/"),
        Binding("n", "next_trouble", N_("next")),
        Binding("escape,minus", "back", N_("back"), key_display="esc"),
    ]

    def __init__(self, order_id: int) -> None:
        super().__init__()
        self.order_id = order_id
        self._acting = Acting(self, order_id, self._accepted, self._created)
        self._follows = True  # the cursor goes along with the release until the operator moves it
        self._offered = ""  # the gate whose slider was opened: it opens by itself once
        # the attempts before the present one, and whose they are: (host, direction, present attempt)
        self._earlier: tuple[tuple[str, Direction, int] | None, tuple[AttemptView, ...]] = (None, ())

    def body(self) -> ComposeResult:
        yield OrderHead()
        yield FlowView(id="flow")
        with Horizontal(id="lower"):
            yield HostPane()
            yield LogPane()
            yield HistoryPane()
        yield Notice()
        yield NextLine()

    def on_mount(self) -> None:
        self._to_the_hosts()

    def _to_the_hosts(self) -> None:
        """Or to the slider, while it stands in their place."""
        slider = self.query_one(WeightSlider)
        (slider if slider.display else self.query_one(HostTable)).focus()

    def trail(self) -> tuple[str, ...]:
        if self.data is None:
            return (_("order #{id}").format(id=self.order_id),)
        what = words.order_words(self.data.kind, self.data.versions)
        return (self.data.subject, _("order #{id} {what}").format(id=self.order_id, what=what))

    def fetch(self, api: Api) -> OrderView:
        return api.order(*self.cockpit.here(), self.order_id)

    def show(self, data: OrderView) -> None:
        now = self.cockpit.now()
        flow = self.query_one(FlowView)
        flow.show(data.nodes, now)
        flow.set_class(not data.nodes, "-empty")
        if self._follows:
            active = _active_node([node for node in data.nodes if node.direction is data.direction])
            if active is not None:
                flow.select(active.key)
        self.query_one(OrderHead).show(data, now)
        self._show_next()
        self.query_one(KeyBar).redraw()
        self._show_hosts(now)
        self._show_slider_hosts()
        if self.has_class("-history"):
            self._look_up_history()
        self._offer_slider()

    def tick(self) -> None:
        self._offer_slider()
        if self.data is not None:
            now = self.cockpit.now()
            self.query_one(FlowView).paint_at(now)
            self.query_one(OrderHead).show(self.data, now)
            self.query_one(HostTable).show(self._hosts(), now)

    @property
    def expected_key(self) -> KeyNow | None:
        """For the bottom line: what is expected of a person now, if anything is."""
        act = next((act for act in (self.data.acts if self.data else ()) if act.allowed), None)
        if act is None or self.data is None or not self.data.state.halts:
            return None
        slider = self.query_one(WeightSlider)
        if self.focused is slider:
            return slider.expected_key(act.act) or KeyNow(
                words.act_key(act.act), words.act_word(act.act), words.act_action(act.act), self, marked=True
            )
        return KeyNow("enter", words.act_word(act.act), "expected", self, marked=True)

    # ---- moving about

    def on_flow_view_selected(self, event: FlowView.Selected) -> None:
        self._follows = self._follows and not event.by_hand
        self._show_hosts(self.cockpit.now())

    def on_table_highlighted(self, event: Table.Highlighted) -> None:
        self.call_after_refresh(self._show_host)  # the cursor is seen to move first

    def on_table_chosen(self, event: Table.Chosen) -> None:
        self.action_expected()

    def action_history(self) -> None:
        """Who did what: in the place of the log, on a narrow screen of everything below the head. The same key leaves it."""
        if self.has_class("-history"):
            self._leave_history()
            return
        self.remove_class("-log")
        self.add_class("-history")
        self._look_up_history()
        self.query_one(HistoryPane).focus()

    def _leave_history(self) -> None:
        self.remove_class("-history")
        self._to_the_hosts()

    def _look_up_history(self) -> None:
        in_worker(self, self._read_history, group="history", exclusive=True)

    async def _read_history(self) -> None:
        here, pane = self.cockpit.here(), self.query_one(HistoryPane)
        try:
            pane.show(await ask(self, lambda api: api.history(*here, self.order_id)))
        except ProblemError as error:
            pane.tell(error.problem)

    def action_log(self) -> None:
        """Wide: the log is always there, the key goes into it. Narrow: the log takes the place of everything below the head."""
        log = self.query_one(LogPane)
        if log.view.has_focus or (self.has_class("-narrow") and self.has_class("-log")):
            self._leave_panes()
            self._to_the_hosts()
            return
        self.remove_class("-history")
        if self.has_class("-narrow"):
            self.add_class("-log")
        self.call_after_refresh(log.view.focus)

    def action_search_log(self) -> None:
        """Into the log, wherever the cursor is, and what follows is what to look for."""
        self.remove_class("-history")
        if self.has_class("-narrow"):
            self.add_class("-log")
        self.query_one(LogPane).action_search()

    def on_log_pane_said(self, event: LogPane.Said) -> None:
        self.query_one(Notice).tell(event.sentence, good=event.good)

    def _leave_panes(self) -> None:
        """The hosts, or the slider in their place, are seen again."""
        self.remove_class("-log", "-history")

    def action_back(self) -> None:
        if self.has_class("-history"):
            self._leave_history()
            return
        if self.has_class("-log") and self.has_class("-narrow"):
            self.remove_class("-log")
            self._to_the_hosts()
            return
        self.app.pop_screen()

    def action_next_trouble(self) -> None:
        """The next host that failed or node that waits, behind the cursor, and round again."""
        places = _troubles(self.data) if self.data else []
        if not places:
            self.query_one(Notice).tell(_("Nothing waits and nothing failed."))
            return
        table = self.query_one(HostTable)
        here = (self.query_one(FlowView).selected, table.chosen_key)
        at = places.index(here) + 1 if here in places else 0
        node, host = places[at % len(places)]
        self._follows = False
        self.query_one(FlowView).select(node)
        self._show_hosts(self.cockpit.now())
        table.move_to(host)

    # ---- acting

    def action_confirm(self) -> None:
        """Start or confirm; nothing else, whatever the order expects: the key does what the next line says it does."""
        asked = [act for act in (self.data.acts if self.data else ()) if words.act_key(act.act) == "c"]
        if asked and asked[0].weights_first:
            self.action_weights()
            self.query_one(Notice).tell(
                _("Give these hosts a weight first: ⏎ applies it, c applies and confirms."), good=False
            )
        elif asked:
            self._ask(ACTS[asked[0].act].type())
        else:
            self.query_one(Notice).tell(_("There is nothing to confirm now."), good=False)

    def action_expected(self) -> None:
        """What the order expects of a person now: the first act of the next line."""
        expected = self.data.acts[0].act if self.data and self.data.acts else None
        if expected is Act.SET_WEIGHTS:
            self.action_weights()
        elif expected in _EXPECTED:
            self._ask(ACTS[expected].type())
        else:
            self.query_one(Notice).tell(_("Nothing is expected of you now."), good=False)

    def action_pause(self) -> None:
        self._ask(Resume() if self.data and self.data.paused else Pause())

    def action_retry(self) -> None:
        failed_check = self.data is not None and self.data.state is OrderState.INIT_FAILED
        self._ask(Initialise() if failed_check else Retry())

    def action_retry_host(self) -> None:
        self._ask(Retry((self.query_one(HostTable).chosen_key,)))

    def action_initialise(self) -> None:
        self._ask(Initialise())

    def action_cancel(self) -> None:
        self._ask(Cancel())

    def action_roll_back(self) -> None:
        self._ask(RollBack())

    def _ask(self, act: AnyAct, *, first: SetWeights | None = None) -> None:
        if self.data is None:
            return
        if isinstance(act, Confirm):
            gate = next((node for node in self.data.nodes if node.state is NodeState.WAITING), None)
            act = Confirm(gate.key if gate else "")
        self._acting.ask(act, first=first)

    def _accepted(self, act: AnyAct) -> None:
        if isinstance(act, SetWeights):
            self.query_one(WeightSlider).applied(dict(act.weights))
        elif isinstance(act, Confirm | Cancel | RollBack):
            self._close_slider()
        self._follows = True
        self.reload()

    def _created(self, order_id: int) -> None:
        """What was asked for is done by another order: that is shown, and `back` comes here again."""
        self.app.push_screen(OrderScreen(order_id))

    # ---- the slider

    def action_weights(self) -> None:
        slider = self.query_one(WeightSlider)
        if slider.display:
            self._leave_panes()
            slider.focus()
            return
        if not self._slider_hosts():
            self.query_one(Notice).tell(
                _("Weights are not moved by hand at this node; gray releases do that at their gates."), good=False
            )
            return
        self._leave_panes()
        slider.display = True
        self.query_one(HostTable).display = False
        self._show_slider_hosts()
        self._show_next()
        slider.focus()

    def _offer_slider(self) -> None:
        """At a gate that waits for weights it opens by itself, once, for whoever follows the release and is at nothing else."""
        gate = (
            next((node for node in self.data.nodes if node.sliders and node.state.halts), None) if self.data else None
        )
        waits = any(act.weights_first for act in (self.data.acts if self.data else ()))
        if gate is None or not waits or gate.key == self._offered:
            return
        at_rest = time.monotonic() - self.cockpit.pressed_at >= QUIET_S
        if self._follows and at_rest and self.app.screen is self and self.query_one(HostTable).has_focus:
            self._offered = gate.key
            self.action_weights()

    def _show_next(self) -> None:
        if self.data is not None:
            self.query_one(NextLine).show(self.data, at_slider=self.query_one(WeightSlider).display)

    def on_weight_slider_applied(self, event: WeightSlider.Applied) -> None:
        weights = SetWeights(event.weights)
        if not event.confirms and event.weights:
            self._ask(weights)
        elif not event.confirms:
            self.query_one(Notice).tell(_("No weight was changed: type one first."), good=False)
        elif event.weights and any(act.act is Act.CONFIRM for act in (self.data.acts if self.data else ())):
            self._ask(Confirm(), first=weights)
        elif event.weights:
            self.query_one(Notice).tell(_("There is nothing to confirm now: ⏎ applies the weights."), good=False)
        else:
            self.action_confirm()

    def on_weight_slider_closed(self) -> None:
        self._close_slider()

    def _close_slider(self) -> None:
        slider, table = self.query_one(WeightSlider), self.query_one(HostTable)
        had_focus = slider.has_focus
        slider.reset()
        slider.display, table.display = False, True
        self._show_next()
        if had_focus:
            table.focus()

    def _slider_hosts(self) -> tuple[HostRunView, ...]:
        """Those of the gate that waits or is selected, if weights are moved there; else those the engine would move."""
        if self.data is None:
            return ()
        gates = [node for node in self.data.nodes if node.sliders]
        selected = self.query_one(FlowView).selected
        gate = next((n for n in gates if n.state.halts), None) or next((n for n in gates if n.key == selected), None)
        moved = next((act.hosts for act in self.data.acts if act.act is Act.SET_WEIGHTS and act.allowed), ())
        names = gate.hosts if gate else moved
        return tuple(host for host in self.data.hosts if host.name in names)

    def _show_slider_hosts(self) -> None:
        slider = self.query_one(WeightSlider)
        if slider.display and self.data is not None:
            hosts = self._slider_hosts()
            slider.show(hosts, self.data.hosts)
            if not hosts:
                self._close_slider()

    # ---- what stands in the panes

    def _hosts(self) -> tuple[HostRunView, ...]:
        """The hosts of the selected node; of a node without any, all."""
        if self.data is None:
            return ()
        node = next((n for n in self.data.nodes if n.key == self.query_one(FlowView).selected), None)
        if node is None or not node.hosts:
            return self.data.hosts
        by_name = {host.name: host for host in self.data.hosts}
        return tuple(by_name[name] for name in node.hosts if name in by_name)

    def _show_hosts(self, now: float) -> None:
        hosts = self._hosts()
        table = self.query_one(HostTable)
        if self.data is not None:
            known = self.data.state is not OrderState.INITIALISING
            table.say_instead(N_("No host is touched here.") if known else N_("loading…"))
        table.show(hosts, now)
        failed = next((host.name for host in hosts if host.state is RunState.FAILED), "")
        if self._follows and failed:
            table.move_to(failed)
        self._show_host()

    def _show_host(self) -> None:
        if self.data is None:
            return
        name = self.query_one(HostTable).chosen_key
        host = next((host for host in self.data.hosts if host.name == name), None)
        if host is not None:
            self._show_logs(host)
        self.query_one(Problems).show(_problems(self.data, host))
        self.set_class(_before_start(self.data), "-problems")
        self.query_one(HostPane).fit()

    def _show_logs(self, host: HostRunView) -> None:
        """The present attempt at once; those before it are asked of the store, once per attempt."""
        present = _present_attempt(host)
        asked, earlier = self._earlier
        if asked == (host.name, host.direction, host.attempt):
            self.query_one(LogPane).show((*earlier, present))
            return
        self.query_one(LogPane).show((present,))
        if host.attempt > 1 or host.direction is not Direction.FORWARD:
            in_worker(self, self._look_up_earlier, host, group="attempts", exclusive=True)

    async def _look_up_earlier(self, host: HostRunView) -> None:
        try:
            found = await ask(self, lambda api: api.attempts(*self.cockpit.here(), self.order_id, host=host.name))
        except ProblemError:
            # the watch says that the store can't be read; the next change asks again
            return
        others = tuple(attempt for attempt in found if attempt.log_path != host.log_path)
        self._earlier = (host.name, host.direction, host.attempt), others
        self._show_host()


def _present_attempt(host: HostRunView) -> AttemptView:
    return AttemptView(
        host=host.name,
        node=host.node,
        direction=host.direction,
        number=host.attempt,
        state=host.state,
        problem=host.problem,
        started_at=host.started_at,
        ended_at=host.ended_at,
        log_path=host.log_path,
    )


def _active_node(nodes: Sequence[NodeView]) -> NodeView | None:
    """Where the release is: a node that halts it, else one that runs, else the last that ended."""
    for wanted in (NodeState.HALTED, NodeState.WAITING, NodeState.RUNNING):
        for node in nodes:
            if node.state is wanted:
                return node
    return next((node for node in reversed(nodes) if node.state.complete), None)


def _troubles(order: OrderView) -> list[tuple[str, str]]:
    """(node, host) of everything that failed or waits, in the order of the flowchart."""
    states = {host.name: host.state for host in order.hosts}
    places = []
    for node in order.nodes:
        failed = [host for host in node.hosts if node.kind.runs_hosts and states.get(host) is RunState.FAILED]
        places += [(node.key, host) for host in failed]
        if not failed and node.state.halts:
            places.append((node.key, node.hosts[0] if node.hosts else ""))
    return places


def _before_start(order: OrderView) -> bool:
    """The check found something, and nothing has been started: what it warned of is history later on."""
    return bool(order.problems) and order.state in (OrderState.INITIALISING, OrderState.INIT_FAILED, OrderState.READY)


def _problems(order: OrderView, host: HostRunView | None) -> list[tuple[str, Problem]]:
    """What stands in the way: the check's list, the order's own problem, else that of the host under the cursor."""
    if _before_start(order):
        return list(order.problems)
    found: list[tuple[str, Problem]] = []
    if host is not None and host.problem is not None:
        found.append((host.name, host.problem))
    if host is not None:
        found += [(host.name, weight.note) for weight in host.weights if weight.note is not None]
    if order.problem is not None and all(order.problem != problem for _name, problem in found):
        found.append(("", order.problem))
    return found
