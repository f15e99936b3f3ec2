"""What a release would be before anything exists: its plan from the catalogue and the weights known last, and all that forbids it.

The same answer decides whether an order is created, so the preview never promises what the creation refuses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import sqlalchemy as sa

from engine.domain.fleet import Fleet, Mount, MountWeight
from engine.domain.health import either
from engine.domain.message import Message, message
from engine.domain.orders import Plan, PlanNode, ReleaseSpec
from engine.domain.states import Direction, Health, NodeKind, NodeState, OrderKind
from engine.plan.capacity import capacity
from engine.plan.release import beta_hosts, plan_release
from engine.reading import release_problems as problems
from engine.reading.scope import Scope, find_app, find_instance
from engine.store import tables as t
from engine.store.fleets import InstanceFacts, load_instance, load_package
from engine.store.orders import open_orders_of_instance
from engine.views import CapacityPoint, NodeView, ReleasePreview

ASSUMED_WEIGHT = 100  # of a mount whose weight no order has read yet: the host is counted as in service


@dataclass(frozen=True, slots=True)
class Preview:
    view: ReleasePreview
    service_instance_id: int | None


def read_preview(conn: sa.Connection, scope: Scope, spec: ReleaseSpec) -> Preview:
    """Raises NotThere `no_such_app`."""
    app_id = find_app(conn, scope, spec.app)
    instance = find_instance(conn, scope, app_id)
    package = load_package(conn, app_id, spec.version)
    if instance is None:
        found = [problems.no_service_instance(spec.app, scope.workspace)]
        found += [] if package else [problems.package_unknown(spec.app, spec.version)]
        return Preview(_nothing(spec, tuple(found)), None)
    facts = load_instance(conn, instance)
    weights, unread = known_weights(conn, scope, facts.mounts)
    asked = _usable(spec, facts)
    health = known_health(conn, scope, facts.mounts)
    plan = plan_release(asked, fleet_with(facts, weights, health))
    by_weight = plan_release(asked, fleet_with(facts, weights))
    found = problems.of_release(spec, facts, package, open_orders_of_instance(conn, instance), by_weight)
    notes = _notes(spec, facts, plan, unread) + _health_notes(weights, health, plan, by_weight)
    return Preview(_view(asked, facts, weights, health, plan, tuple(found), notes), instance)


def _usable(spec: ReleaseSpec, facts: InstanceFacts) -> ReleaseSpec:
    """The spec without what can't be planned; what was wrong with it is among the problems."""
    names = {host.name for host in facts.hosts}
    chosen = tuple(dict.fromkeys(host for host in spec.beta_hosts if host in names))
    return replace(spec, beta_hosts=chosen, groups=max(1, spec.groups))


def fleet_with(
    facts: InstanceFacts, weights: tuple[MountWeight, ...], health: Mapping[Mount, Health] | None = None
) -> Fleet:
    return Fleet(
        app=facts.app,
        current_version=facts.current_version,
        succeeded_versions=facts.succeeded_versions,
        hosts=facts.hosts,
        weights=weights,
        default_floor_percent=facts.floor_percent,
        health=health or {},
    )


def known_health(conn: sa.Connection, scope: Scope, mounts: Iterable[Mount]) -> Mapping[Mount, Health]:
    """What an order of the workspace has seen last of the hosts behind the mounts; nothing of a mount none has looked at."""
    line = t.weight.c
    rows = conn.execute(
        sa.select(line.host, line.balancer_id, line.vserver_group_id, line.port, line.balancer_health, line.own_health)
        .join(t.order, t.order.c.id == line.order_id)
        .where(t.order.c.workspace_id == scope.workspace_id, line.balancer_health.is_not(None))
        .order_by(line.order_id)
    )
    known = {(row.host, row.balancer_id, row.vserver_group_id, row.port): row for row in rows}
    found: dict[Mount, Health] = {}
    for mount in mounts:
        group = mount.server_group
        row = known.get((mount.host, group.balancer_id, group.vserver_group_id, mount.port))
        health = None if row is None else either(_health(row.balancer_health), _health(row.own_health))
        if health is not None:
            found[mount] = health
    return found


def _health(stored: str | None) -> Health | None:
    return None if stored is None else Health(stored)


def known_weights(
    conn: sa.Connection, scope: Scope, mounts: Iterable[Mount]
) -> tuple[tuple[MountWeight, ...], tuple[str, ...]]:
    """Each mount with the weight that was read last by any order of the workspace, and the hosts of those never read."""
    line = t.weight.c
    rows = conn.execute(
        sa.select(line.host, line.balancer_id, line.vserver_group_id, line.port, line.confirmed)
        .join(t.order, t.order.c.id == line.order_id)
        .where(t.order.c.workspace_id == scope.workspace_id, line.confirmed.is_not(None))
        .order_by(line.confirmed_at)
    )
    known = {(row.host, row.balancer_id, row.vserver_group_id, row.port): row.confirmed for row in rows}
    weights, unread = [], []
    for mount in mounts:
        group = mount.server_group
        weight = known.get((mount.host, group.balancer_id, group.vserver_group_id, mount.port))
        weights.append(MountWeight(mount, ASSUMED_WEIGHT if weight is None else weight))
        unread += [mount.host] if weight is None else []
    return tuple(weights), tuple(dict.fromkeys(unread))


