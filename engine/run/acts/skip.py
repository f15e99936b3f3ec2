"""Skip: one step of a failed host, which goes on behind it; or all that is left to do there, and the host leaves the order."""

from __future__ import annotations

from dataclasses import replace

from engine.domain.acts import Skip
from engine.domain.leaving import version_unknown
from engine.domain.progress import OrderProgress
from engine.domain.states import Leaving
from engine.plan.which_hosts import failed_run
from engine.run.acts.doing import By
from engine.run.leaving_rows import leave_order
from engine.store.fleets import set_host
from engine.store.host_runs import skip_step
from engine.store.store import Transaction


def write(conn: Transaction, progress: OrderProgress, act: Skip, by: By, now: float) -> None:
    run = failed_run(progress, act.host)
    assert run is not None, "what_if accepted a host that has not failed"
    if not act.step:
        leave_order(conn, progress, run, Leaving.SKIPPED, now)
        return
    skipped = replace(run, skips=(*run.skips, act.step))
    if version_unknown(progress.host_plan(run), skipped):
        set_host(conn, progress.workspace_id, run.host, version="")
    skip_step(conn, progress.id, run, act.step, now)
