"""Orders in the store: reading how far one is, and the rows each change writes. Called inside a transaction, never opens one."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from engine.domain.acts import UnreadableAct, decode
from engine.domain.fleet import Mount, MountWeight, ServerGroup
from engine.domain.health import HealthSeen, either
from engine.domain.message import Message, message
from engine.domain.orders import OrderApp, OrderSpec, Plan
from engine.domain.problem import Problem
from engine.domain.progress import (
    ActAtWork,
    NodeProgress,
    OrderProgress,
    RunKey,
    RunProgress,
    StepProgress,
    WeightLine,
    job_of,
)
from engine.domain.states import (
    CommandState,
    Direction,
    Health,
    NodeState,
    OrderState,
    RunState,
    StepState,
    Verified,
)
from engine.store import tables as t
from engine.store.encoding import (
    decode_problem,
    decode_stored_plan,
    decode_stored_problem,
    decode_stored_spec,
    encode_plan,
    encode_problem,
    encode_spec,
)
from engine.store.statements import update
from engine.store.store import StoreError

_EVENT = sa.insert(t.event)
_ORDER = sa.bindparam("order_id", type_=sa.BigInteger)


def _columns(table: sa.Table, *names: str) -> list[sa.ColumnElement[Any]]:
    return [table.c[name] for name in names]


def _text_of(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """JSON as it is stored: decoded only when it is another text than last time."""
    return sa.cast(column, sa.Text)


HOSTS_NAMED_IN_A_QUERY = 200  # beyond that all are read: cheaper, and no database limits its parameters
_DIRECTIONS = {str(direction): direction for direction in Direction}
_ONE_ORDER = sa.select(
    *[column for column in t.order.c if column.name not in ("plan", "back_plan", "spec")],
    _text_of(t.order.c.spec).label("spec_text"),
    _text_of(t.order.c.plan).label("plan_text"),
    _text_of(t.order.c.back_plan).label("back_plan_text"),
    sa.exists()
    .where(t.command.c.order_id == t.order.c.id, t.command.c.state == str(CommandState.WORKING))
    .label("works"),
).where(t.order.c.id == _ORDER)
_APPS = (
    sa.select(
        *_columns(t.order_app, "service_instance_id", "from_version", "to_version", "needs"), t.app.c.name.label("app")
    )
    .join(t.service_instance, t.service_instance.c.id == t.order_app.c.service_instance_id)
    .join(t.app, t.app.c.id == t.service_instance.c.app_id)
    .where(t.order_app.c.order_id == _ORDER)
    .order_by(t.order_app.c.position)
)
_AT_WORK = (
    sa.select(t.command)
    .where(t.command.c.order_id == _ORDER, t.command.c.state == str(CommandState.WORKING))
    .order_by(t.command.c.id)
)
_NODES = sa.select(t.order_node).where(t.order_node.c.order_id == _ORDER).order_by(t.order_node.c.position)
_RUNS = sa.select(
    *_columns(t.host_run, "direction", "node", "host", "state", "attempt", "from_version", "to_version", "touched"),
    _text_of(t.host_run.c.problem),
    *_columns(t.host_run, "started_at", "ended_at", "job", "position"),
).where(t.host_run.c.order_id == _ORDER)
_WEIGHTS = (
    sa.select(
        *_columns(
            t.weight,
            "host",
            "server_id",
            "region",
            "balancer_id",
            "vserver_group_id",
            "port",
            "recorded",
            "asked",
            "confirmed",
            "verified",
            "confirmed_at",
            "owned",
            "outside",
            "outside_at",
            "cut_again",
            "balancer_health",
            "own_health",
        ),
        _text_of(t.weight.c.problem),
    )
    .where(t.weight.c.order_id == _ORDER)
    .order_by(t.weight.c.host, t.weight.c.balancer_id, t.weight.c.vserver_group_id, t.weight.c.port)
)
OPEN_STATES = tuple(str(state) for state in OrderState if not state.complete)
_NOT_STARTED = (OrderState.INITIALISING, OrderState.INIT_FAILED, OrderState.READY)
_STARTED = tuple(str(state) for state in OrderState if not state.complete and state not in _NOT_STARTED)
_OPEN_ORDERS = (
    sa.select(t.order.c.id, t.order.c.workspace_id).where(t.order.c.state.in_(OPEN_STATES)).order_by(t.order.c.id)
)


def load_progress(conn: sa.Connection, order_id: int) -> OrderProgress:
    """How far the order is. Raises StoreError `no_such_order`."""
    row = conn.execute(_ONE_ORDER, {"order_id": order_id}).one_or_none()
    if row is None:
        raise StoreError(
            Problem(
                "no_such_order",
                message("There is no order #{id}.", id=order_id),
                message("List the orders of this workspace and choose one."),
            )
        )
    return OrderProgress(
        id=row.id,
        workspace_id=row.workspace_id,
        apps=load_apps(conn, order_id),
        kind=row.kind,
        title=row.title,
        state=OrderState(row.state),
        direction=Direction(row.direction),
        spec=decode_stored_spec(row.spec_text),
        plan=decode_stored_plan(row.plan_text),
        back_plan=decode_stored_plan(row.back_plan_text),
        nodes=_nodes(conn, order_id),
        runs=_runs(conn, order_id),
        weights=load_weights(conn, order_id),
        paused=row.paused,
        parallelism=row.parallelism,
        epoch=row.epoch,
        problems=tuple((item["host"], Problem.from_json(item["problem"])) for item in row.problems or ()),
        problem=decode_problem(row.problem),
        reason=row.reason,
        created_by=row.created_by,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        at_work=_at_work(conn, order_id) if row.works else (),
    )


def _at_work(conn: sa.Connection, order_id: int) -> tuple[ActAtWork, ...]:
    """What can't be read is no act of this version; it is refused when it is answered."""
    found = []
    for row in conn.execute(_AT_WORK, {"order_id": order_id}):
        try:
            act = decode(row.act, row.params)
        except UnreadableAct:
            continue
        since = row.sent_at if row.begun_at is None else row.begun_at
        found.append(ActAtWork(row.id, act, row.operator, since, Message.from_json(row.waits_for)))
    return tuple(found)


