"""Remedies that were a step: what was begun, how it ended, and how often each has helped here. Called inside a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress
from engine.domain.states import OrderState, RunState, StepState
from engine.plan.remedies import Offer
from engine.store import tables as t
from engine.store.encoding import decode_problem, encode_problem
from engine.store.events import add_event
from engine.store.plans import replace_plan
from engine.store.statements import update

REMEMBERED = 500  # how many of the newest count


@dataclass(frozen=True, slots=True)
class RemedyDone:
    """What became of a remedy on one host. `state`: running; succeeded: it was done, and the host is tried again; skipped: it
    showed what it shows, and nothing is tried again; failed. `deadline_s` is the one it gives, or 0."""

    host: str
    code: str
    remedy: str
    state: RunState
    problem: Problem | None
    deadline_s: float
    begun_at: float


def begin_remedies(
    conn: sa.Connection, order_id: int, command_id: int, offers: Iterable[Offer], now: float
) -> set[str]:
    """Write down that it is begun on these hosts, before it is. Returns those on which it had ended before: the engine that did it
    was lost before it could answer."""
    known = {row.host: row.state for row in _of_command(conn, command_id)}
    for offer in offers:
        if offer.host in known:
            continue
        run = offer.run
        values = {
            "command_id": command_id,
            "host": offer.host,
            "order_id": order_id,
            "direction": str(run.direction) if run is not None else "",
            "node": run.node if run is not None else "",
            "attempt": run.attempt if run is not None else 0,
            "step": offer.step,
            "code": offer.code,
            "remedy": offer.remedy.name,
            "state": str(RunState.RUNNING),
            "begun_at": now,
        }
        conn.execute(sa.insert(t.remedy), values)
        _event(conn, order_id, offer, RunState.RUNNING, now)
    return {host for host, state in known.items() if state != RunState.RUNNING}


def end_remedy(
    conn: sa.Connection,
    order_id: int,
    command_id: int,
    offer: Offer,
    state: RunState,
    now: float,
    *,
    problem: Problem | None = None,
    deadline_s: float = 0.0,
) -> None:
    values = {"state": str(state), "ended_at": now, "problem": encode_problem(problem), "deadline_s": deadline_s}
    update(conn, t.remedy, {"command_id": command_id, "host": offer.host}, values)
    _event(conn, order_id, offer, state, now, problem, deadline_s)


def _event(
    conn: sa.Connection,
    order_id: int,
    offer: Offer,
    state: RunState,
    now: float,
    problem: Problem | None = None,
    deadline_s: float = 0.0,
) -> None:
    data: dict[str, Any] = {"host": offer.host, "remedy": offer.remedy.name, "state": str(state), "code": offer.code}
    if deadline_s:
        data |= {"deadline_s": deadline_s, "step": offer.step}
    if problem is not None:
        data["problem"] = problem.to_json()
    add_event(conn, order_id, now, "remedy", data)


def remedies_of_command(conn: sa.Connection, command_id: int) -> tuple[RemedyDone, ...]:
    return tuple(_done(row) for row in _of_command(conn, command_id))


def remedies_of_order(conn: sa.Connection, order_id: int) -> tuple[tuple[int, RemedyDone], ...]:
    """(command, what became of it), oldest first."""
    query = sa.select(t.remedy).where(t.remedy.c.order_id == order_id).order_by(t.remedy.c.command_id, t.remedy.c.host)
    return tuple((row.command_id, _done(row)) for row in conn.execute(query))


def _of_command(conn: sa.Connection, command_id: int) -> Sequence[Any]:
    return conn.execute(sa.select(t.remedy).where(t.remedy.c.command_id == command_id)).all()


def _done(row: Any) -> RemedyDone:
    problem = decode_problem(row.problem)
    return RemedyDone(row.host, row.code, row.remedy, RunState(row.state), problem, row.deadline_s, row.begun_at)


def lengthen_deadlines(
    conn: sa.Connection, progress: OrderProgress, offers: Iterable[tuple[Offer, float]], now: float
) -> None:
    """The failed step of each host has so many seconds from now on, in this order only."""
    plan = progress.current_plan
    assert plan is not None, "a host that failed stands in a plan"
    wanted = {(offer.run.node, offer.host): (offer.step, deadline_s) for offer, deadline_s in offers if offer.run}
    nodes = []
    for node in plan.nodes:
        runs = []
        for run in node.runs:
            step, deadline_s = wanted.get((node.key, run.host), ("", 0.0))
            steps = (replace(each, deadline_s=deadline_s) if each.key == step else each for each in run.steps)
            runs.append(replace(run, steps=tuple(steps)) if step else run)
        nodes.append(replace(node, runs=tuple(runs)))
    replace_plan(conn, progress.id, replace(plan, nodes=tuple(nodes)), now)


# --------------------------------------------------------------------------------------------------------- did it help?


def helped_here(conn: sa.Connection, workspace_id: int, codes: Iterable[str]) -> dict[tuple[str, str], tuple[int, int]]:
    """(problem's code, remedy) → how often it helped in this workspace, and how often it was tried and one knows."""
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for code, remedy, helped in (*_of_steps(conn, workspace_id, codes), *_of_checks(conn, workspace_id, codes)):
        before = counts.get((code, remedy), (0, 0))
        counts[code, remedy] = before[0] + helped, before[1] + 1
    return counts


def _newest(workspace_id: int, codes: Iterable[str], *columns: Any) -> sa.Select[Any]:
    return (
        sa.select(t.remedy, *columns)
        .join(t.order, t.order.c.id == t.remedy.c.order_id)
        .where(
            t.order.c.workspace_id == workspace_id,
            t.remedy.c.code.in_(list(codes)),
            t.remedy.c.state.in_([str(RunState.SUCCEEDED), str(RunState.FAILED)]),
        )
        .order_by(t.remedy.c.command_id.desc())
        .limit(REMEMBERED)
    )


def _of_steps(conn: sa.Connection, workspace_id: int, codes: Iterable[str]) -> Iterable[tuple[str, str, bool]]:
    """It helped when the step that had failed succeeded in the next attempt. One that has not come to that step says nothing."""
    r, s = t.remedy.c, t.step.c
    after = sa.and_(
        s.order_id == r.order_id,
        s.direction == r.direction,
        s.node == r.node,
        s.host == r.host,
        s.attempt == r.attempt + 1,
        s.key == r.step,
    )
    query = _newest(workspace_id, codes, s.state.label("became")).outerjoin(t.step, after).where(r.node != "")
    for row in conn.execute(query):
        became = StepState(row.became) if row.became else None
        if row.state == RunState.FAILED or (became is not None and became.halts):
            yield row.code, row.remedy, False
        elif became in (StepState.SUCCEEDED, StepState.SKIPPED):
            yield row.code, row.remedy, True


def _of_checks(conn: sa.Connection, workspace_id: int, codes: Iterable[str]) -> Iterable[tuple[str, str, bool]]:
    """It helped when the check that followed did not find it any more. Of several for one host the last one did, if any."""
    columns = t.order.c.state.label("order_state"), t.order.c.problems
    seen: set[tuple[int, str, str]] = set()
    for row in conn.execute(_newest(workspace_id, codes, *columns).where(t.remedy.c.node == "")):
        there = (row.order_id, row.host, row.code)
        later = there in seen
        if row.state == RunState.SUCCEEDED and row.order_state == OrderState.INITIALISING and not later:
            seen.add(there)
            continue
        found = {(each["host"], each["problem"]["code"]) for each in row.problems or ()}
        still_there = (row.host, row.code) in found
        yield row.code, row.remedy, not (row.state == RunState.FAILED or later or still_there)
        seen.add(there)
