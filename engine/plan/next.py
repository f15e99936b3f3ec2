"""What is next for an order: the one decision the engine makes, as a pure function of the order's rows.

Level-triggered: it may be asked at any time and gives the same answer for the same rows; nothing is remembered between calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from engine.domain.orders import Plan, PlanNode
from engine.domain.progress import OrderProgress, RunProgress
from engine.domain.states import Direction, NodeKind, NodeState, OrderState, RunState
from engine.plan.in_service import floor_of, server_groups, serving
from engine.plan.kept import leaves_again

MOVING = (OrderState.RUNNING, OrderState.WAITING, OrderState.HALTED, OrderState.CANCELLING, OrderState.ROLLING_BACK)


@dataclass(frozen=True, slots=True)
class Decision:
    """`order` is the state the order should have, `nodes` those whose state changes, `start` the runs to be started now.
    `held_by_floor`: hosts are due, but none may leave the balancer and none is running that could come back. `pauses_before`: the
    group whose turn it is, and before which the order pauses now."""

    order: OrderState
    nodes: Mapping[str, NodeState] = field(default_factory=dict)
    start: tuple[RunProgress, ...] = ()
    held_by_floor: bool = False
    pauses_before: str = ""


def decide(progress: OrderProgress) -> Decision:
    """What follows from the rows as they are. An order that no engine should move is answered with its own state."""
    plan = progress.current_plan
    if plan is None or progress.state not in MOVING:
        return Decision(progress.state)
    wanted = _node_states(progress, plan)
    group = next(iter(groups_to_pause_before(progress, plan, wanted)), "")
    if group and not progress.paused:
        return replace(decide(replace(progress, paused=True)), pauses_before=group)
    changed = {key: state for key, state in wanted.items() if state is not node_state(progress, plan, key)}
    start = _to_start(progress, plan, wanted)
    due = any(node.kind.runs_hosts and wanted[node.key] is NodeState.RUNNING for node in plan.nodes)
    held = due and not start and not progress.paused and not running(progress)
    state = OrderState.HALTED if held else _order_state(progress, plan, wanted)
    return Decision(state, changed, start, held)


def groups_to_pause_before(progress: OrderProgress, plan: Plan, states: Mapping[str, NodeState]) -> list[str]:
    """Of the groups before which the order pauses, those whose turn it is and of which nothing has begun."""
    if progress.state is OrderState.CANCELLING:
        return []
    chosen = [node for node in plan.nodes if node.key in progress.pauses_before]
    due = [node for node in chosen if all(states[need] is NodeState.SUCCEEDED for need in node.needs)]
    return [node.key for node in due if node_state(progress, plan, node.key) is NodeState.PENDING]


def turning_back(progress: OrderProgress) -> bool:
    """A cancel or rollback was accepted and the way back is not planned yet: first everything that runs is stopped."""
    back = (OrderState.CANCELLING, OrderState.ROLLING_BACK)
    return progress.state in back and progress.direction is Direction.FORWARD


def node_state(progress: OrderProgress, plan: Plan, key: str) -> NodeState:
    row = progress.nodes.get((plan.direction, key))
    return row.state if row else NodeState.PENDING


def runs_of(progress: OrderProgress, plan: Plan, node: PlanNode) -> list[RunProgress]:
    if not node.runs:
        return []
    rows = (progress.runs.get((plan.direction, node.key, run.host)) for run in node.runs)
    return [row for row in rows if row is not None]


def _node_states(progress: OrderProgress, plan: Plan) -> dict[str, NodeState]:
    states: dict[str, NodeState] = {}
    for node in plan.nodes:
        ready = all(states[need] is NodeState.SUCCEEDED for need in node.needs)
        states[node.key] = _node_state(progress, plan, node) if ready else node_state(progress, plan, node.key)
    return states


def _node_state(progress: OrderProgress, plan: Plan, node: PlanNode) -> NodeState:
    now = node_state(progress, plan, node.key)
    if node.kind is NodeKind.INITIALISE:
        return NodeState.SUCCEEDED  # nothing moves before the start, and nothing starts before it succeeded
    if node.kind is NodeKind.GATE:
        return now if now.complete else NodeState.WAITING
    if node.kind is NodeKind.FINISH:
        return _finish_state(progress, plan)
    return _group_state(progress, plan, node)


def _finish_state(progress: OrderProgress, plan: Plan) -> NodeState:
    """A release that left a host or a weight behind does not end by itself: it would stay at zero with nobody to own it."""
    if progress.state is OrderState.CANCELLING:
        return NodeState.SUCCEEDED
    runs = (run for node in plan.nodes for run in runs_of(progress, plan, node))
    failed = any(run.state is RunState.FAILED for run in runs)
    return NodeState.HALTED if failed or weights_left_at_zero(progress) else NodeState.SUCCEEDED


def weights_left_at_zero(progress: OrderProgress) -> tuple[str, ...]:
    """Hosts whose weight is 0 although they took traffic before the order, or before the one that left them there."""
    giving = {run.host for run in progress.plan.run_of.values() if run.restores_traffic} if progress.plan else set()
    decided = left_out(progress)
    left = (
        line.mount.host
        for line in progress.weights
        if line.mount.host not in decided
        and line.believed == 0 < line.due
        and (line.owned or (line.asked is None and line.mount.host in giving))
    )
    return tuple(dict.fromkeys(left))


def left_out(progress: OrderProgress) -> frozenset[str]:
    """Hosts that have left the order: whether they get traffic was decided then, by their health."""
    return frozenset(run.host for run in progress.current_runs if run.state is RunState.SKIPPED)


def running(progress: OrderProgress) -> list[RunProgress]:
    return [run for run in progress.runs.values() if run.state is RunState.RUNNING]


def _group_state(progress: OrderProgress, plan: Plan, node: PlanNode) -> NodeState:
    runs = runs_of(progress, plan, node)
    if any(run.state is RunState.RUNNING for run in runs):
        return NodeState.RUNNING
    if _over_budget(progress, runs) and not any(_tried_again(run) for run in runs):
        return NodeState.HALTED
    if all(run.state.complete for run in runs):
        return NodeState.SUCCEEDED
    started = any(run.begun for run in runs)
    return NodeState.RUNNING if started or not progress.paused else NodeState.PENDING


def _over_budget(progress: OrderProgress, runs: list[RunProgress]) -> bool:
    """A cancel goes past hosts that do not pass their health check: they stay at weight 0 and are shown."""
    if progress.state is OrderState.CANCELLING:
        return False
    return sum(run.state is RunState.FAILED for run in runs) > progress.max_failures


def _tried_again(run: RunProgress) -> bool:
    """Somebody has asked for this host: it begins even while others of its group have failed and hold back those behind them."""
    return run.state is RunState.PENDING and run.attempt > 1


def _to_start(progress: OrderProgress, plan: Plan, wanted: Mapping[str, NodeState]) -> tuple[RunProgress, ...]:
    if progress.paused:
        return ()
    free = progress.parallelism - len(running(progress))
    start: list[RunProgress] = []
    for node in plan.nodes:
        if not node.kind.runs_hosts or wanted[node.key] is not NodeState.RUNNING:
            continue
        if any(wanted[need] is not NodeState.SUCCEEDED for need in node.needs):
            continue  # a host of an earlier group is tried again: groups run one after another
        runs = runs_of(progress, plan, node)
        over = _over_budget(progress, runs)
        due = [run for run in runs if (_tried_again(run) if over else run.state is RunState.PENDING)]
        # Those that were held in the middle come back first, then those that serve nobody: nothing is lost while they are out.
        in_use = _in_use(progress)
        waiting = sorted(due, key=lambda run: (not run.held, run.host in in_use))
        start += may_leave(progress, waiting, besides=start)[: max(0, free - len(start))]
    return tuple(start)


def _in_use(progress: OrderProgress) -> set[str]:
    """Hosts that take traffic and answer; hosts of no balancer are not among them."""
    return {line.mount.host for line in progress.weights if line.serves}


def may_leave(
    progress: OrderProgress, runs: Sequence[RunProgress], besides: Sequence[RunProgress] = ()
) -> list[RunProgress]:
    """Those of the runs that may begin now without the balancer going below its floor, in their order. Hosts that are running,
    and those that begin `besides`, count as gone already: their cut may not be written down yet. A host that is not cut stays."""
    if progress.spec.override_reason:
        return list(runs)
    gone = {run.host for run in [*running(progress), *besides] if progress.host_plan(run).leaves}
    staying = {group: serving(lines) - gone for group, lines in server_groups(progress).items()}
    start: list[RunProgress] = []
    for run in runs:
        left = [group for group, there in staying.items() if run.host in there and leaves(progress, run)]
        if all(len(staying[group]) > floor_of(progress, group) for group in left):
            start.append(run)
            for group in left:
                staying[group].discard(run.host)
    return start


def leaves(progress: OrderProgress, run: RunProgress) -> bool:
    """Whether what the run has to do takes its host out of the balancer; giving a weight back does not."""
    return leaves_again(progress.host_plan(run), run)


def _order_state(progress: OrderProgress, plan: Plan, wanted: Mapping[str, NodeState]) -> OrderState:
    states = wanted.values()
    if all(state is NodeState.SUCCEEDED for state in states):
        return _end_state(progress)
    at_work = bool(running(progress))
    if not at_work and any(state is NodeState.HALTED for state in states):
        return OrderState.HALTED
    if not at_work and progress.paused:
        return OrderState.HALTED
    if progress.state is OrderState.CANCELLING:
        return OrderState.CANCELLING
    if plan.direction is Direction.BACK:
        return OrderState.ROLLING_BACK
    if not at_work and any(state is NodeState.WAITING for state in states):
        return OrderState.WAITING
    return OrderState.RUNNING


def _end_state(progress: OrderProgress) -> OrderState:
    if progress.state is OrderState.CANCELLING:
        return OrderState.CANCELLED
    if progress.direction is Direction.BACK:
        return OrderState.ROLLED_BACK
    return OrderState.SUCCEEDED
