"""The way back from the middle of an order: undoing what it did to its hosts, or cancelling it.

Both go in groups that keep the capacity floor: hosts that take no traffic now, or are not cut, go first and together (it costs
nothing), the others in groups no larger than what the balancer can spare. What is done on a host stands in the plan forward.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter

from engine.domain.fleet import MountWeight, ServerGroup
from engine.domain.health import answers
from engine.domain.leaving import as_it_is
from engine.domain.message import Message, message
from engine.domain.orders import HostIs, HostPlan, OrderApp, Plan, PlanNode
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress, RunProgress
from engine.domain.states import Direction, HostState, NodeKind, RunState
from engine.plan.capacity import serving_hosts

Layer = Mapping[str, HostPlan]  # of each host one
# Of each app of an order: those that succeeded in its workspace and whose package is still there, newest first.
SucceededVersions = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Back:
    """A way back from the middle of an order: its plan, what forbids it, and what hosts may be returned to ("": each to what it was
    before)."""

    plan: Plan
    refusal: Problem | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WayBack:
    """How a kind's orders are undone. `undo` is given the version that was asked for, if one was, and those that succeeded here;
    `afterwards`: once the order has ended, an order of its own brings the apps back to an earlier version."""

    undo: Callable[[OrderProgress, str | None, SucceededVersions], Back]
    afterwards: bool = False


def can_go_back(progress: OrderProgress, way_back: WayBack | None) -> bool:
    return way_back is not None and (way_back.afterwards or not progress.state.complete)


def other_versions(progress: OrderProgress, succeeded: SucceededVersions) -> tuple[str, ...]:
    """What the app of an order may be brought to instead of what the order was to bring; newest first. Of several apps: nothing,
    no version would be that of each."""
    if len(progress.apps) != 1:
        return ()
    (app,) = progress.apps
    return tuple(version for version in succeeded.get(app.app, ()) if version != app.to_version)


def versions_to_go_back_to(ended: OrderProgress, succeeded: SucceededVersions) -> tuple[str, ...]:
    """What an order that has ended may be rolled back to. Of several apps: "", each to what it ran before, where each can."""
    if len(ended.apps) == 1:
        return other_versions(ended, succeeded)
    return ("",) if all(app.from_version in succeeded.get(app.app, ()) for app in ended.apps) else ()


def never_succeeded(back: Plan, hosts: Collection[str], succeeded: SucceededVersions) -> tuple[str, str] | None:
    """The first of these hosts that can't become again what it was: its app, and the version that can't be had."""
    wanted = ((run.app, run.after.version) for run in back.run_of.values() if run.host in hosts)
    return next(((app, version or "-") for app, version in wanted if version not in succeeded.get(app, ())), None)


def plan_rollback(progress: OrderProgress, version: str | None = None) -> Plan:
    """Undo what this order has begun on its hosts; with `version` those that are touched get that one. A run that did not touch
    its host is only given its traffic back. A host that stands in several nodes is undone from the last to the first, an app before
    those it needs. Needs `progress.plan`."""
    layers: list[dict[str, HostPlan]] = []
    for run in reversed(started_runs(progress)):
        plan = _whole(progress, run)
        touched = run.touched and not run.excluded
        steps = plan.undo if touched else plan.undo_untouched
        if not steps:
            continue
        now = _is_now(run, plan)
        then = plan.before if touched else now
        if touched:
            # steps that bring no version leave the one that runs
            brought = any("version" in step.sets for step in steps)
            then = replace(then, version=(version or then.version) if brought else now.version)
        _put(
            layers,
            replace(plan, steps=steps, before=now, after=then, restore_to=plan.recorded, undo=(), undo_untouched=()),
        )
    in_order = [_in_plan_order(progress, layer) for layer in layers]
    by_app = [_of_apps(layer, apps) for layer in in_order for apps in _dependents_first(progress.apps)]
    return _back_plan(progress, [layer for layer in by_app if layer], _way_back_label)


def _way_back_label(number: int) -> Message:
    return message("way back {number}", number=number)


def _cancel_label(number: int) -> Message:
    return message("cancel {number}", number=number)


def plan_cancel(progress: OrderProgress) -> Plan:
    """Give the recorded weights back to the hosts this order has moved, where their health allows; undo nothing."""
    hosts: dict[str, HostPlan] = {}
    moved = {line.mount.host for line in progress.weights if line.owned}
    for run in started_runs(progress):
        plan = _whole(progress, run)
        if run.host in moved and plan.undo_untouched:
            now = _is_now(run, plan)
            # it is healthy and takes traffic then: whatever it was to become, it is deployed, unless nobody knew what before
            known = now.version and plan.before.state is not HostState.DEPLOY_FAILED
            then = replace(now, state=HostState.DEPLOYED if known else now.state)
            hosts[run.host] = replace(
                plan,
                steps=plan.undo_untouched,
                before=now,
                after=then,
                restore_to=plan.recorded,
                undo=(),
                undo_untouched=(),
            )
    return _back_plan(progress, [hosts] if hosts else [], _cancel_label)


def _is_now(run: RunProgress, plan: HostPlan) -> HostIs:
    """As far as is known: a run that touched its host and did not succeed left it neither as it was nor as it was to become."""
    if run.leaving or run.skips:
        return as_it_is(plan, run)
    if not run.touched:
        return plan.before
    return plan.after if run.state is RunState.SUCCEEDED else replace(plan.after, state=plan.on_failure)


def started_runs(progress: OrderProgress) -> list[RunProgress]:
    """Runs of the forward direction that have begun, in plan order. Of a host that was excluded only what is still to be given back
    is the order's."""
    owned = {line.mount.host for line in progress.weights if line.owned}
    started = {
        (run.node, run.host): run
        for run in progress.towards(Direction.FORWARD)
        if run.begun and (not run.excluded or run.host in owned)
    }
    return [started[key] for key in _forward(progress).run_of if key in started]


