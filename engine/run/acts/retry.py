"""Retry: failed hosts begin a new attempt, at the step that failed or from the start."""

from __future__ import annotations

from engine.domain.acts import Retry
from engine.domain.progress import OrderProgress
from engine.domain.states import RunState
from engine.run.acts.doing import By
from engine.store.host_runs import retry_run
from engine.store.store import Transaction


def write(conn: Transaction, progress: OrderProgress, act: Retry, by: By, now: float) -> None:
    for run in progress.current_runs:
        if run.state is RunState.FAILED and (not act.hosts or run.host in act.hosts):
            retry_run(conn, progress.id, run, now, from_start=act.from_start)