def _nodes(conn: sa.Connection, order_id: int) -> dict[tuple[Direction, str], NodeProgress]:
    rows = conn.execute(_NODES, {"order_id": order_id})
    return {
        (Direction(row.direction), row.key): NodeProgress(
            row.key, NodeState(row.state), row.started_at, row.ended_at, row.confirmed_by
        )
        for row in rows
    }


def load_apps(conn: sa.Connection, order_id: int) -> tuple[OrderApp, ...]:
    rows = conn.execute(_APPS, {"order_id": order_id})
    return tuple(
        OrderApp(row.service_instance_id, row.app, row.from_version, row.to_version, tuple(row.needs)) for row in rows
    )


def _runs(conn: sa.Connection, order_id: int) -> dict[RunKey, RunProgress]:
    """In plan order, the way back behind the way forward."""
    rows = sorted(conn.execute(_RUNS, {"order_id": order_id}).all(), key=lambda row: (row[0] == "back", row[-1]))
    return {run.key: run for run in (_run(*row[:-1]) for row in rows)}


# A host's row and a weight's are read a thousand times for each time they change: the same row is the same object.
@lru_cache(maxsize=8192)
def _run(
    direction: str, node: str, host: str, state: str, attempt: int, from_version: str, to_version: str, touched: bool,
    problem: str | None, started_at: float | None, ended_at: float | None, job: str,
) -> RunProgress:  # fmt: skip
    return RunProgress(
        direction=_DIRECTIONS[direction],
        node=node,
        host=host,
        state=RunState(state),
        attempt=attempt,
        from_version=from_version,
        to_version=to_version,
        touched=touched,
        problem=decode_stored_problem(problem),
        started_at=started_at,
        ended_at=ended_at,
        job=job,
    )


def load_weights(conn: sa.Connection, order_id: int, group: ServerGroup | None = None) -> tuple[WeightLine, ...]:
    """The order's lines, or those of one server group."""
    query = _WEIGHTS
    if group is not None:
        query = query.where(
            t.weight.c.balancer_id == group.balancer_id,
            t.weight.c.vserver_group_id == group.vserver_group_id,
            t.weight.c.region == group.region,
        )
    return tuple(_weight(*row) for row in conn.execute(query, {"order_id": order_id}).all())


