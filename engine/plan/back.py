"""The way back from the middle of an order: rolling back the hosts it touched, or cancelling it.

Both go in groups that keep the capacity floor: hosts that take no traffic now, or are not cut, go first and together (it costs
nothing), the others in groups no larger than what the balancer can spare.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.domain.fleet import MountWeight, ServerGroup
from engine.domain.health import answers
from engine.domain.orders import HostPlan, Plan, PlanNode
from engine.domain.progress import OrderProgress, RunProgress
from engine.domain.states import RELEASE_STEPS, Direction, NodeKind, StepName
from engine.plan.capacity import serving_hosts

GIVE_BACK: tuple[StepName, ...] = (StepName.CHECK_HEALTH, StepName.RESTORE_TRAFFIC)


def plan_rollback(progress: OrderProgress, version: str | None = None) -> Plan:
    """Return every host this order has started on to `version`, or to the version it ran. A host whose version was not
    touched only has its health checked and its traffic given back. Needs `progress.plan`."""
    hosts = {}
    for run in started_runs(progress):
        plan = _forward(progress).hosts[run.host]
        steps = RELEASE_STEPS if run.touched else GIVE_BACK
        to_version = (version or plan.from_version) if run.touched else plan.from_version
        now_runs = plan.to_version if run.touched else plan.from_version
        hosts[run.host] = HostPlan(run.host, now_runs, to_version, steps, plan.recorded, plan.recorded)
    return _back_plan(progress, hosts)


def plan_cancel(progress: OrderProgress) -> Plan:
    """Give the recorded weights back to the hosts this order has moved, where their health allows; change no version."""
    hosts = {}
    moved = {line.mount.host for line in progress.weights if line.owned}
    for run in started_runs(progress):
        if run.host in moved:
            plan = _forward(progress).hosts[run.host]
            version = plan.to_version if run.touched else plan.from_version
            hosts[run.host] = HostPlan(run.host, version, version, GIVE_BACK, plan.recorded, plan.recorded)
    return _back_plan(progress, hosts)


def _forward(progress: OrderProgress) -> Plan:
    if progress.plan is None:
        raise ValueError(f"order {progress.id} has no plan to go back from")
    return progress.plan


def started_runs(progress: OrderProgress) -> list[RunProgress]:
    """Runs of the forward direction that have begun, in plan order."""
    plan = _forward(progress)
    started = {
        host: run for (direction, host), run in progress.runs.items() if direction is Direction.FORWARD and run.begun
    }
    return [started[host] for node in plan.nodes if node.kind.runs_hosts for host in node.hosts if host in started]


def _back_plan(progress: OrderProgress, hosts: Mapping[str, HostPlan]) -> Plan:
    forward = _forward(progress)
    now = [MountWeight(line.mount, line.believed) for line in progress.weights]
    down = frozenset(line.mount for line in progress.weights if not answers(line.health))
    serving = serving_hosts(now, down)
    idle = tuple(
        name
        for name, plan in hosts.items()
        if StepName.CUT_TRAFFIC not in plan.steps or not any(name in group for group in serving.values())
    )
    busy = [name for name in hosts if name not in idle]
    # The idle ones that took traffic before serve again before the next group leaves.
    returning = _returning(progress, idle)
    floors = {at: forward.floors.get(str(at), forward.floor) for at in serving}
    spare = min((len(group | returning[at]) - floors[at] for at, group in serving.items()), default=len(busy))
    size = max(1, spare)
    groups = ([idle] if idle else []) + [tuple(busy[at : at + size]) for at in range(0, len(busy), size)]
    nodes: list[PlanNode] = []
    for number, members in enumerate(groups, 1):
        needs = (nodes[-1].key,) if nodes else ()
        nodes.append(PlanNode(f"back-{number}", NodeKind.GROUP, needs, members, number))
    nodes.append(PlanNode("back-finish", NodeKind.FINISH, (nodes[-1].key,) if nodes else ()))
    in_service = min((len(group) for group in serving.values()), default=0)
    during = [len((at_rest | returning[at]) - set(g)) for at, at_rest in serving.items() for g in groups if g != idle]
    lowest = min([in_service, *during])
    return Plan(
        direction=Direction.BACK,
        nodes=tuple(nodes),
        hosts=hosts,
        fleet_hash=forward.fleet_hash,
        floor=forward.floor,
        in_service=in_service,
        lowest_in_service=lowest,
        floors=forward.floors,
    )


def _returning(progress: OrderProgress, idle: tuple[str, ...]) -> Mapping[ServerGroup, frozenset[str]]:
    """Per server group, those of the idle hosts that get a weight back."""
    recorded = [MountWeight(line.mount, line.recorded) for line in progress.weights]
    return {group: hosts.intersection(idle) for group, hosts in serving_hosts(recorded).items()}