def _whole(progress: OrderProgress, run: RunProgress) -> HostPlan:
    """What was planned for the host, whatever its present attempt does."""
    return _forward(progress).run_of[run.node, run.host]


def _forward(progress: OrderProgress) -> Plan:
    if progress.plan is None:
        raise ValueError(f"order {progress.id} has no plan to go back from")
    return progress.plan


def _put(layers: list[dict[str, HostPlan]], plan: HostPlan) -> None:
    """In the first layer that has nothing of this host: what was done last is undone first."""
    for layer in layers:
        if plan.host not in layer:
            layer[plan.host] = plan
            return
    layers.append({plan.host: plan})


def _dependents_first(apps: Sequence[OrderApp]) -> list[frozenset[str]]:
    """Apps that may go back at once, each set before those that its apps need."""
    sorter: TopologicalSorter[str] = TopologicalSorter({app.app: () for app in apps})
    for app in apps:
        for need in app.needs:
            sorter.add(need, app.app)
    sorter.prepare()
    found = []
    while ready := sorter.get_ready():
        found.append(frozenset(ready))
        sorter.done(*ready)
    return found


def _of_apps(layer: Layer, apps: Collection[str]) -> Layer:
    return {host: plan for host, plan in layer.items() if plan.app in apps}


def _in_plan_order(progress: OrderProgress, layer: Layer) -> Layer:
    return {host: layer[host] for host in _forward(progress).hosts if host in layer}


def _back_plan(progress: OrderProgress, layers: Sequence[Layer], label: Callable[[int], Message]) -> Plan:
    forward = _forward(progress)
    now = [MountWeight(line.mount, line.believed) for line in progress.weights]
    down = frozenset(line.mount for line in progress.weights if not answers(line.health))
    serving = serving_hosts(now, down)
    floors = {at: forward.floors.get(str(at), forward.floor) for at in serving}
    nodes: list[PlanNode] = []
    lowest = [min((len(group) for group in serving.values()), default=0)]
    for layer in layers:
        for group in _groups_of(progress, layer, serving, floors, lowest):
            number = len(nodes) + 1
            needs = (nodes[-1].key,) if nodes else ()
            nodes.append(
                PlanNode(f"back-{number}", NodeKind.GROUP, needs, _named(progress, label(number), group), group)
            )
    nodes.append(PlanNode("back-finish", NodeKind.FINISH, (nodes[-1].key,) if nodes else (), message("finish")))
    return Plan(
        direction=Direction.BACK,
        nodes=tuple(nodes),
        fleet_hash=forward.fleet_hash,
        floor=forward.floor,
        in_service=lowest[0],
        lowest_in_service=min(lowest),
        floors=forward.floors,
    )


def _named(progress: OrderProgress, label: Message, group: Sequence[HostPlan]) -> Message:
    """With its app, where the order has several and the group is of one."""
    apps = {plan.app for plan in group}
    return message("{app}: {node}", app=apps.pop(), node=label) if len(progress.apps) > 1 and len(apps) == 1 else label


def _groups_of(
    progress: OrderProgress,
    layer: Layer,
    serving: Mapping[ServerGroup, frozenset[str]],
    floors: Mapping[ServerGroup, int],
    lowest: list[int],
) -> list[tuple[HostPlan, ...]]:
    idle = [host for host, plan in layer.items() if not plan.leaves or not any(host in at for at in serving.values())]
    busy = [host for host in layer if host not in idle]
    # The idle ones that took traffic before serve again before the next group leaves.
    returning = _returning(progress, idle)
    spare = min((len(group | returning[at]) - floors[at] for at, group in serving.items()), default=len(busy))
    size = max(1, spare)
    groups = [busy[at : at + size] for at in range(0, len(busy), size)]
    lowest += [len((there | returning[at]) - set(group)) for at, there in serving.items() for group in groups]
    return [tuple(layer[host] for host in group) for group in ([idle] if idle else []) + groups]


def _returning(progress: OrderProgress, idle: Sequence[str]) -> Mapping[ServerGroup, frozenset[str]]:
    """Per server group, those of the idle hosts that get a weight back."""
    recorded = [MountWeight(line.mount, line.recorded) for line in progress.weights]
    return {group: hosts.intersection(idle) for group, hosts in serving_hosts(recorded).items()}