@lru_cache(maxsize=8192)
def _weight(
    host: str, server_id: str, region: str, balancer_id: str, vserver_group_id: str, port: int, recorded: int,
    asked: int | None, confirmed: int | None, verified: str | None, confirmed_at: float | None,
    owned: bool, outside: Any, outside_at: float | None, cut_again: Any, balancer_health: str | None,
    own_health: str | None, problem: str | None,
) -> WeightLine:  # fmt: skip
    return WeightLine(
        mount=Mount(host, server_id, _server_group(region, balancer_id, vserver_group_id), port),
        recorded=recorded,
        asked=asked,
        confirmed=confirmed,
        verified=None if verified is None else Verified(verified),
        confirmed_at=confirmed_at,
        owned=owned,
        problem=decode_stored_problem(problem),
        outside=outside,
        outside_at=outside_at,
        cut_again=cut_again,
        balancer_health=None if balancer_health is None else Health(balancer_health),
        own_health=None if own_health is None else Health(own_health),
    )


_server_group = lru_cache(maxsize=1024)(ServerGroup)  # one object for all of its lines


def load_steps(
    conn: sa.Connection, order_id: int, *, hosts: Collection[str] | None = None
) -> dict[tuple[RunKey, int], tuple[StepProgress, ...]]:
    """(run, attempt) → its steps in order, of these hosts or of all."""
    query = sa.select(t.step).where(t.step.c.order_id == order_id)
    if hosts is not None and len(hosts) <= HOSTS_NAMED_IN_A_QUERY:
        query = query.where(t.step.c.host.in_(hosts))
    found: dict[tuple[RunKey, int], list[StepProgress]] = {}
    for row in conn.execute(query.order_by(t.step.c.host, t.step.c.attempt, t.step.c.position)):
        key = (_DIRECTIONS[row.direction], row.node, row.host), row.attempt
        found.setdefault(key, []).append(
            StepProgress(
                row.key,
                row.position,
                StepState(row.state),
                row.started_at,
                row.ended_at,
                decode_problem(row.problem),
            )
        )
    return {key: tuple(steps) for key, steps in found.items()}


def open_orders(conn: sa.Connection) -> list[tuple[int, int]]:
    """(order id, workspace id) of every order that has not ended."""
    return [(row.id, row.workspace_id) for row in conn.execute(_OPEN_ORDERS)]


def open_orders_on(
    conn: sa.Connection,
    workspace_id: int,
    service_instances: Collection[int],
    hosts: Collection[str],
    *,
    besides: int = 0,
) -> list[int]:
    """Open orders of the workspace that are about one of the service instances or act on one of the hosts."""
    apps = sa.select(t.order_app.c.order_id).where(t.order_app.c.service_instance_id.in_(service_instances))
    named = sa.select(t.order_host.c.order_id)
    if len(hosts) <= HOSTS_NAMED_IN_A_QUERY:
        named = named.where(t.order_host.c.host.in_(hosts))
    else:
        named = named.where(
            t.order_host.c.host.in_(
                sa.select(t.host.c.name)
                .join(t.service_instance_host, t.service_instance_host.c.host_id == t.host.c.id)
                .where(t.service_instance_host.c.service_instance_id.in_(service_instances))
            )
        )
    rows = conn.execute(
        sa.select(t.order.c.id).where(
            t.order.c.workspace_id == workspace_id,
            t.order.c.state.in_(OPEN_STATES),
            t.order.c.id != besides,
            sa.or_(t.order.c.id.in_(apps), t.order.c.id.in_(named)),
        )
    )
    return sorted(rows.scalars())


# --------------------------------------------------------------------------------------------------------------- writing


def add_event(conn: sa.Connection, order_id: int, at: float, kind: str, data: Mapping[str, Any]) -> None:
    conn.execute(_EVENT, {"order_id": order_id, "at": at, "kind": kind, "data": dict(data)})


