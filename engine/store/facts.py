"""The facts an order is planned from, as the store has them: its apps here, their packages, and the other orders at work."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from engine.domain.fleet import Facts, InstanceFacts, Mount
from engine.domain.orders import AppAsked
from engine.domain.states import Direction, HostState, RunState
from engine.store import tables as t
from engine.store.encoding import decode_stored_plan
from engine.store.fleets import load_instance, load_package
from engine.store.order_states import ENDED_STATES
from engine.store.orders import open_orders_on
from engine.store.statements import text_of
from engine.store.weights import load_weights


def load_facts(conn: sa.Connection, workspace_id: int, asked: Sequence[AppAsked], *, besides: int = 0) -> Facts:
    """Without weights: those are the balancer's. Apps that are not in the workspace are left out, and packages that are not in the
    catalogue; `besides` is the order itself."""
    instances = [found for app in asked if (found := _instance(conn, workspace_id, app.app)) is not None]
    packages = {
        (app.app, version): package
        for app in instances
        for version in _versions(asked, app)
        if (package := load_package(conn, app.app_id, version)) is not None
    }
    ids = [app.service_instance_id for app in instances]
    hosts = list(dict.fromkeys(host.name for app in instances for host in app.hosts))
    offline = {host.name for app in instances for host in app.hosts if host.state is HostState.OFFLINE}
    return Facts(
        apps=tuple(instances),
        packages=packages,
        given=_given(conn, workspace_id, instances, offline),
        left=_not_brought_online(conn, workspace_id, instances) | _left(conn, workspace_id, instances),
        open_orders=tuple(open_orders_on(conn, workspace_id, ids, hosts, besides=besides)),
    )


def instance_id(conn: sa.Connection, workspace_id: int, app: str) -> int | None:
    """The id of the app's service instance in the workspace, if it has one."""
    return conn.execute(
        sa.select(t.service_instance.c.id)
        .join(t.app, t.app.c.id == t.service_instance.c.app_id)
        .where(t.service_instance.c.workspace_id == workspace_id, t.app.c.name == app)
    ).scalar_one_or_none()


def _instance(conn: sa.Connection, workspace_id: int, app: str) -> InstanceFacts | None:
    found = instance_id(conn, workspace_id, app)
    return None if found is None else load_instance(conn, found)


def _versions(asked: Sequence[AppAsked], app: InstanceFacts) -> list[str]:
    wanted = [each.version or app.current_version for each in asked if each.app == app.app]
    # and those that a way back may go to
    wanted += [*app.succeeded_versions, *(host.version for host in app.hosts)]
    return [version for version in dict.fromkeys(wanted) if version]


def _left(conn: sa.Connection, workspace_id: int, apps: Sequence[InstanceFacts]) -> dict[Mount, int]:
    """Of the mounts an ended order still holds: what each had before it. The last such order counts."""
    mounts = [mount for app in apps for mount in app.mounts]
    orders = (
        sa.select(t.weight.c.order_id)
        .join(t.order, t.order.c.id == t.weight.c.order_id)
        .where(t.order.c.workspace_id == workspace_id, t.order.c.state.in_(ENDED_STATES), t.weight.c.owned)
        .distinct()
        .order_by(t.weight.c.order_id)
    )
    due = {
        line.mount: line.due
        for order_id in conn.execute(orders).scalars().all()
        for line in load_weights(conn, order_id)
        if line.owned and line.due > 0
    }
    return {mount: due[mount] for mount in mounts if mount in due}


def _not_brought_online(conn: sa.Connection, workspace_id: int, apps: Sequence[InstanceFacts]) -> dict[Mount, int]:
    """Of the mounts of hosts that an order has begun with while they were offline, and that none has brought to its end since:
    their 0 is wanted no longer, and they are due what they had before."""
    failed = {host.name for app in apps for host in app.hosts if host.state is HostState.DEPLOY_FAILED}
    run = t.host_run.c
    rows = conn.execute(
        sa.select(run.host, run.node, run.state, run.order_id)
        .join(t.order, t.order.c.id == run.order_id)
        .where(
            t.order.c.workspace_id == workspace_id,
            t.order.c.state.in_(ENDED_STATES),
            run.direction == str(Direction.FORWARD),
            run.started_at.is_not(None),
            run.host.in_(sorted(failed)),
        )
        .order_by(run.order_id.desc())
    ).all()
    hosts: dict[str, bool] = {}
    for row in rows:
        if row.host not in hosts and row.state == str(RunState.SUCCEEDED):
            hosts[row.host] = False
        elif row.host not in hosts and _began_offline(conn, row):
            hosts[row.host] = True
    return _given(conn, workspace_id, apps, {host for host, due in hosts.items() if due})


def _began_offline(conn: sa.Connection, run: Any) -> bool:
    text = conn.execute(sa.select(text_of(t.order.c.plan)).where(t.order.c.id == run.order_id)).scalar_one()
    plan = decode_stored_plan(text)
    return plan is not None and plan.run_of[run.node, run.host].before.state is HostState.OFFLINE


def _given(
    conn: sa.Connection, workspace_id: int, apps: Sequence[InstanceFacts], hosts: Collection[str]
) -> dict[Mount, int]:
    """Of the mounts of these hosts: the last weight above 0 that an order recorded."""
    mounts = [mount for app in apps for mount in app.mounts if mount.host in hosts]
    if not mounts:
        return {}
    line = t.weight.c
    rows = conn.execute(
        sa.select(line.host, line.balancer_id, line.vserver_group_id, line.port, line.recorded)
        .join(t.order, t.order.c.id == line.order_id)
        .where(t.order.c.workspace_id == workspace_id, line.recorded > 0, line.host.in_(sorted(hosts)))
        .order_by(line.order_id)
    )
    last = {(row.host, row.balancer_id, row.vserver_group_id, row.port): row.recorded for row in rows}
    found: dict[Mount, int] = {}
    for mount in mounts:
        group = mount.server_group
        weight = last.get((mount.host, group.balancer_id, group.vserver_group_id, mount.port))
        if weight is not None:
            found[mount] = weight
    return found
