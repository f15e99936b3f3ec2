"""Calls that change weights: what is written before each one and after it. Called inside a transaction; no call is made here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from engine.domain.fleet import Mount, ServerGroup
from engine.domain.problem import Problem
from engine.domain.progress import WeightLine
from engine.domain.states import Health, RunState, Verified
from engine.plan.outside import Seen, Verdict, Wish, judge, notice, to_cut_again
from engine.store import tables as t
from engine.store.events import add_event
from engine.store.order_states import ENDED_STATES
from engine.store.statements import update
from engine.store.weights import let_go_of_hosts, load_weights, mount_columns, set_line, write_health

# Run for every weight that is moved: built once, as in `engine.store.statements`.
_CALL = sa.insert(t.weight_call).returning(t.weight_call.c.id)
_LOST = (
    sa.select(t.weight_call.c.id, t.weight_call.c.host, t.weight_call.c.port, t.weight_call.c.asked)
    .where(
        t.weight_call.c.order_id == sa.bindparam("order_id"),
        t.weight_call.c.balancer_id == sa.bindparam("balancer_id"),
        t.weight_call.c.vserver_group_id == sa.bindparam("vserver_group_id"),
        t.weight_call.c.ended_at.is_(None),
    )
    .order_by(t.weight_call.c.id)
)
_AT_WORK = sa.select(t.host_run.c.host).where(
    t.host_run.c.order_id == sa.bindparam("order_id"), t.host_run.c.state == str(RunState.RUNNING)
)
_AT = (
    t.weight.c.server_id == sa.bindparam("of_server"),
    t.weight.c.balancer_id == sa.bindparam("of_balancer"),
    t.weight.c.vserver_group_id == sa.bindparam("of_group"),
    t.weight.c.port == sa.bindparam("of_port"),
)
_LET_GO = (
    sa.update(t.weight)
    .where(
        t.weight.c.owned,
        t.weight.c.order_id != sa.bindparam("not_of"),
        t.weight.c.order_id.in_(sa.select(t.order.c.id).where(t.order.c.state.in_(ENDED_STATES))),
        *_AT,
    )
    .values(owned=False)
)


@dataclass(frozen=True, slots=True)
class MoveResult:
    """What became of one weight. `read_back` None: it could not be read. `problem` is set unless verified is YES. `kept`: what
    was asked for was not given, because somebody else had set `asked` meanwhile. `withdrawn`: nobody wanted it any more before it
    was done."""

    mount: Mount
    asked: int
    read_back: int | None
    verified: Verified
    problem: Problem | None = None
    kept: bool = False
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """A call in the making: one verdict a wish, the row of `weight_call` of each that needs the call (0: none), and the mounts
    somebody else has put in that are to be cut once more."""

    verdicts: tuple[Verdict, ...]
    rows: tuple[int, ...]
    cut_again: tuple[Mount, ...] = ()


def open_call(
    conn: sa.Connection,
    order_id: int,
    epoch: int,
    group: ServerGroup,
    wishes: Sequence[Wish],
    seen: Seen,
    busy: frozenset[Mount],
    now: float,
    health: Mapping[tuple[str, int], Health] | None = None,
) -> Opened:
    """Before the call: notice what somebody else has changed in the group, decide what is to be asked, write the intent.
    `busy` are mounts that are being asked for anyway; `health` is what the balancer's checks say now (None: not asked)."""
    complete_lost_calls(conn, order_id, group, seen, now)
    if health is not None:
        write_health(conn, order_id, group, health, now)
    lines = load_weights(conn, order_id, group)
    noticed = notice(lines, seen, now)
    again = [line for line in to_cut_again(noticed, _at_work(conn, order_id)) if line.mount not in busy]
    for line in noticed:
        _write_notice(conn, order_id, line, lines, line in again, now)
    current = {line.mount: line for line in lines} | {line.mount: line for line in noticed}
    verdicts = judge(wishes, list(current.values()), {line.mount for line in noticed}, seen)
    rows = [
        _open_row(conn, order_id, epoch, wish.mount, verdict.weight, seen, now) if verdict.call else 0
        for wish, verdict in zip(wishes, verdicts, strict=True)
    ]
    return Opened(tuple(verdicts), tuple(rows), tuple(line.mount for line in again))


def close_call(
    conn: sa.Connection,
    order_id: int,
    wishes: Sequence[Wish],
    opened: Opened,
    results: Sequence[MoveResult],
    seen: Seen,
    *,
    request_id: str,
    api_code: str,
    now: float,
) -> None:
    """After the call: what was read back, what the order holds now, and an event a mount."""
    for wish, verdict, row, result in zip(wishes, opened.verdicts, opened.rows, results, strict=True):
        if row:
            values = {"request_id": request_id, "api_code": api_code, "ended_at": now}
            values |= {"read_back": result.read_back, "verified": str(result.verified)}
            update(conn, t.weight_call, {"id": row}, values)
        _write_weight(conn, order_id, wish, verdict, result, now)
        data = {
            "host": wish.mount.host,
            "server_group": str(wish.mount.server_group),
            "before": seen.get((wish.mount.server_id, wish.mount.port)),
            "asked": verdict.weight,
            "read_back": result.read_back,
            "verified": str(result.verified),
        }
        if row:
            add_event(conn, order_id, now, "weight", data)


