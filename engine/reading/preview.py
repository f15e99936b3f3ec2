"""What an order would be before anything exists: its plan from the catalogue and the weights known last, and all that forbids it.

The same answer decides whether an order is created, so the preview never promises what the creation refuses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import sqlalchemy as sa

from engine.domain.fleet import Facts, Mount, MountWeight
from engine.domain.health import either
from engine.domain.message import Message, message
from engine.domain.orders import AppAsked, OrderApp, OrderSpec, Plan, PlanNode
from engine.domain.problem import Problem
from engine.domain.states import Direction, Health, NodeKind, NodeState
from engine.kinds import forbidden
from engine.kinds.kind import Kind
from engine.kinds.registry import kind_of
from engine.plan.capacity import capacity
from engine.plan.faults import PlanFault, checked
from engine.plan.what_if_words import named
from engine.reading.scope import Scope, find_app
from engine.store import tables as t
from engine.store.facts import load_facts
from engine.views.orders import NodeView, OrderedApp
from engine.views.preview import CapacityPoint, OrderPreview

ASSUMED_WEIGHT = 100


@dataclass(frozen=True, slots=True)
class Preview:
    """The view, and what the order would be stored with."""

    view: OrderPreview
    apps: tuple[OrderApp, ...]
    hosts: tuple[str, ...]


def read_preview(conn: sa.Connection, scope: Scope, spec: OrderSpec) -> Preview:
    """Raises NotThere `no_such_app`, KindUnknown."""
    kind = kind_of(spec.kind)
    asked = tuple(kind.apps(spec))
    for app in asked:
        find_app(conn, scope, app.app)
    facts = load_facts(conn, scope.workspace_id, asked)
    mounts = [mount for app in facts.apps for mount in app.mounts]
    weights, unread = known_weights(conn, scope, mounts)
    by_weight = replace(facts, weights=weights, unread=unread)
    found = tuple(kind.forbids(spec, by_weight)) if asked else (forbidden.no_app_named(),)
    if not facts.apps:
        return Preview(_nothing(spec, asked, found), (), ())
    facts = replace(by_weight, health=known_health(conn, scope, mounts))
    try:
        plan = checked(kind.plan(spec, facts))
    except PlanFault as fault:
        return Preview(_nothing(spec, asked, found or (fault.problem,)), (), ())
    hosts = tuple(kind.hosts(spec, facts))
    notes = _health_notes(facts, plan, kind.plan(spec, by_weight))
    return Preview(_view(spec, kind, asked, facts, plan, found, notes), order_apps(asked, facts), hosts)


def order_apps(asked: Iterable[AppAsked], facts: Facts) -> tuple[OrderApp, ...]:
    here = {app.app: app for app in facts.apps}
    return tuple(
        OrderApp(
            here[app.app].service_instance_id,
            app.app,
            here[app.app].current_version,
            app.version or here[app.app].current_version,
            app.needs,
        )
        for app in asked
        if app.app in here
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
    spec: OrderSpec,
    kind: Kind,
    asked: tuple[AppAsked, ...],
    facts: Facts,
    plan: Plan,
    found: tuple[Problem, ...],
    health_notes: tuple[Message, ...],
) -> OrderPreview:
    room = capacity(facts.weights, plan.nodes, floor=spec.floor, floor_percent=facts.floor_percent, down=facts.down)
    betas = (host for node in plan.nodes if node.kind is NodeKind.BETA for host in node.hosts)
    return OrderPreview(
        kind=spec.kind,
        apps=tuple(
            OrderedApp(app.app, app.from_version, app.to_version, app.needs) for app in order_apps(asked, facts)
        ),
        hosts=plan.hosts,
        nodes=tuple(_node_view(node, plan.app_of) for node in plan.nodes),
        beta_hosts=tuple(betas),
        capacity=tuple(CapacityPoint(node.key, room.during[node.key]) for node in plan.nodes),
        in_service=room.in_service,
        floor=plan.floor,
        lowest_in_service=plan.lowest_in_service,
        breaks_floor=plan.breaks_floor,
        notes=(*kind.notes(spec, facts, plan), *_notes(spec, facts, plan), *health_notes),
        problems=found,
    )


def _nothing(spec: OrderSpec, asked: Iterable[AppAsked], found: tuple[Problem, ...]) -> OrderPreview:
    """Of apps that have no place in the workspace, or whose plan can't be drawn."""
    apps = tuple(OrderedApp(app.app, "", app.version, app.needs) for app in asked)
    return OrderPreview(spec.kind, apps, (), (), (), (), 0, 0, 0, False, (), found)


def _node_view(node: PlanNode, apps: Mapping[str, str]) -> NodeView:
    return NodeView(
        key=node.key,
        kind=node.kind,
        label=node.label,
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
        app=next((apps[host] for host in node.hosts), ""),
    )


def _health_notes(facts: Facts, plan: Plan, by_weight: Plan) -> tuple[Message, ...]:
    """Health is of the moment: what was seen last is shown and counted with, and only the order's check forbids for it."""
    notes = []
    silent, unsure = (
        list(
            dict.fromkeys(
                line.mount.host for line in facts.weights if line.weight > 0 and facts.health.get(line.mount) is says
            )
        )
        for says in (Health.UNHEALTHY, Health.UNKNOWN)
    )
    if silent:
        notes.append(
            message("did not answer when an order last looked, counted as out of service: {hosts}", hosts=named(silent))
        )
    if unsure:
        notes.append(
            message("could not tell whether these answer, counted as out of service: {hosts}", hosts=named(unsure))
        )
    if plan.breaks_floor and not by_weight.breaks_floor:
        notes.append(
            message("if they still do not answer, the order's check refuses it: {lowest} of {in_service} would stay, floor {floor}",
                    lowest=plan.lowest_in_service, in_service=plan.in_service, floor=plan.floor)
        )  # fmt: skip
    return tuple(notes)


def _notes(spec: OrderSpec, facts: Facts, plan: Plan) -> tuple[Message, ...]:
    """What is worth knowing of every order that moves traffic."""
    notes = []
    leaving = {run.host for run in plan.run_of.values() if run.leaves}
    mounted = {line.mount.host for line in facts.weights}
    if leaving & mounted:
        notes.append(message("cutting traffic stops only external web traffic; RPC and messages go on"))
    without = [host for host in plan.hosts if host in leaving and host not in mounted]
    if without:
        notes.append(message("not behind a balancer, no traffic to cut: {hosts}", hosts=named(without)))
    if facts.unread:
        notes.append(
            message("assumed in service until the check reads their weights: {hosts}", hosts=named(facts.unread))
        )
    if plan.breaks_floor and spec.override_reason:
        notes.append(message("goes below the floor, overridden: {reason}", reason=spec.override_reason))
    return tuple(notes)
