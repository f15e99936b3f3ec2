"""What a host is when it leaves its order, as the catalogue has it from then on: true, or unknown."""

from __future__ import annotations

from engine.domain.leaving import as_it_is, leaving_plan, version_unknown
from engine.domain.progress import OrderProgress, RunKey, RunProgress
from engine.domain.states import Leaving
from engine.store.fleets import set_host
from engine.store.host_runs import call_off, leave
from engine.store.store import Transaction


def leave_order(conn: Transaction, progress: OrderProgress, run: RunProgress, how: Leaving, now: float) -> None:
    """One that has begun is given its weight back, where its steps have anything that gives it."""
    write_as_it_is(conn, progress, run.key)
    plan = progress.plan_towards(run.direction).run_of[run.node, run.host]
    leaves = run.begun and leaving_plan(plan, run).steps
    (leave if leaves else call_off)(conn, progress.id, run, how, now)


def write_as_it_is(conn: Transaction, progress: OrderProgress, key: RunKey, *, healthy: bool = False) -> None:
    """`healthy`: its check has just passed; a host that was changed and did not pass it is one that failed."""
    run = progress.runs[key]
    if not run.begun:
        return
    plan = progress.plan_towards(run.direction).run_of[run.node, run.host]
    known = as_it_is(plan, run)
    state = known.state if healthy or not run.touched else plan.on_failure
    version = {"version": ""} if version_unknown(plan, run) else {}
    set_host(conn, progress.workspace_id, run.host, state=str(state), **version)
