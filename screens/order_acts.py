"""The acts on single hosts and groups and on the order as a whole that its screen offers by key and by `:` command.

Nothing is decided here: each key only says what is meant, and the consequence is shown before anything is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual.binding import Binding, BindingType

from engine.domain.acts import AnyAct, Exclude, HandOver, PauseBefore, Retry, SetLimits, SetWeights, Skip
from engine.domain.states import Act, RunState
from engine.views.orders import HostRunView, NodeView, OrderView
from screens import words
from screens.commands import Command
from screens.limits import LimitsScreen
from screens.translate import N_, _
from screens.watching import WatchingScreen
from screens.widgets.flow_view import FlowView
from screens.widgets.host_table import HostTable
from screens.widgets.notice import Notice

# what `:` says of an act, and what is run
_ABOUT: dict[Act, tuple[str, str]] = {
    Act.START: (N_("begin with the first group"), "confirm"),
    Act.CONFIRM: (N_("pass the gate that waits"), "confirm"),
    Act.SET_WEIGHTS: (N_("move traffic by hand"), "weights"),
    Act.PAUSE: (N_("no further host begins"), "pause"),
    Act.RESUME: (N_("go on after a pause"), "pause"),
    Act.RETRY: (N_("all hosts that failed"), "retry"),
    Act.SKIP: (N_("the failed step of this host, or the whole host"), "skip"),
    Act.EXCLUDE: (N_("take this host out of the order"), "exclude"),
    Act.SET_LIMITS: (N_("how many at once, how many may fail"), "limits"),
    Act.PAUSE_BEFORE: (N_("before this group begins, or not any more"), "pause_before"),
    Act.HAND_OVER: (N_("another operator is responsible"), "hand_over"),
    Act.INITIALISE: (N_("check everything again"), "initialise"),
    Act.CANCEL: (N_("end it without going on"), "cancel"),
    Act.ROLL_BACK: (N_("to the version before"), "roll_back"),
}


class ActingScreen(WatchingScreen[OrderView]):
    """What the order screen is made on: it shows the order, has a flowchart and a table of hosts, and asks with `ask_for`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "skip", N_("skip a step or this host"), show=False),
        Binding("e", "exclude", N_("exclude this host"), show=False),
        Binding("ctrl+t", "retry_group", N_("retry this group"), show=False),
        Binding("b", "limits", N_("hosts at once, failure budget"), show=False),
        Binding("P", "pause_before", N_("pause before this group"), show=False),
        Binding("H", "hand_over", N_("hand over"), show=False),
    ]

    def ask_for(self, act: AnyAct, *, first: SetWeights | None = None) -> None:
        """Show what it would do."""
        raise NotImplementedError

    def commands(self) -> list[Command]:
        """For `:`, whatever can be asked for in the order's present state or in another: the answer says which."""
        names = {act: words.act_word(act) for act in _ABOUT}
        found = [
            Command(f"{names[act]} [{words.act_key(act)}]", _(about), partial(self.run_action, f"screen.{action}"))
            for act, (about, action) in _ABOUT.items()
        ]
        retry = names[Act.RETRY]
        one, group = _("{retry}: this host").format(retry=retry), _("{retry}: this group").format(retry=retry)
        found.append(
            Command(f"{one} [T]", _("the host under the cursor"), partial(self.run_action, "screen.retry_host"))
        )
        found.append(Command(f"{group} [^T]", _("what failed in it"), partial(self.run_action, "screen.retry_group")))
        return found

    # ---- what is meant

    @property
    def chosen_host(self) -> HostRunView | None:
        """The one under the cursor."""
        name = self.query_one(HostTable).chosen_key
        return next((host for host in (self.data.hosts if self.data else ()) if host.name == name), None)

    @property
    def chosen_node(self) -> NodeView | None:
        key = self.query_one(FlowView).selected
        return next((node for node in (self.data.nodes if self.data else ()) if node.key == key), None)

    def _failed_host(self) -> HostRunView | None:
        """The one under the cursor, or where that has not failed the only one that has."""
        failed = [host for host in (self.data.hosts if self.data else ()) if host.state is RunState.FAILED]
        chosen = self.chosen_host
        return failed[0] if len(failed) == 1 and chosen not in failed else chosen

    # ---- the keys

    def action_skip(self) -> None:
        host = self._failed_host()
        if host is not None:
            self.ask_for(Skip(host.name, host.step or "" if host.state is RunState.FAILED else ""))

    def action_exclude(self) -> None:
        host = self.chosen_host
        if host is not None:
            self.ask_for(Exclude(host.name))

    def action_retry_group(self) -> None:
        failed = self._failed_of(self.chosen_node)
        if failed:
            self.ask_for(Retry(tuple(failed)))
        else:
            self.query_one(Notice).tell(_("No host of this group has failed."), good=False)

    def _failed_of(self, node: NodeView | None) -> Sequence[str]:
        if node is None or self.data is None or not node.kind.runs_hosts:
            return ()
        return [host.name for host in self.data.hosts if host.node == node.key and host.state is RunState.FAILED]

    def action_limits(self) -> None:
        if self.data is None:
            return

        def given(limits: SetLimits | None) -> None:
            if limits is not None:
                self.ask_for(limits)

        self.app.push_screen(LimitsScreen(self.data.parallelism, self.data.max_failures), given)

    def action_pause_before(self) -> None:
        node = self.chosen_node
        if node is None or not node.kind.runs_hosts:
            self.query_one(Notice).tell(_("Choose a group in the flowchart first: Tab leads there."), good=False)
        else:
            self.ask_for(PauseBefore(node.key, off=node.pauses))

    def action_hand_over(self) -> None:
        self.ask_for(HandOver())
