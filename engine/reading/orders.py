"""Orders as rows of a list and as the whole picture of the order screen, from one snapshot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from engine.domain.acts import AnyAct, HandOver, RollBack, SetWeights
from engine.domain.clean import visible
from engine.domain.fleet import ServerGroup
from engine.domain.message import Message, message
from engine.domain.orders import Plan, PlanNode
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress, WeightLine
from engine.domain.states import (
    Act,
    CommandState,
    Direction,
    Health,
    NodeKind,
    NodeState,
    OrderState,
    RunState,
)
from engine.kinds.registry import not_understood, traffic_of, way_back_of
from engine.plan.in_service import floor_of, in_service, part_of_due, server_groups, share_of, with_health
from engine.plan.in_turn import in_turn, with_weights
from engine.plan.next import node_state, runs_of
from engine.plan.sensible_acts import sensible_acts
from engine.plan.what_if import consequence
from engine.reading.expected import read_expected
from engine.reading.handing_over import with_operators
from engine.reading.host_runs import HostRuns
from engine.reading.next_line import next_line
from engine.reading.remedies import read_remedies
from engine.reading.rolling_back import read_rollback_order
from engine.reading.scope import NotThere, Scope, check_order
from engine.reading.step_times import RecordedTimes
from engine.store import tables as t
from engine.store.encoding import decode_problem
from engine.store.engines import any_alive
from engine.store.fleets import deployable_versions
from engine.store.order_states import OPEN_STATES
from engine.store.progress import load_progress
from engine.views.acts import AtWorkView, CommandView, Consequence
from engine.views.orders import BalancerView, NodeView, OrderedApp, OrderRow, OrderView


def read_orders(conn: sa.Connection, scope: Scope, *, open_only: bool, limit: int) -> tuple[OrderRow, ...]:
    query = (
        sa.select(
            t.order.c.id,
            t.order.c.kind,
            t.order.c.title,
            t.order.c.state,
            t.order.c.paused,
            t.order.c.direction,
            t.order.c.created_by,
            t.order.c.created_at,
            t.order.c.started_at,
            t.order.c.ended_at,
            t.order.c.changed_at,
        )
        .where(t.order.c.workspace_id == scope.workspace_id)
        .order_by(t.order.c.id.desc())
        .limit(limit)
    )
    if open_only:
        query = query.where(t.order.c.state.in_(OPEN_STATES))
    rows = conn.execute(query).all()
    ids = [row.id for row in rows]
    counts, apps = _run_counts(conn, ids), read_apps_of(conn, ids)
    return tuple(_order_row(row, apps[row.id], counts[row.id, row.direction]) for row in rows)


def read_apps_of(conn: sa.Connection, order_ids: Collection[int]) -> Mapping[int, tuple[OrderedApp, ...]]:
    """Order → its apps, in its order."""
    app = t.order_app.c
    rows = conn.execute(
        sa.select(app.order_id, t.app.c.name, app.from_version, app.to_version)
        .join(t.service_instance, t.service_instance.c.id == app.service_instance_id)
        .join(t.app, t.app.c.id == t.service_instance.c.app_id)
        .where(app.order_id.in_(order_ids))
        .order_by(app.order_id, app.position)
    )
    found: dict[int, list[OrderedApp]] = {order_id: [] for order_id in order_ids}
    for order_id, name, from_version, to_version in rows:
        found[order_id].append(OrderedApp(name, from_version, to_version))
    return {order_id: tuple(apps) for order_id, apps in found.items()}


def _run_counts(conn: sa.Connection, order_ids: list[int]) -> Mapping[tuple[int, str], dict[str, int]]:
    run = t.host_run.c
    rows = conn.execute(
        sa.select(run.order_id, run.direction, run.state, sa.func.count().label("hosts"))
        .where(run.order_id.in_(order_ids))
        .group_by(run.order_id, run.direction, run.state)
    )
    counts: dict[tuple[int, str], dict[str, int]] = defaultdict(dict)
    for row in rows:
        counts[row.order_id, row.direction][row.state] = row.hosts
    return counts


def _order_row(row: Any, apps: tuple[OrderedApp, ...], counts: Mapping[str, int]) -> OrderRow:
    return OrderRow(
        id=row.id,
        kind=row.kind,
        title=visible(row.title),
        apps=apps,
        state=OrderState(row.state),
        done_hosts=counts.get(RunState.SUCCEEDED, 0),
        failed_hosts=counts.get(RunState.FAILED, 0),
        hosts=sum(counts.values()),
        created_by=visible(row.created_by),
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        changed_at=row.changed_at,
        paused=row.paused,
    )


def read_order(
    conn: sa.Connection, scope: Scope, order_id: int, *, host_runs: HostRuns, recorded: RecordedTimes, now: float
) -> OrderView:
    """Raises NotThere `no_such_order`, for an order of another workspace as well."""
    check_order(conn, scope, order_id)
    progress = load_progress(conn, order_id)
    alive = any_alive(conn, now)
    changed_at, last_event = _last(conn, order_id)
    spec, left_alone = progress.spec, not_understood(progress)
    hosts = host_runs.read(conn, progress)
    return OrderView(
        id=order_id,
        tenant=scope.tenant,
        workspace=scope.workspace,
        production=scope.production,
        kind=progress.kind,
        title=visible(progress.title),
        apps=tuple(OrderedApp(app.app, app.from_version, app.to_version, app.needs) for app in progress.apps),
        strategy=spec.grouping.strategy,
        traffic=traffic_of(spec),
        beta=spec.grouping.beta,
        by_hand=bool(spec.grouping.by_hand),
        excluded=spec.grouping.excluded,
        state=progress.state,
        direction=progress.direction,
        paused=progress.paused,
        reason=visible(progress.reason),
        created_by=visible(progress.created_by),
        created_at=progress.created_at,
        started_at=progress.started_at,
        ended_at=progress.ended_at,
        epoch=progress.epoch,
        nodes=_nodes(progress),
        hosts=hosts,
        balancers=_balancers(progress),
        floor=progress.plan.floor if progress.plan else 0,
        in_service=min((in_service(lines) for lines in server_groups(progress).values()), default=0),
        problems=progress.problems,
        problem=progress.problem or left_alone,
        next=next_line(progress, engine_alive=alive, changed_at=changed_at, left_alone=left_alone),
        acts=()
        if left_alone is not None
        else sensible_acts(
            progress,
            succeeded_versions=deployable_versions(conn, progress.apps),
            production=scope.production,
            now=now,
            way_back=way_back_of(progress.kind),
        ),
        at_work=tuple(
            AtWorkView(each.command_id, each.act.name, each.operator, each.since, each.waits_for)
            for each in progress.at_work
        ),
        remedies=read_remedies(conn, scope, progress),
        engine_alive=alive,
        last_event=last_event,
        expected=read_expected(conn, progress, hosts, recorded, now) if left_alone is None else None,
        responsible=visible(progress.responsible),
        parallelism=progress.parallelism,
        max_failures=progress.max_failures,
    )


def _last(conn: sa.Connection, order_id: int) -> tuple[float, int]:
    """When the order's row changed last, and its newest event."""
    newest = sa.select(sa.func.max(t.event.c.id)).where(t.event.c.order_id == order_id).scalar_subquery()
    row = conn.execute(sa.select(t.order.c.changed_at, newest.label("event")).where(t.order.c.id == order_id)).one()
    return row.changed_at, row.event or 0


