"""Exclude: a host that has not begun is left as it is, and one that failed gets its weight back where it answers."""

from __future__ import annotations

from engine.domain.acts import Exclude
from engine.domain.progress import OrderProgress
from engine.domain.states import Leaving
from engine.plan.which_hosts import excludable_runs
from engine.run.acts.doing import By
from engine.run.leaving_rows import leave_order
from engine.store.store import Transaction


def write(conn: Transaction, progress: OrderProgress, act: Exclude, by: By, now: float) -> None:
    for run in excludable_runs(progress, act.host):
        leave_order(conn, progress, run, Leaving.EXCLUDED, now)