def insert_order(
    conn: sa.Connection,
    *,
    workspace_id: int,
    spec: OrderSpec,
    apps: Sequence[OrderApp],
    hosts: Sequence[str],
    created_by: str,
    now: float,
) -> int:
    """A new order in state `initialising`; its plan is made when it has been checked."""
    inserted = conn.execute(
        sa.insert(t.order)
        .values(
            workspace_id=workspace_id,
            kind=spec.kind,
            title=spec.title,
            state=str(OrderState.INITIALISING),
            spec=encode_spec(spec),
            problems=[],
            parallelism=spec.parallelism,
            reason=spec.reason,
            created_by=created_by,
            created_at=now,
            changed_at=now,
        )
        .returning(t.order.c.id)
    )
    order_id = int(inserted.scalar_one())
    for position, app in enumerate(apps):
        conn.execute(
            sa.insert(t.order_app).values(
                order_id=order_id,
                position=position,
                service_instance_id=app.service_instance_id,
                from_version=app.from_version,
                to_version=app.to_version,
                needs=list(app.needs),
            )
        )
    if hosts:
        conn.execute(sa.insert(t.order_host), [{"order_id": order_id, "host": host} for host in dict.fromkeys(hosts)])
    add_event(conn, order_id, now, "order", {"state": str(OrderState.INITIALISING), "was": ""})
    return order_id


def update_order(conn: sa.Connection, order_id: int, now: float, **values: Any) -> None:
    update(conn, t.order, {"id": order_id}, {"changed_at": now, **values})


def set_order_state(
    conn: sa.Connection, progress: OrderProgress, state: OrderState, now: float, *, problem: Problem | None = None
) -> None:
    values: dict[str, Any] = {"state": str(state), "problem": encode_problem(problem)}
    if state.complete:
        values["ended_at"] = now
    update_order(conn, progress.id, now, **values)
    data: dict[str, Any] = {"state": str(state), "was": str(progress.state)}
    if problem is not None:
        data["problem"] = problem.to_json()
    add_event(conn, progress.id, now, "order", data)


def insert_plan(conn: sa.Connection, order_id: int, plan: Plan, now: float) -> None:
    """Store the plan and its nodes and host runs, all pending; an earlier plan of the same direction is replaced."""
    column = "plan" if plan.direction is Direction.FORWARD else "back_plan"
    update_order(conn, order_id, now, **{column: encode_plan(plan)})
    direction = str(plan.direction)
    for table in (t.step, t.host_run, t.order_node):
        conn.execute(sa.delete(table).where(table.c.order_id == order_id, table.c.direction == direction))
    conn.execute(
        sa.insert(t.order_node),
        [
            {"order_id": order_id, "direction": direction, "key": node.key, "position": at, "kind": str(node.kind)}
            for at, node in enumerate(plan.nodes)
        ],
    )
    runs = [
        {
            "order_id": order_id,
            "direction": direction,
            "node": node,
            "host": host,
            "position": position,
            "job": job_of(plan.direction, node),
            "from_version": run.before.version,
            "to_version": run.after.version,
        }
        for position, ((node, host), run) in enumerate(plan.run_of.items())
    ]
    if runs:
        conn.execute(sa.insert(t.host_run), runs)


def insert_weights(
    conn: sa.Connection,
    order_id: int,
    plan: Plan,
    now: float,
    health: Mapping[Mount, HealthSeen] | None = None,
    weights: Iterable[MountWeight] = (),
) -> None:
    """The ledger's lines of the order: every mount of its server groups with the weight recorded just before the plan was made, and
    what was found of its health then. `weights` are those that were read: what a host is due may be more, when an earlier order
    has left it at 0."""
    seen = health or {}
    read = {line.mount: line.weight for line in weights}
    conn.execute(sa.delete(t.weight).where(t.weight.c.order_id == order_id))
    recorded = [*plan.beside, *(line for run in plan.run_of.values() for line in run.recorded)]
    lines = [
        {
            "order_id": order_id,
            "balancer_id": line.mount.server_group.balancer_id,
            "vserver_group_id": line.mount.server_group.vserver_group_id,
            "host": line.mount.host,
            "port": line.mount.port,
            "region": line.mount.server_group.region,
            "server_id": line.mount.server_id,
            "recorded": line.weight,
            "confirmed": read.get(line.mount, line.weight),
            "confirmed_at": now,
            "verified": str(Verified.YES),
            "balancer_health": _said(seen[line.mount].of_balancer) if line.mount in seen else None,
            "own_health": _said(seen[line.mount].ours) if line.mount in seen else None,
        }
        for line in dict.fromkeys(recorded)
    ]
    if lines:
        conn.execute(sa.insert(t.weight), lines)


def _said(health: Health | None) -> str | None:
    return None if health is None else str(health)