# ------------------------------------------------------------------------------------------------------------------ nodes


def _nodes(progress: OrderProgress) -> tuple[NodeView, ...]:
    """Those forward, and behind them the way back, which undoes them."""
    if progress.plan is None:
        return (_initialise_node(progress, PlanNode("initialise", NodeKind.INITIALISE, (), message("initialise"))),)
    plans = [progress.plan, progress.current_plan if progress.direction is Direction.BACK else None]
    return tuple(_node_view(progress, plan, node) for plan in plans if plan is not None for node in plan.nodes)


def _node_view(progress: OrderProgress, plan: Plan, node: PlanNode) -> NodeView:
    if node.kind is NodeKind.INITIALISE:
        return _initialise_node(progress, node)
    row = progress.nodes.get((plan.direction, node.key))
    states = [run.state for run in runs_of(progress, plan, node)]
    state = node_state(progress, plan, node.key)
    return NodeView(
        key=node.key,
        kind=node.kind,
        label=node.label,
        direction=plan.direction,
        state=state,
        needs=node.needs,
        hosts=node.hosts,
        sliders=node.sliders,
        done=states.count(RunState.SUCCEEDED),
        failed=states.count(RunState.FAILED),
        started_at=row.started_at if row else None,
        ended_at=row.ended_at if row else None,
        confirmed_by=row.confirmed_by if row else "",
        paused=progress.paused and state is NodeState.RUNNING and RunState.RUNNING not in states,
        app=next((plan.app_of[host] for host in node.hosts), ""),
        skipped=states.count(RunState.SKIPPED),
        pauses=plan is progress.current_plan and node.key in progress.pauses_before,
    )


