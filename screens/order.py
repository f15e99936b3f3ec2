"""The cockpit: one order, its flowchart, the hosts of the selected node, the log of the selected host, and what is next.

The screen decides nothing: every key that acts shows its consequence first (`acting.Acting`), and what can be done, what
follows and what stands in the way all come from the engine's view.
"""

from __future__ import annotations

from pathlib import Path
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
    Remedy,
    Resume,
    Retry,
    RollBack,
    SetWeights,
)
from engine.domain.problem import ProblemError
from engine.domain.states import Act, NodeState, OrderState, RunState
from engine.views.orders import HostRunView, OrderView
from screens import words
from screens.acting import Acting
from screens.asking import ask, in_worker
from screens.attention import Attention, title_of
from screens.clone import CloneScreen
from screens.host_filter import HostFilter, next_filter
from screens.order_acts import ActingScreen
from screens.order_panes import Panes
from screens.order_places import active_node, before_start, hosts_at, in_the_way, troubles
from screens.order_slider import SliderAtGate
from screens.report_files import save_report
from screens.translate import N_, _
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


class OrderScreen(ActingScreen):
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012  # textual declares it so
    VERTICAL_BREAKPOINTS = [(0, "-low"), (16, "-high")]  # noqa: RUF012  # textual declares it so
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "confirm", N_("start, confirm"), show=False),
        Binding("enter", "expected", N_("do what is expected"), show=False),
        Binding("g", "weights", N_("gray weights"), show=False),
        Binding("p", "pause", N_("pause, resume"), show=False),
        Binding("t", "retry", N_("retry"), show=False),
        Binding("T", "retry_host", N_("retry this host only"), show=False),
        Binding("r", "remedy", N_("do what the failure's card offers"), show=False),
        Binding("m", "remedy_of_host", N_("the same on this host only"), show=False),
        Binding("i", "initialise", N_("initialise again"), show=False),
        Binding("x", "cancel", N_("cancel"), show=False),
        Binding("R", "roll_back", N_("roll back"), show=False),
        Binding("l", "log", N_("log")),
        Binding("L", "group_log", N_("log of the group, or of the host"), show=False),
        Binding("h", "history", N_("history")),
        Binding("slash", "search_log", N_("search"), key_display="/"),
        Binding("W", "save_report", N_("save the report"), show=False),
        Binding("C", "clone", N_("this order once more"), show=False),
        Binding("n", "next_trouble", N_("next")),
        Binding("f", "filter_hosts", N_("only failed, running, waiting, done"), show=False),
        Binding("escape,minus", "back", N_("back"), key_display="esc"),
    ]

    def __init__(self, order_id: int) -> None:
        super().__init__()
        self.order_id = order_id
        self._acting = Acting(self, order_id, self._accepted, self._created)
        self._follows = True  # the cursor goes along with the release until the operator moves it
        self._panes = Panes(self, order_id)
        self._slider = SliderAtGate(self, self.ask_for)
        self._attention = Attention()

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
        self._panes.to_the_hosts()

    def on_unmount(self) -> None:
        self.cockpit.tell_terminal("")
        self._panes.of_group.remove()

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
            active = active_node([node for node in data.nodes if node.direction is data.direction])
            if active is not None:
                flow.select(active.key)
        self.query_one(OrderHead).show(data, now)
        self.query_one(KeyBar).redraw()
        self._show_hosts(now)
        self._slider.show(data)
        self._panes.refresh_history()
        self._panes.of_group.show(data)
        self.cockpit.tell_terminal(title_of(data), rings=self._attention.rings(data))
        self._slider.offer(follows=self._follows)

    def tick(self) -> None:
        self._slider.offer(follows=self._follows)
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
        """Who did what."""
        self._panes.toggle_history()

    def action_log(self) -> None:
        self._panes.toggle_log()

    def action_group_log(self) -> None:
        """The lines of all hosts of the selected node in one; the same key shows one host's again."""
        node = self.query_one(FlowView).selected
        if self.data is not None and not self._panes.toggle_group_log(self.data, node):
            self.query_one(Notice).tell(_("This node has no hosts: choose a group first."), good=False)
        self._show_host()

    def action_search_log(self) -> None:
        self._panes.search_log()

    def on_log_pane_said(self, event: LogPane.Said) -> None:
        self.query_one(Notice).tell(event.sentence, good=event.good)

    def action_back(self) -> None:
        if not self._panes.left_by_back():
            self.app.pop_screen()

    def action_save_report(self) -> None:
        """Markdown and a page for a browser, in the home folder."""
        in_worker(self, self._save_report, group="report", exclusive=True)

    async def _save_report(self) -> None:
        here, now, notice = self.cockpit.here(), self.cockpit.now(), self.query_one(Notice)
        try:
            text, page = await ask(self, lambda api: save_report(api, here, self.order_id, Path.home(), now=now))
        except ProblemError as error:
            notice.refuse(error.problem)
        else:
            notice.tell(_("Saved as {path} and {page}.").format(path=text, page=page.name))

    def action_clone(self) -> None:
        """What it would be now is shown first; the new order is shown then, and waits for its start."""
        self.app.push_screen(CloneScreen(self.order_id), self._cloned)

    def _cloned(self, order_id: int | None) -> None:
        if order_id is not None:
            self._created(order_id)

    def action_filter_hosts(self) -> None:
        """The hosts of one kind only: the next kind of which there is any at this node, and round again."""
        table, hosts = self.query_one(HostTable), self._hosts()
        table.filter = next_filter(table.filter, hosts)
        self._show_hosts(self.cockpit.now())

    def action_next_trouble(self) -> None:
        """The next host that failed or node that waits, behind the cursor, and round again."""
        places = troubles(self.data) if self.data else []
        if not places:
            self.query_one(Notice).tell(_("Nothing waits and nothing failed."))
            return
        table = self.query_one(HostTable)
        here = (self.query_one(FlowView).selected, table.chosen_key)
        at = places.index(here) + 1 if here in places else 0
        node, host = places[at % len(places)]
        self._follows = False
        table.filter = HostFilter.ALL
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
            self.ask_for(ACTS[asked[0].act].type())
        else:
            self.query_one(Notice).tell(_("There is nothing to confirm now."), good=False)

    def action_expected(self) -> None:
        """What the order expects of a person now: the first act of the next line."""
        expected = self.data.acts[0].act if self.data and self.data.acts else None
        if expected is Act.SET_WEIGHTS:
            self.action_weights()
        elif expected in _EXPECTED:
            self.ask_for(ACTS[expected].type())
        else:
            self.query_one(Notice).tell(_("Nothing is expected of you now."), good=False)

    def action_pause(self) -> None:
        self.ask_for(Resume() if self.data and self.data.paused else Pause())

    def action_retry(self) -> None:
        failed_check = self.data is not None and self.data.state is OrderState.INIT_FAILED
        self.ask_for(Initialise() if failed_check else Retry())

    def action_retry_host(self) -> None:
        self.ask_for(Retry((self.query_one(HostTable).chosen_key,)))

    def action_remedy(self) -> None:
        self.ask_for(Remedy())

    def action_remedy_of_host(self) -> None:
        self.ask_for(Remedy((self.query_one(HostTable).chosen_key,)))

    def action_initialise(self) -> None:
        self.ask_for(Initialise())

    def action_cancel(self) -> None:
        self.ask_for(Cancel())

    def action_roll_back(self) -> None:
        self.ask_for(RollBack())

    def ask_for(self, act: AnyAct, *, first: SetWeights | None = None) -> None:
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
            self._slider.close()
        self._follows = True
        self.reload()

    def _created(self, order_id: int) -> None:
        """What was asked for is done by another order: that is shown, and `back` comes here again."""
        self.app.push_screen(OrderScreen(order_id))

    # ---- the slider

    def action_weights(self) -> None:
        self._slider.open()

    def on_weight_slider_applied(self, event: WeightSlider.Applied) -> None:
        if self._slider.applied(event):
            self.action_confirm()

    def on_weight_slider_closed(self) -> None:
        self._slider.close()

    # ---- what stands in the panes

    def _hosts(self) -> tuple[HostRunView, ...]:
        return hosts_at(self.data, self.query_one(FlowView).selected) if self.data else ()

    def _show_hosts(self, now: float) -> None:
        hosts = self._hosts()
        table = self.query_one(HostTable)
        if self.data is not None:
            known = self.data.state is not OrderState.INITIALISING
            filtered = table.filter is not HostFilter.ALL
            none = N_("No host of this kind here now: f shows others.") if filtered else N_("No host is touched here.")
            table.say_instead(none if known else N_("loading…"))
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
            self._panes.show_log_of(host)
        self.query_one(Problems).show(in_the_way(self.data, host), self.data.remedies)
        self.set_class(before_start(self.data), "-problems")
        self.query_one(HostPane).fit()
