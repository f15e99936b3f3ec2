"""Every attempt of an order's hosts, both ways: what became of it, and where its log lies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from engine.domain.log_path import log_path, remedy_log
from engine.domain.problem import Problem
from engine.domain.states import Direction, RunState, StepState
from engine.store import tables as t
from engine.store.encoding import decode_problem
from engine.views.orders import AttemptView


def read_attempts(conn: sa.Connection, order_id: int, log_dir: Path, host: str | None) -> tuple[AttemptView, ...]:
    """By host, then oldest first; a host that has not begun has none. `host`: of this one only."""
    steps = _steps(conn, order_id, host)
    found = []
    for run in _runs(conn, order_id, host):
        for number in range(1, run.attempt + 1):
            of_attempt = steps.get((run.direction, run.node, run.host, number), [])
            present = number == run.attempt
            if present and run.state == RunState.PENDING and not of_attempt:
                continue
            found.append(_view(run, number, of_attempt, present, log_dir, order_id))
    found += _remedies(conn, order_id, log_dir, host)
    return tuple(sorted(found, key=_age))


def _remedies(conn: sa.Connection, order_id: int, log_dir: Path, host: str | None) -> Iterator[AttemptView]:
    """What was done on hosts that the check of the order had told of: it stands before their first attempt."""
    query = sa.select(t.remedy).where(t.remedy.c.order_id == order_id, t.remedy.c.node == "")
    if host is not None:
        query = query.where(t.remedy.c.host == host)
    for number, row in enumerate(conn.execute(query.order_by(t.remedy.c.command_id)), 1):
        yield AttemptView(
            host=row.host,
            node="initialise",
            direction=Direction.FORWARD,
            number=number,
            state=RunState(row.state),
            problem=decode_problem(row.problem),
            started_at=row.begun_at,
            ended_at=row.ended_at,
            log_path=str(remedy_log(log_dir, order_id, row.host, row.command_id)),
        )


def _runs(conn: sa.Connection, order_id: int, host: str | None) -> Iterator[Any]:
    query = sa.select(t.host_run).where(t.host_run.c.order_id == order_id)
    if host is not None:
        query = query.where(t.host_run.c.host == host)
    return iter(conn.execute(query).all())


def _steps(conn: sa.Connection, order_id: int, host: str | None) -> dict[tuple[str, str, str, int], list[Any]]:
    query = sa.select(t.step).where(t.step.c.order_id == order_id).order_by(t.step.c.position)
    if host is not None:
        query = query.where(t.step.c.host == host)
    found: dict[tuple[str, str, str, int], list[Any]] = {}
    for row in conn.execute(query):
        found.setdefault((row.direction, row.node, row.host, row.attempt), []).append(row)
    return found


def _view(run: Any, number: int, steps: list[Any], present: bool, log_dir: Path, order_id: int) -> AttemptView:
    direction = Direction(run.direction)
    own = [step for step in steps if not step.kept_from]
    began = [step.started_at for step in own if step.started_at is not None]
    ended = [step.ended_at for step in own if step.ended_at is not None]
    return AttemptView(
        host=run.host,
        node=run.node,
        direction=direction,
        number=number,
        state=RunState(run.state) if present else _became_of(steps),
        problem=decode_problem(run.problem) if present else _problem(steps),
        started_at=min(began, default=run.started_at if present else None),
        ended_at=run.ended_at if present else max(ended, default=None),
        log_path=str(log_path(log_dir, order_id, run.host, run.job, number)),
    )


def _became_of(steps: list[Any]) -> RunState:
    """Of an attempt that another one followed: it failed, or it was given up."""
    if any(StepState(step.state).halts for step in steps):
        return RunState.FAILED
    if steps and all(step.state in (StepState.SUCCEEDED, StepState.SKIPPED) for step in steps):
        return RunState.SUCCEEDED
    return RunState.CANCELLED


def _problem(steps: list[Any]) -> Problem | None:
    return next((decode_problem(step.problem) for step in reversed(steps) if step.problem is not None), None)


def _age(attempt: AttemptView) -> tuple[str, bool, float, int]:
    return attempt.host, attempt.direction is Direction.BACK, attempt.started_at or 0.0, attempt.number