def write_health(
    conn: sa.Connection, order_id: int, group: ServerGroup, found: Mapping[tuple[str, int], Health], now: float
) -> bool:
    """What the balancer says of the group's health now, and an event for each host in use of which it says something else than
    before. True when something was written."""
    changed = False
    for line in load_weights(conn, order_id, group):
        says = found.get((line.mount.server_id, line.mount.port), Health.UNKNOWN)
        if says is line.balancer_health:
            continue
        changed = True
        _set_health(conn, order_id, line.mount, {"balancer_health": str(says)})
        now_is = either(says, line.own_health)
        if now_is is not line.health and line.believed > 0:
            data = {
                "host": line.mount.host,
                "server_group": str(group),
                "health": _said(now_is),
                "was": _said(line.health),
            }
            add_event(conn, order_id, now, "health", data)
    return changed


def write_own_health(conn: sa.Connection, order_id: int, host: str, health: Health) -> None:
    """What our own check of the host has just found."""
    conn.execute(
        sa.update(t.weight)
        .where(t.weight.c.order_id == order_id, t.weight.c.host == host)
        .values(own_health=str(health))
    )


def _set_health(conn: sa.Connection, order_id: int, mount: Mount, values: Mapping[str, Any]) -> None:
    key = {
        "order_id": order_id,
        "balancer_id": mount.server_group.balancer_id,
        "vserver_group_id": mount.server_group.vserver_group_id,
        "host": mount.host,
        "port": mount.port,
    }
    update(conn, t.weight, key, values)


def set_node_state(
    conn: sa.Connection, progress: OrderProgress, plan: Plan, key: str, state: NodeState, now: float, by: str = ""
) -> None:
    node = plan.node(key)
    before = progress.nodes.get((plan.direction, key))
    values: dict[str, Any] = {"state": str(state)}
    if before is None or before.started_at is None:
        values["started_at"] = now
    values["ended_at"] = now if state.complete else None
    if by:
        values["confirmed_by"] = by
    update(conn, t.order_node, {"order_id": progress.id, "direction": str(plan.direction), "key": key}, values)
    was = str(before.state) if before else str(NodeState.PENDING)
    data = {"key": key, "label": node.label.to_json(), "state": str(state), "was": was, "by": by}
    add_event(conn, progress.id, now, "node", data)


def let_go_of_weights(conn: sa.Connection, order_id: int, *, decided: Container[str]) -> None:
    """The order ends and lets go of the weights that are as they should be; what it still owns then is an orphan.

    `decided`: hosts whose weight has been given back before, so that what it is now a person has decided; of theirs only what
    nobody knows for sure is kept."""
    for line in load_weights(conn, order_id):
        if line.owned and not (line.in_doubt if line.mount.host in decided else line.left_behind):
            conn.execute(
                sa.update(t.weight)
                .where(
                    t.weight.c.order_id == order_id,
                    t.weight.c.balancer_id == line.mount.server_group.balancer_id,
                    t.weight.c.vserver_group_id == line.mount.server_group.vserver_group_id,
                    t.weight.c.host == line.mount.host,
                    t.weight.c.port == line.mount.port,
                )
                .values(owned=False)
            )


def _set_run(conn: sa.Connection, order_id: int, run: RunProgress, **values: Any) -> None:
    at = {"order_id": order_id, "direction": str(run.direction), "node": run.node, "host": run.host}
    update(conn, t.host_run, at, values)


def start_run(conn: sa.Connection, order_id: int, run: RunProgress, keys: Iterable[str], now: float) -> None:
    """The run is `running` and its steps of this attempt stand pending, before anything is done to the host. One that was held goes
    on with the steps it has."""
    running = str(RunState.RUNNING)
    if run.held:
        _set_run(conn, order_id, run, state=running)
        _host_event(conn, order_id, run, RunState.RUNNING, now, resumed=True)
        return
    _set_run(conn, order_id, run, state=running, started_at=now, ended_at=None, problem=None)
    conn.execute(
        sa.insert(t.step),
        [
            {
                "order_id": order_id,
                "direction": str(run.direction),
                "node": run.node,
                "host": run.host,
                "attempt": run.attempt,
                "position": position,
                "key": key,
            }
            for position, key in enumerate(keys)
        ],
    )
    _host_event(conn, order_id, run, RunState.RUNNING, now)