def _initialise_node(progress: OrderProgress, node: PlanNode) -> NodeView:
    """Initialisation comes before the plan's rows, so the order's own state says how far it is."""
    row = progress.nodes.get((Direction.FORWARD, node.key))
    return NodeView(
        key=node.key,
        kind=node.kind,
        label=node.label,
        direction=Direction.FORWARD,
        state=_initialise_state(progress),
        needs=node.needs,
        hosts=(),
        sliders=False,
        done=0,
        failed=0,
        started_at=row.started_at if row else progress.created_at,
        ended_at=row.ended_at if row else None,
        confirmed_by="",
    )


def _initialise_state(progress: OrderProgress) -> NodeState:
    if progress.state is OrderState.INITIALISING:
        return NodeState.RUNNING
    if progress.state is OrderState.INIT_FAILED:
        return NodeState.FAILED
    if progress.plan is None:
        return NodeState.CANCELLED
    return NodeState.SUCCEEDED


# -------------------------------------------------------------------------------------------------------------- balancers


def _balancers(progress: OrderProgress) -> tuple[BalancerView, ...]:
    """A host that the order works on does not answer because of that: it is out, and no news."""
    at_work = {run.host for run in progress.current_runs if run.state is RunState.RUNNING}
    return tuple(_balancer_view(progress, group, lines, at_work) for group, lines in server_groups(progress).items())


def _balancer_view(
    progress: OrderProgress, group: ServerGroup, lines: tuple[WeightLine, ...], at_work: Collection[str]
) -> BalancerView:
    part = part_of_due(lines)
    return BalancerView(
        balancer=group.balancer_id,
        server_group=group.vserver_group_id,
        hosts=len({line.mount.host for line in lines}),
        in_service=in_service(lines),
        floor=floor_of(progress, group),
        silent=tuple(host for host in with_health(lines, Health.UNHEALTHY) if host not in at_work),
        cannot_tell=tuple(host for host in with_health(lines, Health.UNKNOWN) if host not in at_work),
        part=part,
        part_share=share_of(lines, part),
    )


# ---------------------------------------------------------------------------------------------------- acts and commands


def read_order_state(conn: sa.Connection, scope: Scope, order_id: int) -> OrderState:
    """Raises NotThere `no_such_order`."""
    check_order(conn, scope, order_id)
    return OrderState(conn.execute(sa.select(t.order.c.state).where(t.order.c.id == order_id)).scalar_one())


def read_consequence(
    conn: sa.Connection, scope: Scope, order_id: int, act: AnyAct, *, now: float, first: SetWeights | None = None
) -> Consequence:
    """`first`: weights that are set before it. Raises NotThere `no_such_order`."""
    check_order(conn, scope, order_id)
    progress = load_progress(conn, order_id)

    def of(asked: AnyAct, at: OrderProgress) -> Consequence:
        return consequence(
            at,
            asked,
            succeeded_versions=deployable_versions(conn, at.apps),
            production=scope.production,
            now=now,
            way_back=way_back_of(at.kind),
        )

    left_alone = not_understood(progress)
    if left_alone is not None:
        return replace(of(act, progress), allowed=False, refusal=left_alone, lines=())
    if first is not None:
        return in_turn(of(first, progress), of(act, with_weights(progress, first)))
    meaning = of(act, progress)
    if isinstance(act, HandOver):
        return with_operators(conn, scope, meaning, act, progress.responsible)
    if not meaning.makes_order or not isinstance(act, RollBack):
        return meaning
    override = act.override_reason
    return read_rollback_order(conn, scope, progress, meaning, override_reason=override).meaning


def read_command(conn: sa.Connection, command_id: int) -> CommandView:
    """Raises NotThere `no_such_command`."""
    row = conn.execute(sa.select(t.command).where(t.command.c.id == command_id)).one_or_none()
    if row is None:
        raise NotThere(
            Problem(
                "no_such_command",
                message("There is no command {id}.", id=command_id),
                message("See the order's events for what became of it."),
            )
        )
    waits_for = Message.from_json(row.waits_for) if row.waits_for else None
    state = CommandState(row.state)
    return CommandView(row.id, row.order_id, Act(row.act), state, decode_problem(row.problem), waits_for)
