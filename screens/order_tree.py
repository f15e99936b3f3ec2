"""An order as a tree of lines: its nodes and, under those at work, their hosts. For a terminal without the screens."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from engine.domain.states import NodeState, RunState
from engine.views.orders import HostRunView, NodeView, OrderView
from screens import expected_words, words
from screens.filters import without_hostile_text
from screens.order_places import hosts_at
from screens.translate import _, ngettext, tr
from screens.words import AnyState, Tone

_STYLES = {
    Tone.OK: "green",
    Tone.RUN: "cyan",
    Tone.WAIT: "yellow",
    Tone.FAIL: "red",
    Tone.BACK: "magenta",
    Tone.IDLE: "dim",
}
_AT_WORK = (NodeState.RUNNING, NodeState.HALTED, NodeState.WAITING)
# lines of hosts under one node that stay however low the terminal is
LEAST_HOSTS = 2


def tree(order: OrderView, now: float, *, rows: int) -> list[Text]:
    """At most about `rows` lines: hosts give way, those that failed last."""
    nodes = [node for node in order.nodes if node.direction is order.direction]
    at_work = [node for node in nodes if node.state in _AT_WORK and node.kind.runs_hosts]
    room = max(LEAST_HOSTS, (rows - len(nodes) - 2) // max(1, len(at_work)))
    lines = [_head(order, now)]
    for number, node in enumerate(nodes):
        last = number == len(nodes) - 1
        lines.append(Text("└─ " if last else "├─ ", "dim").append_text(_node(node, now)))
        if node in at_work:
            lines += [
                Text("   " if last else "│  ", "dim").append_text(line) for line in _hosts(order, node, now, room)
            ]
    return lines


def _head(order: OrderView, now: float) -> Text:
    done = sum(host.state is RunState.SUCCEEDED for host in order.counted)
    number = _("order #{id}").format(id=order.id)
    text = Text(f"{number} {_clean(order.subject)} ", "bold")
    text.append(f"{_clean(words.order_words(order.kind, order.versions))}  ", "bold").append_text(_state(order.shown))
    text.append("  ").append(_("{done}/{all} hosts").format(done=done, all=len(order.counted)))
    until = order.ended_at if order.ended_at is not None else now
    text.append(f"  {words.elapsed(order.started_at, until)}", "dim")
    return text.append(f"  {expected_words.left(order.expected, now)}") if order.expected is not None else text


def _node(node: NodeView, now: float) -> Text:
    text = Text(f"{words.glyph(node.shown)} ", _STYLES[words.tone(node.shown)])
    text.append(_clean(words.node_word(node)), "bold" if node.state in _AT_WORK else "")
    if node.kind.runs_hosts:
        text.append(f"  {node.done}/{len(node.hosts)}")
    if node.failed:
        text.append("  ").append(_("{count} failed").format(count=node.failed), "red")
    if node.state in _AT_WORK:
        text.append(f"  {words.elapsed(node.started_at, now)}", "dim")
    return text


def _hosts(order: OrderView, node: NodeView, now: float, room: int) -> list[Text]:
    hosts = sorted(hosts_at(order, node.key), key=_urgency)
    shown = hosts if len(hosts) <= room else hosts[: max(1, room - 1)]
    lines = [_host(host, now) for host in shown]
    rest = len(hosts) - len(shown)
    more = ngettext("and {count} more", "and {count} more", rest).format(count=rest)
    return [*lines, Text(f"· {more}", "dim")] if rest else lines


def _urgency(host: HostRunView) -> int:
    order: Sequence[RunState] = (RunState.FAILED, RunState.RUNNING, RunState.PENDING)
    return order.index(host.state) if host.state in order else len(order)


def _host(host: HostRunView, now: float) -> Text:
    text = Text("· ", "dim").append(_clean(host.name)).append("  ").append_text(_state(host.shown))
    step = next((step for step in host.steps if step.name == host.step), None)
    if step is not None and host.state in (RunState.RUNNING, RunState.FAILED):
        text.append(f"  {_clean(words.step_word(step))}")
    if host.state is RunState.RUNNING:
        took = words.elapsed(host.step_started_at, now)
        if host.deadline_s is not None:
            took = _("{took} of {deadline}").format(took=took, deadline=words.elapsed(0, host.deadline_s))
        text.append(f" {took}", "dim")
    if host.problem is not None:
        text.append(f"  {_clean(tr(host.problem.what))}", "red")
    return text


def _state(state: AnyState) -> Text:
    return Text(f"{words.glyph(state)} {words.word(state)}", _STYLES[words.tone(state)])


def _clean(text: str) -> str:
    return without_hostile_text(text)
