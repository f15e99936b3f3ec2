"""Which hosts of an order an act would be about: those that failed, were begun with, were touched, may take a weight; and the gate
that waits. Pure; asked by what-if, by the engine before it obeys and by whoever shows an order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.domain.orders import Plan, PlanNode
from engine.domain.progress import OrderProgress, RunProgress
from engine.domain.states import HostState, NodeKind, NodeState, OrderState, RunState
from engine.plan.back import started_runs
from engine.plan.next import node_state

MOVING = (OrderState.RUNNING, OrderState.WAITING, OrderState.HALTED)


def healthy(progress: OrderProgress, host: str) -> bool:
    """Whether the host's last run of this order succeeded and left it serving, so that it may take traffic."""
    run = latest_run(progress, host)
    if run is None or run.state is not RunState.SUCCEEDED:
        return False
    return progress.host_plan(run).after.state is HostState.DEPLOYED


def latest_run(progress: OrderProgress, host: str) -> RunProgress | None:
    """The host's last run in the present direction that has begun, else its last one forward that has, else its first."""
    here = [run for run in progress.runs.values() if run.host == host]
    begun = [run for run in here if run.state is not RunState.PENDING or run.held]
    back = [run for run in begun if run.direction is progress.direction]
    return next(reversed(back or begun), next(iter(here), None))


def failed_hosts(progress: OrderProgress) -> tuple[str, ...]:
    """Hosts that failed in the present direction."""
    return hosts_in(progress, RunState.FAILED)


def failed_run(progress: OrderProgress, host: str) -> RunProgress | None:
    """The run of the host that failed in the present direction; `host` empty: of the first."""
    failed = (run for run in progress.current_runs if run.host == (host or run.host) and run.state is RunState.FAILED)
    return next(failed, None)


def excludable_runs(progress: OrderProgress, host: str) -> tuple[RunProgress, ...]:
    """What is left to do on the host, if nothing of it is at work or stands in the middle: it has not begun, or it failed."""
    runs = [run for run in progress.current_runs if run.host == host]
    if any(run.state is RunState.RUNNING or (run.state is RunState.PENDING and run.begun) for run in runs):
        return ()
    return tuple(run for run in runs if run.state in (RunState.PENDING, RunState.FAILED))


def started_hosts(progress: OrderProgress) -> tuple[str, ...]:
    """Hosts the order has begun with, those it would return in a rollback, in plan order."""
    return hosts_of_runs(started_runs(progress)) if progress.plan is not None else ()


def touched_hosts(progress: OrderProgress) -> tuple[str, ...]:
    """Hosts whose version the order may have changed, in plan order."""
    return (
        hosts_of_runs(run for run in started_runs(progress) if run.touched and not run.excluded)
        if progress.plan is not None
        else ()
    )


def may_be_touched(progress: OrderProgress) -> tuple[str, ...]:
    """Those touched, and those that run: what they have done by the time they are stopped is not known yet."""
    running = hosts_in(progress, RunState.RUNNING)
    return tuple(dict.fromkeys([*touched_hosts(progress), *running]))


def settable_hosts(progress: OrderProgress) -> tuple[str, ...]:
    """Hosts whose weight a person may set now: they passed their health check, and the order stands at a gate or is halted."""
    if progress.state not in MOVING:
        return ()
    gate = waiting_gate(progress)
    if gate is None and progress.state is not OrderState.HALTED:
        return ()
    mounted = dict.fromkeys(line.mount.host for line in progress.weights)
    candidates = gate.hosts if gate is not None else tuple(mounted)
    return tuple(host for host in candidates if host in mounted and healthy(progress, host))


def hosts_left_behind(progress: OrderProgress) -> tuple[str, ...]:
    """Hosts whose weight the order has moved and not given back."""
    return tuple(dict.fromkeys(line.mount.host for line in progress.weights if line.left_behind))


def waiting_gate(progress: OrderProgress, key: str = "") -> PlanNode | None:
    """The gate that waits for a confirmation; with `key` that one, if it waits."""
    plan = progress.current_plan
    if plan is None:
        return None
    for node in plan.nodes:
        if (
            node.kind is NodeKind.GATE
            and key in ("", node.key)
            and node_state(progress, plan, node.key) is NodeState.WAITING
        ):
            return node
    return None


def without_traffic(progress: OrderProgress, gate: PlanNode) -> tuple[str, ...]:
    """Hosts of the gate that took traffic before, passed their health check and take none now."""
    idle = {line.mount.host for line in progress.weights if line.due > 0 and line.believed == 0}
    return tuple(host for host in gate.hosts if host in idle and healthy(progress, host))


def in_doubt(progress: OrderProgress, gate: PlanNode) -> tuple[str, ...]:
    """Hosts of the gate whose weight was asked for and not seen on the balancer."""
    doubtful = {line.mount.host for line in progress.weights if line.owned and line.in_doubt}
    return tuple(host for host in gate.hosts if host in doubtful)


def pending_in_open_groups(progress: OrderProgress) -> tuple[RunProgress, ...]:
    """Runs that have not begun in groups whose turn it is: everything before them succeeded."""
    plan = progress.current_plan
    if plan is None:
        return ()
    done = {node.key for node in plan.nodes if node_state(progress, plan, node.key) is NodeState.SUCCEEDED}
    turn = {node.key for node in plan.nodes if node.key not in done and done.issuperset(node.needs)}
    return tuple(run for run in progress.current_runs if run.node in turn and run.state is RunState.PENDING)


def opened_by(progress: OrderProgress, plan: Plan, passed: set[str]) -> tuple[PlanNode, ...]:
    """The nodes that open when these are done: all that they need is done then."""
    done = {node.key for node in plan.nodes if node_state(progress, plan, node.key) is NodeState.SUCCEEDED} | passed
    return tuple(node for node in plan.nodes if passed.intersection(node.needs) and done.issuperset(node.needs))


def hosts_of(nodes: Sequence[PlanNode]) -> tuple[str, ...]:
    return tuple(host for node in nodes if node.kind.runs_hosts for host in node.hosts)


def all_hosts(progress: OrderProgress) -> tuple[str, ...]:
    return () if progress.plan is None else progress.plan.hosts


def hosts_in(progress: OrderProgress, state: RunState) -> tuple[str, ...]:
    return hosts_of_runs(run for run in progress.current_runs if run.state is state)


def hosts_of_runs(runs: Iterable[RunProgress]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(run.host for run in runs))