# ------------------------------------------------------------------------------------------------------------------- view


def _view(
    spec: ReleaseSpec,
    facts: InstanceFacts,
    weights: tuple[MountWeight, ...],
    health: Mapping[Mount, Health],
    plan: Plan,
    found: tuple[problems.Problem, ...],
    notes: tuple[Message, ...],
) -> ReleasePreview:
    running = [node for node in plan.nodes if node.kind.runs_hosts]
    room = capacity(
        weights,
        [node.hosts for node in running],
        floor=spec.floor,
        floor_percent=facts.floor_percent,
        after=[line for host in plan.hosts.values() for line in host.restore_to],
        down=fleet_with(facts, weights, health).down,
    )
    during = {node.key: count for node, count in zip(running, room.during, strict=True)}
    return ReleasePreview(
        app=spec.app,
        version=spec.version,
        from_version=facts.current_version,
        nodes=tuple(_node_view(node) for node in plan.nodes),
        beta_hosts=beta_hosts(spec, fleet_with(facts, weights, health)),
        capacity=tuple(CapacityPoint(node.key, during.get(node.key, room.in_service)) for node in plan.nodes),
        in_service=room.in_service,
        floor=plan.floor,
        lowest_in_service=plan.lowest_in_service,
        breaks_floor=plan.breaks_floor,
        notes=notes,
        problems=found,
    )


def _nothing(spec: ReleaseSpec, found: tuple[problems.Problem, ...]) -> ReleasePreview:
    """Of an app that has no place in the workspace."""
    return ReleasePreview(spec.app, spec.version, "", (), (), (), 0, 0, 0, False, (), found)


def _node_view(node: PlanNode) -> NodeView:
    return NodeView(
        key=node.key,
        kind=node.kind,
        number=node.number,
        direction=Direction.FORWARD,
        state=NodeState.PENDING,
        needs=node.needs,
        hosts=node.hosts,
        sliders=node.sliders,
        done=0,
        failed=0,
        started_at=None,
        ended_at=None,
        confirmed_by="",
    )


def _health_notes(
    weights: tuple[MountWeight, ...], health: Mapping[Mount, Health], plan: Plan, by_weight: Plan
) -> tuple[Message, ...]:
    """Health is of the moment: what was seen last is shown and counted with, and only the order's check forbids for it."""
    notes = []
    silent, unsure = (
        list(dict.fromkeys(line.mount.host for line in weights if line.weight > 0 and health.get(line.mount) is says))
        for says in (Health.UNHEALTHY, Health.UNKNOWN)
    )
    if silent:
        hosts = problems.named(silent)
        notes.append(
            message("did not answer when an order looked last, counted as out of service: {hosts}", hosts=hosts)
        )
    if unsure:
        hosts = problems.named(unsure)
        notes.append(message("nobody could tell whether these answer, counted as out of service: {hosts}", hosts=hosts))
    if plan.breaks_floor and not by_weight.breaks_floor:
        notes.append(
            message("if they still do not answer, the order's check refuses it: {lowest} of {in_service} would stay, floor {floor}",
                    lowest=plan.lowest_in_service, in_service=plan.in_service, floor=plan.floor)
        )  # fmt: skip
    return tuple(notes)


def _notes(spec: ReleaseSpec, facts: InstanceFacts, plan: Plan, unread: tuple[str, ...]) -> tuple[Message, ...]:
    notes = []
    if spec.version == facts.current_version and spec.kind is OrderKind.RELEASE:
        notes.append(
            message("{app} runs {version} here already: it is deployed again", app=spec.app, version=spec.version)
        )
    if facts.mounts:
        notes.append(message("cutting traffic stops only external web traffic; RPC and messages go on"))
    mounted = {mount.host for mount in facts.mounts}
    without = [host.name for host in facts.hosts if host.name not in mounted]
    if without:
        notes.append(message("not behind a balancer, no traffic to cut: {hosts}", hosts=problems.named(without)))
    if unread:
        notes.append(
            message("no order has read these weights yet, counted as in service: {hosts}", hosts=problems.named(unread))
        )
    kinds = {node.kind for node in plan.nodes}
    if NodeKind.BETA in kinds and NodeKind.GROUP not in kinds:
        notes.append(message("Beta takes all hosts: the release ends with it"))
    if plan.breaks_floor and spec.override_reason:
        notes.append(message("goes below the floor, overridden: {reason}", reason=spec.override_reason))
    return tuple(notes)