def end_run(
    conn: sa.Connection, order_id: int, run: RunProgress, state: RunState, now: float, problem: Problem | None = None
) -> None:
    _set_run(conn, order_id, run, state=str(state), ended_at=now, problem=encode_problem(problem))
    _host_event(conn, order_id, run, state, now, problem)


def hold_run(conn: sa.Connection, order_id: int, run: RunProgress, before: str, now: float) -> bool:
    """A running run stands still before its step `before`, if the order is paused; False: it is not (any more)."""
    if not conn.execute(sa.select(t.order.c.paused).where(t.order.c.id == order_id)).scalar_one():
        return False
    _set_run(conn, order_id, run, state=str(RunState.PENDING))
    _host_event(conn, order_id, run, RunState.PENDING, now, held=before)
    return True


def retry_run(conn: sa.Connection, order_id: int, run: RunProgress, now: float) -> None:
    again = {"state": str(RunState.PENDING), "attempt": run.attempt + 1}
    _set_run(conn, order_id, run, **again, problem=None, started_at=None, ended_at=None)
    _host_event(conn, order_id, run, RunState.PENDING, now)


def touch_run(conn: sa.Connection, order_id: int, run: RunProgress) -> None:
    _set_run(conn, order_id, run, touched=True)


def _host_event(
    conn: sa.Connection,
    order_id: int,
    run: RunProgress,
    state: RunState,
    now: float,
    problem: Problem | None = None,
    **more: object,
) -> None:
    data: dict[str, Any] = {
        "host": run.host,
        "node": run.node,
        "state": str(state),
        "was": str(run.state),
        "attempt": run.attempt,
        **more,
    }
    if problem is not None:
        data["problem"] = problem.to_json()
    add_event(conn, order_id, now, "host", data)


def set_step(
    conn: sa.Connection,
    order_id: int,
    run: RunProgress,
    step: StepProgress,
    state: StepState,
    now: float,
    *,
    epoch: int,
    problem: Problem | None = None,
) -> None:
    values: dict[str, Any] = {"state": str(state), "epoch": epoch, "problem": encode_problem(problem)}
    if state is StepState.RUNNING:
        values["started_at"] = now
    elif state.complete:
        values["ended_at"] = now
    at = {"order_id": order_id, "direction": str(run.direction), "node": run.node, "host": run.host}
    update(conn, t.step, at | {"attempt": run.attempt, "position": step.position}, values)
    data: dict[str, Any] = {"host": run.host, "step": step.key, "state": str(state), "attempt": run.attempt}
    if problem is not None:
        data["problem"] = problem.to_json()
    add_event(conn, order_id, now, "step", data)


def set_host(conn: sa.Connection, workspace_id: int, host: str, **values: Any) -> None:
    update(conn, t.host, {"workspace_id": workspace_id, "name": host}, values)


def record_success(conn: sa.Connection, order_id: int, service_instance_id: int, version: str, now: float) -> None:
    """The version runs here now, and can be gone back to."""
    conn.execute(
        sa.update(t.service_instance)
        .where(t.service_instance.c.id == service_instance_id)
        .values(current_version=version)
    )
    conn.execute(
        sa.insert(t.succeeded_version).values(
            service_instance_id=service_instance_id, version=version, order_id=order_id, at=now
        )
    )


def place_of(line: WeightLine) -> tuple[str, int, str]:
    """The mount as the balancer knows it: server, port, server group."""
    return line.mount.server_id, line.mount.port, str(line.mount.server_group)


def held_by_others(conn: sa.Connection, progress: OrderProgress) -> dict[tuple[str, int, str], int]:
    """Mounts that an order at work may be moving, with that order."""
    weight = t.weight.c
    servers = {line.mount.server_id for line in progress.weights if line.left_behind}
    query = (
        sa.select(t.weight.c.order_id)
        .join(t.order, t.order.c.id == weight.order_id)
        .where(t.order.c.state.in_(_STARTED), weight.server_id.in_(servers), weight.order_id != progress.id)
    )
    found: dict[tuple[str, int, str], int] = {}
    for order_id in sorted(set(conn.execute(query).scalars())):
        hosts = set(conn.execute(sa.select(t.order_host.c.host).where(t.order_host.c.order_id == order_id)).scalars())
        found |= {place_of(line): order_id for line in load_weights(conn, order_id) if line.mount.host in hosts}
    return found
