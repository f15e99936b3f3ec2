"""Where an order is, read off its view: the node at work, what waits or failed, what stands in the way. Pure; draws nothing."""

from __future__ import annotations

from collections.abc import Sequence

from engine.domain.problem import Problem
from engine.domain.states import Act, NodeState, OrderState, RunState
from engine.views.orders import AttemptView, HostRunView, NodeView, OrderView


def present_attempt(host: HostRunView) -> AttemptView:
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


def active_node(nodes: Sequence[NodeView]) -> NodeView | None:
    """Where the release is: a node that halts it, else one that runs, else the last that ended."""
    for wanted in (NodeState.HALTED, NodeState.WAITING, NodeState.RUNNING):
        for node in nodes:
            if node.state is wanted:
                return node
    return next((node for node in reversed(nodes) if node.state.complete), None)


def hosts_at(order: OrderView, key: str) -> tuple[HostRunView, ...]:
    """The hosts of that node; of a node without any, all."""
    node = next((node for node in order.nodes if node.key == key), None)
    if node is None or not node.hosts:
        return order.hosts
    by_name = {host.name: host for host in order.hosts}
    return tuple(by_name[name] for name in node.hosts if name in by_name)


def slider_hosts(order: OrderView, selected: str) -> tuple[HostRunView, ...]:
    """Those of the gate that waits or is selected, if weights are moved there; else those the engine would move."""
    gates = [node for node in order.nodes if node.sliders]
    gate = next((n for n in gates if n.state.halts), None) or next((n for n in gates if n.key == selected), None)
    moved = next((act.hosts for act in order.acts if act.act is Act.SET_WEIGHTS and act.allowed), ())
    names = gate.hosts if gate else moved
    return tuple(host for host in order.hosts if host.name in names)


def troubles(order: OrderView) -> list[tuple[str, str]]:
    """(node, host) of everything that failed or waits, in the order of the flowchart."""
    states = {host.name: host.state for host in order.hosts}
    places = []
    for node in order.nodes:
        failed = [host for host in node.hosts if node.kind.runs_hosts and states.get(host) is RunState.FAILED]
        places += [(node.key, host) for host in failed]
        if not failed and node.state.halts:
            places.append((node.key, node.hosts[0] if node.hosts else ""))
    return places


def before_start(order: OrderView) -> bool:
    """The check found something, and nothing has been started: what it warned of is history later on."""
    return bool(order.problems) and order.state in (OrderState.INITIALISING, OrderState.INIT_FAILED, OrderState.READY)


def in_the_way(order: OrderView, host: HostRunView | None) -> list[tuple[str, Problem]]:
    """The check's list, the order's own problem, else that of the host under the cursor; and why a remedy did not help."""
    did_not_help = [(each.host, each.last) for each in order.remedies if each.last is not None]
    if before_start(order):
        return [*order.problems, *did_not_help]
    found: list[tuple[str, Problem]] = []
    if host is not None and host.problem is not None:
        found.append((host.name, host.problem))
        found += [(name, problem) for name, problem in did_not_help if name == host.name]
    if host is not None:
        found += [(host.name, weight.note) for weight in host.weights if weight.note is not None]
    if order.problem is not None and all(order.problem != problem for _name, problem in found):
        found.append(("", order.problem))
    return found
