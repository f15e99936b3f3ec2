"""Host runs and their steps: reading how far they are, and the rows each change of one writes. Called inside a transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from engine.domain.message import Message
from engine.domain.problem import Problem
from engine.domain.progress import RunKey, RunProgress, StepProgress
from engine.domain.states import Direction, Leaving, RunState, StepState
from engine.store import tables as t
from engine.store.encoding import decode_problem, decode_stored_problem, encode_problem
from engine.store.events import add_event
from engine.store.statements import HOSTS_NAMED_IN_A_QUERY, columns, text_of, update

_ORDER = sa.bindparam("order_id", type_=sa.BigInteger)
_DIRECTIONS = {str(direction): direction for direction in Direction}
_RUNS = sa.select(
    *columns(t.host_run, "direction", "node", "host", "state", "attempt", "from_version", "to_version", "touched"),
    text_of(t.host_run.c.problem),
    *columns(t.host_run, "started_at", "ended_at", "job", "failed_at", "from_start"),
    text_of(t.host_run.c.skips),
    *columns(t.host_run, "leaving", "position"),
).where(t.host_run.c.order_id == _ORDER)


def load_runs(conn: sa.Connection, order_id: int) -> dict[RunKey, RunProgress]:
    """In plan order, the way back behind the way forward."""
    rows = sorted(conn.execute(_RUNS, {"order_id": order_id}).all(), key=lambda row: (row[0] == "back", row[-1]))
    return {run.key: run for run in (_run(*row[:-1]) for row in rows)}


# A host's row and a weight's are read a thousand times for each time they change: the same row is the same object.
@lru_cache(maxsize=8192)
def _run(
    direction: str, node: str, host: str, state: str, attempt: int, from_version: str, to_version: str, touched: bool,
    problem: str | None, started_at: float | None, ended_at: float | None, job: str, failed_at: str, from_start: bool,
    skips: str | None, leaving: str,
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
        failed_at=failed_at,
        from_start=from_start,
        skips=tuple(json.loads(skips)) if skips else (),
        leaving=Leaving(leaving),
    )


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
                row.kept_from,
            )
        )
    return {key: tuple(steps) for key, steps in found.items()}


def _set_run(conn: sa.Connection, order_id: int, run: RunProgress, **values: Any) -> None:
    update(conn, t.host_run, {"order_id": order_id, **_at(run)}, values)


def _at(run: RunProgress) -> dict[str, Any]:
    return {"direction": str(run.direction), "node": run.node, "host": run.host}


def start_run(conn: sa.Connection, order_id: int, run: RunProgress, keys: Iterable[str], now: float) -> None:
    """The run is `running` and its steps of this attempt stand pending, before anything is done to the host; those that the attempt
    before has done stand as kept, until the host has been asked. One that was held goes on with the steps it has."""
    running = str(RunState.RUNNING)
    if run.held:
        _set_run(conn, order_id, run, state=running)
        _host_event(conn, order_id, run, RunState.RUNNING, now, resumed=True)
        return
    _set_run(conn, order_id, run, state=running, started_at=now, ended_at=None, problem=None)
    pending = {"state": str(StepState.PENDING), "started_at": None, "ended_at": None, "kept_from": 0}
    kept = {} if run.from_start or run.leaving else _done_before(conn, order_id, run)
    skipped = pending | {"state": str(StepState.SKIPPED), "started_at": now, "ended_at": now}
    kept |= {} if run.leaving else dict.fromkeys(run.skips, skipped)
    conn.execute(
        sa.insert(t.step),
        [
            {"order_id": order_id, **_at(run), "attempt": run.attempt, "position": position, "key": key}
            | kept.get(key, pending)
            for position, key in enumerate(keys)
        ],
    )
    _host_event(conn, order_id, run, RunState.RUNNING, now, leaving=run.leaving)


def _done_before(conn: sa.Connection, order_id: int, run: RunProgress) -> dict[str, dict[str, Any]]:
    """The steps that the attempt before has done, or kept itself: what their rows are in the next one."""
    if run.attempt == 1:
        return {}
    return {
        step.key: {
            "state": str(step.state),
            "started_at": step.started_at,
            "ended_at": step.ended_at,
            "kept_from": step.kept_from or run.attempt - 1,
        }
        for step in load_steps(conn, order_id, hosts=[run.host]).get((run.key, run.attempt - 1), ())
        if step.state in (StepState.SUCCEEDED, StepState.SKIPPED)
    }


def keep_steps(conn: sa.Connection, order_id: int, run: RunProgress, steps: Iterable[StepProgress]) -> None:
    """The steps as they stand after the host was asked: kept from an earlier attempt, or pending."""
    for step in steps:
        values: dict[str, Any] = {"state": str(step.state), "kept_from": step.kept_from}
        values |= {"started_at": step.started_at, "ended_at": step.ended_at}
        at = {"order_id": order_id, **_at(run), "attempt": run.attempt, "position": step.position}
        update(conn, t.step, at, values)


def begins_event(
    conn: sa.Connection, order_id: int, run: RunProgress, step: str, kept: int, why: Message | None, now: float
) -> None:
    """Where a host that is tried again begins, how many steps are kept, and what was not so any more."""
    data = {"host": run.host, "node": run.node, "attempt": run.attempt, "step": step, "kept": kept}
    add_event(conn, order_id, now, "begins", data | ({} if why is None else {"why": why.to_json()}))


def end_run(
    conn: sa.Connection,
    order_id: int,
    run: RunProgress,
    state: RunState,
    now: float,
    problem: Problem | None = None,
    *,
    failed_at: str = "",
) -> None:
    """`failed_at`: at which step, when it has failed."""
    values = {"failed_at": failed_at} if failed_at else {}
    _set_run(conn, order_id, run, state=str(state), ended_at=now, problem=encode_problem(problem), **values)
    _host_event(conn, order_id, run, state, now, problem, leaving=run.leaving)


def hold_run(conn: sa.Connection, order_id: int, run: RunProgress, before: str, now: float) -> bool:
    """A running run stands still before its step `before`, if the order is paused; False: it is not (any more)."""
    if not conn.execute(sa.select(t.order.c.paused).where(t.order.c.id == order_id)).scalar_one():
        return False
    _set_run(conn, order_id, run, state=str(RunState.PENDING))
    _host_event(conn, order_id, run, RunState.PENDING, now, held=before)
    return True


def retry_run(conn: sa.Connection, order_id: int, run: RunProgress, now: float, *, from_start: bool = False) -> None:
    """What was skipped is done as well when everything is done again."""
    again = {"from_start": from_start, "leaving": "", "skips": None if from_start else list(run.skips) or None}
    _begin_again(conn, order_id, run, again)
    _host_event(conn, order_id, run, RunState.PENDING, now)


def go_on_with(conn: sa.Connection, order_id: int, run: RunProgress, now: float) -> None:
    """One more attempt of a kind that its end does not change: one that leaves still leaves."""
    _begin_again(conn, order_id, run, {"from_start": False})
    _host_event(conn, order_id, run, RunState.PENDING, now)


def skip_step(conn: sa.Connection, order_id: int, run: RunProgress, step: str, now: float) -> None:
    """The host goes on in a new attempt, behind that step."""
    skips = list(dict.fromkeys([*run.skips, step]))
    _begin_again(conn, order_id, run, {"from_start": False, "leaving": "", "skips": skips})
    _host_event(conn, order_id, run, RunState.PENDING, now, skipped=step)


def leave(conn: sa.Connection, order_id: int, run: RunProgress, how: Leaving, now: float) -> None:
    """The host gets its weight back in an attempt of its own."""
    _begin_again(conn, order_id, run, {"from_start": False, "leaving": str(how)})
    _host_event(conn, order_id, run, RunState.PENDING, now, leaving=how)


def call_off(conn: sa.Connection, order_id: int, run: RunProgress, how: Leaving, now: float) -> None:
    """The host leaves as it is: nothing is to be given back."""
    _set_run(conn, order_id, run, state=str(RunState.SKIPPED), leaving=str(how), ended_at=now)
    _host_event(conn, order_id, run, RunState.SKIPPED, now, leaving=how)


def _begin_again(conn: sa.Connection, order_id: int, run: RunProgress, values: Mapping[str, Any]) -> None:
    again = {"state": str(RunState.PENDING), "attempt": run.attempt + 1}
    _set_run(conn, order_id, run, **again, **values, problem=None, started_at=None, ended_at=None)


def touch_run(conn: sa.Connection, order_id: int, run: RunProgress) -> None:
    _set_run(conn, order_id, run, touched=True)


def _host_event(
    conn: sa.Connection,
    order_id: int,
    run: RunProgress,
    state: RunState,
    now: float,
    problem: Problem | None = None,
    *,
    leaving: Leaving = Leaving.STAYS,
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
    if leaving:
        data["leaving"] = str(leaving)
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
    at = {"order_id": order_id, **_at(run), "attempt": run.attempt, "position": step.position}
    update(conn, t.step, at, values)
    data: dict[str, Any] = {"host": run.host, "step": step.key, "state": str(state), "attempt": run.attempt}
    if problem is not None:
        data["problem"] = problem.to_json()
    add_event(conn, order_id, now, "step", data)
