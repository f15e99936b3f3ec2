"""The weights of an order: a line per mount of its server groups. Called inside a transaction."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from engine.domain.fleet import Mount, MountWeight, ServerGroup
from engine.domain.health import HealthSeen, either
from engine.domain.orders import Plan
from engine.domain.progress import OrderProgress, WeightLine
from engine.domain.states import Health, Verified
from engine.store import tables as t
from engine.store.encoding import decode_stored_problem
from engine.store.events import add_event
from engine.store.order_states import STARTED_STATES
from engine.store.statements import columns, text_of, update

_ORDER = sa.bindparam("order_id", type_=sa.BigInteger)
_WEIGHTS = (
    sa.select(
        *columns(
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
        text_of(t.weight.c.problem),
    )
    .where(t.weight.c.order_id == _ORDER)
    .order_by(t.weight.c.host, t.weight.c.balancer_id, t.weight.c.vserver_group_id, t.weight.c.port)
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
        set_line(conn, order_id, line.mount, {"balancer_health": str(says)})
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


def set_line(conn: sa.Connection, order_id: int, mount: Mount, values: Mapping[str, Any]) -> None:
    update(conn, t.weight, {"order_id": order_id, **mount_columns(mount)}, values)


def mount_columns(mount: Mount) -> dict[str, Any]:
    """The columns that say which mount a row of the order is about."""
    return {
        "balancer_id": mount.server_group.balancer_id,
        "vserver_group_id": mount.server_group.vserver_group_id,
        "host": mount.host,
        "port": mount.port,
    }


def let_go_of_hosts(conn: sa.Connection, order_id: int, hosts: Collection[str]) -> None:
    """A person has decided: the weights of these hosts are what they should be."""
    at = (t.weight.c.order_id == order_id, t.weight.c.host.in_(hosts))
    conn.execute(sa.update(t.weight).where(*at).values(owned=False))


def hold_again(conn: sa.Connection, order_id: int, hosts: Collection[str]) -> None:
    """These hosts get back what the order has changed: weights that it left at 0, and let go of, are in its hands again."""
    for line in load_weights(conn, order_id):
        if line.mount.host in hosts and line.asked == line.believed == 0 < line.due:
            set_line(conn, order_id, line.mount, {"owned": True})


def let_go_of_weights(conn: sa.Connection, order_id: int, *, decided: Container[str]) -> None:
    """The order ends and lets go of the weights that are as they should be; what it still owns then is an orphan.

    `decided`: hosts whose weight has been given back before, so that what it is now a person has decided; of theirs only what
    nobody knows for sure is kept."""
    for line in load_weights(conn, order_id):
        if line.owned and not (line.in_doubt if line.mount.host in decided else line.left_behind):
            set_line(conn, order_id, line.mount, {"owned": False})


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
        .where(t.order.c.state.in_(STARTED_STATES), weight.server_id.in_(servers), weight.order_id != progress.id)
    )
    found: dict[tuple[str, int, str], int] = {}
    for order_id in sorted(set(conn.execute(query).scalars())):
        hosts = set(conn.execute(sa.select(t.order_host.c.host).where(t.order_host.c.order_id == order_id)).scalars())
        found |= {place_of(line): order_id for line in load_weights(conn, order_id) if line.mount.host in hosts}
    return found
