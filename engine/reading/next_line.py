"""The one sentence that says what an order does next by itself, or what it waits for and since when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.domain.message import Message, message
from engine.domain.orders import PlanNode
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress, RunProgress
from engine.domain.states import Direction, NodeKind, NodeState, OrderState, RunState
from engine.domain.time_of_day import at
from engine.plan.next import node_state, runs_of
from engine.plan.what_if_words import named
from engine.plan.which_hosts import failed_hosts, waiting_gate, without_traffic

_ENDED = {
    OrderState.SUCCEEDED: message("succeeded: nothing is left to do"),
    OrderState.CANCELLED: message("cancelled: this order does nothing more"),
    OrderState.ROLLED_BACK: message("rolled back: this order does nothing more"),
    OrderState.FAILED: message("failed: this order does nothing more"),
}


def next_line(
    progress: OrderProgress, *, engine_alive: bool, changed_at: float, left_alone: Problem | None = None
) -> Message:
    """`left_alone`: why this version does not touch it. `changed_at`: when the order's row changed last, the time its state is
    counted from where nothing nearer is known."""
    state = progress.state
    if state in _ENDED:
        return _ended(progress)
    if left_alone is not None:
        return left_alone.what
    if not state.halts and not engine_alive:
        return message("nothing happens: no engine is running; start one with `cockpit engine`")
    if progress.outages:
        return progress.outages[0].sentence
    if progress.at_work:
        return progress.at_work[0].waits_for
    if state in (OrderState.RUNNING, OrderState.ROLLING_BACK, OrderState.CANCELLING):
        return _running(progress)
    since = at(_since(progress, changed_at))
    if state is OrderState.WAITING:
        return _waiting(progress, since)
    if state is OrderState.HALTED:
        return _halted(progress, since)
    if state is OrderState.INITIALISING:
        return message("checking hosts, package and balancer since {since}; then it waits for the start", since=since)
    if state is OrderState.INIT_FAILED:
        count = len(progress.problems)
        return message(
            "waiting since {since}: {count} problems found; solve them and initialise again", since=since, count=count
        )
    return message("checked; waiting since {since} for a person to start it", since=since)


def _ended(progress: OrderProgress) -> Message:
    """With those that were left out: who reads it later must not take them for done."""
    out = _hosts(run for run in progress.current_runs if run.state is RunState.SKIPPED)
    if not out:
        return _ENDED[progress.state]
    return message("{end}; skipped or excluded: {hosts}", end=_ENDED[progress.state], hosts=named(out))


def _since(progress: OrderProgress, changed_at: float) -> float:
    gate = waiting_gate(progress)
    if progress.state is OrderState.WAITING and gate is not None:
        started = progress.nodes[progress.direction, gate.key].started_at
        return changed_at if started is None else started
    if progress.state is OrderState.HALTED:
        ends = [run.ended_at for run in progress.runs.values() if run.state is RunState.FAILED and run.ended_at]
        return max(ends, default=changed_at)
    return changed_at


def _waiting(progress: OrderProgress, since: str) -> Message:
    gate = waiting_gate(progress)
    if gate is None:
        return message("waiting since {since} for a person", since=since)
    idle = without_traffic(progress, gate) if gate.sliders else ()
    if idle:
        return message(
            "waiting since {since} for weights: {hosts} take no traffic yet; then {gate}",
            since=since,
            hosts=named(idle),
            gate=gate.label,
        )
    return message("waiting since {since} for a person: {gate}", since=since, gate=gate.label)


def _halted(progress: OrderProgress, since: str) -> Message:
    failed = failed_hosts(progress)
    if failed and (progress.direction is Direction.BACK or not _has_way_back(progress)):
        return message("halted since {since}: {hosts} failed; retry or cancel", since=since, hosts=named(failed))
    if failed:
        return message(
            "halted since {since}: {hosts} failed; retry, roll back or cancel", since=since, hosts=named(failed)
        )
    held = _hosts(run for run in progress.runs.values() if run.held)
    if progress.paused and held:
        return message(
            "paused since {since}: {hosts} stand between two steps; nothing goes on until it is resumed",
            since=since,
            hosts=named(held),
        )
    if progress.paused:
        return message("paused since {since}: nothing starts until it is resumed", since=since)
    return message("halted since {since}: a person must decide how it goes on", since=since)


def _has_way_back(progress: OrderProgress) -> bool:
    """A restart has none: nothing that it did could be undone."""
    return progress.plan is None or any(run.undo for run in progress.plan.run_of.values())


def _running(progress: OrderProgress) -> Message:
    running = _hosts(run for run in progress.runs.values() if run.state is RunState.RUNNING)
    if progress.state is OrderState.CANCELLING:
        if running:
            return message("cancelling: {hosts} finish, then weights are given back", hosts=named(running))
        return message("cancelling: weights are given back where health allows, then it ends")
    if progress.paused and running:
        return message(
            "paused: {hosts} stop before their next move on the balancer; nothing starts until it is resumed",
            hosts=named(running),
        )
    groups = _current(progress)
    if not groups:
        return message("the order ends by itself")
    return _then(progress, groups)


def _hosts(runs: Iterable[RunProgress]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(run.host for run in runs))


def _then(progress: OrderProgress, groups: Sequence[PlanNode]) -> Message:
    group, plan = groups[0], progress.current_plan
    assert plan is not None, "a group stands in a plan"
    runs = [run for node in groups for run in runs_of(progress, plan, node)]
    counts = {"node": group.label, "done": sum(run.state is RunState.SUCCEEDED for run in runs), "hosts": len(runs)}
    if len(groups) > 1:
        named_nodes = message("{node} and {count} more", node=group.label, count=len(groups) - 1)
        return message("{node} run ({done} of {hosts} hosts done)", **{**counts, "node": named_nodes})
    if progress.direction is Direction.BACK:
        return message("rolling back: {node} runs ({done} of {hosts} hosts done)", **counts)
    following = next((other for other in plan.nodes if group.key in other.needs), None)
    if following is not None and following.kind is NodeKind.GATE:
        return message("{node} runs ({done} of {hosts} hosts done), then waits for a confirmation", **counts)
    if following is not None and following.kind is NodeKind.GROUP:
        return message(
            "{node} runs ({done} of {hosts} hosts done), then {following} starts by itself",
            following=following.label,
            **counts,
        )
    return message("{node} runs ({done} of {hosts} hosts done), then the order ends", **counts)


def _current(progress: OrderProgress) -> tuple[PlanNode, ...]:
    """The groups that run, else the first one that is not complete."""
    plan = progress.current_plan
    if plan is None:
        return ()
    groups = [node for node in plan.nodes if node.kind.runs_hosts]
    running = tuple(node for node in groups if node_state(progress, plan, node.key) is NodeState.RUNNING)
    return running or tuple(node for node in groups if not node_state(progress, plan, node.key).complete)[:1]