def keep_at_zero(conn: sa.Connection, order_id: int, host: str) -> None:
    """Weight 0 is wanted there from now on: neither the order nor an ended one that had left it at 0 holds it any longer."""
    let_go_of_hosts(conn, order_id, [host])
    for line in load_weights(conn, order_id):
        if line.mount.host == host:
            _let_go_of_ended(conn, order_id, line.mount)


def lost_groups(conn: sa.Connection, order_id: int) -> frozenset[ServerGroup]:
    """Server groups of the order with rows that an engine left without an outcome."""
    call = t.weight_call.c
    query = sa.select(call.balancer_id, call.vserver_group_id).where(call.order_id == order_id, call.ended_at.is_(None))
    lost = {tuple(row) for row in conn.execute(query.distinct())}
    if not lost:
        return frozenset()
    groups = {line.mount.server_group for line in load_weights(conn, order_id)}
    return frozenset(group for group in groups if (group.balancer_id, group.vserver_group_id) in lost)


def complete_lost_calls(conn: sa.Connection, order_id: int, group: ServerGroup, seen: Seen, now: float) -> None:
    """Rows that an engine left without an outcome get theirs from what the balancer shows now."""
    asked = {"order_id": order_id, "balancer_id": group.balancer_id, "vserver_group_id": group.vserver_group_id}
    lost = conn.execute(_LOST, asked).all()
    if not lost:
        return
    lines = {(line.mount.host, line.mount.port): line for line in load_weights(conn, order_id, group)}
    for row in lost:
        line = lines[row.host, row.port]
        weight = seen.get((line.mount.server_id, row.port))
        verified = Verified.YES if weight == row.asked else Verified.NO
        outcome = {"read_back": weight, "verified": str(verified), "ended_at": now}
        update(conn, t.weight_call, {"id": row.id}, outcome)
        if verified is Verified.YES and line.in_doubt and line.asked == row.asked:
            values = {"confirmed": weight, "confirmed_at": now, "verified": str(verified), "problem": None}
            set_line(conn, order_id, line.mount, values)


def _at_work(conn: sa.Connection, order_id: int) -> frozenset[str]:
    return frozenset(conn.execute(_AT_WORK, {"order_id": order_id}).scalars())


def _write_notice(
    conn: sa.Connection, order_id: int, line: WeightLine, lines: Sequence[WeightLine], again: bool, now: float
) -> None:
    was = next(each.believed for each in lines if each.mount == line.mount)
    values = {
        "outside": line.outside,
        "outside_at": now,
        "confirmed": line.confirmed,
        "confirmed_at": now,
        "verified": str(line.verified),
        "cut_again": line.cut_again or again,
    }
    set_line(conn, order_id, line.mount, values)
    data = {
        "host": line.mount.host,
        "server_group": str(line.mount.server_group),
        "was": was,
        "now": line.outside,
        "cut_again": again,
    }
    add_event(conn, order_id, now, "outside", data)


def _open_row(conn: sa.Connection, order_id: int, epoch: int, mount: Mount, weight: int, seen: Seen, now: float) -> int:
    before = seen.get((mount.server_id, mount.port))
    intent = {
        "order_id": order_id,
        **mount_columns(mount),
        "before": before,
        "asked": weight,
        "epoch": epoch,
        "at": now,
    }
    row = int(conn.execute(_CALL, intent).scalar_one())
    set_line(conn, order_id, mount, {"asked": weight, "owned": True, "verified": None})
    return row


def _write_weight(
    conn: sa.Connection, order_id: int, wish: Wish, verdict: Verdict, result: MoveResult, now: float
) -> None:
    values: dict[str, object] = {"problem": result.problem.to_json() if result.problem else None}
    if verdict.call or result.problem is None:
        values["verified"] = str(result.verified)
    if result.problem is None and not wish.owned:
        values["owned"] = False  # given back
    if result.problem is None and wish.by_hand:
        values |= {"outside": None, "outside_at": None}  # a person of ours has decided, knowing of it
    if result.read_back is not None and (verdict.call or result.problem is None):
        # Else somebody else has moved it since nothing was asked for: what is believed stays, so that it is noticed.
        values |= {"confirmed": result.read_back, "confirmed_at": now}
    set_line(conn, order_id, wish.mount, values)
    if result.problem is None and result.asked > 0:
        _let_go_of_ended(conn, order_id, wish.mount)


def _let_go_of_ended(conn: sa.Connection, order_id: int, mount: Mount) -> None:
    """The mount takes traffic again, or is wanted at 0, so an ended order that had left it at 0 holds it no longer."""
    conn.execute(_LET_GO, {"not_of": order_id, **_at(mount)})


def _at(mount: Mount) -> dict[str, object]:
    group = {"of_balancer": mount.server_group.balancer_id, "of_group": mount.server_group.vserver_group_id}
    return {"of_server": mount.server_id, "of_port": mount.port, **group}
