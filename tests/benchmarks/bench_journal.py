"""The journal alone: 1,000 hosts × 8 steps of no work, on SQLite and PostgreSQL, against one commit a row in the same run."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from cockpit.engine_process import GATHER_S
from engine.domain.progress import RunProgress, StepProgress
from engine.domain.states import Direction, RunState, StepState
from engine.kinds.release import STEPS, release_spec
from engine.run.journal import Journal
from engine.store import tables as t
from engine.store.host_runs import set_step, start_run
from engine.store.store import Store
from tests.benchmarks.figures import figure
from tests.support.fleet_rows import insert_fleet
from tests.support.orders import make_order
from tests.support.postgres import postgres_server, postgres_url  # noqa: F401

HOSTS = 1000
NAMES = tuple(step.key for step in STEPS)[:8]
SAMPLE = 200  # rows written with a commit each, from which the baseline is reckoned


def prepared(store: Store) -> tuple[int, list[RunProgress]]:
    runs = [
        RunProgress(Direction.FORWARD, "group-1", f"host-{number:04}", RunState.PENDING, 1, "1", "2")
        for number in range(HOSTS)
    ]
    with store.writing() as conn:
        fleet = insert_fleet(conn, 2)
        order = make_order(conn, fleet.workspace_id, release_spec("shop", "2.0.0"), created_by="bench", now=1.0)
        conn.execute(
            sa.insert(t.host_run),
            [{"order_id": order, "direction": "forward", "host": run.host, "node": run.node} for run in runs],
        )
        for run in runs:
            start_run(conn, order, run, NAMES, 1.0)
    return order, runs


@pytest.mark.parametrize("kind", ["SQLite", "PostgreSQL"])
async def test_journal(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = f"sqlite:///{tmp_path}/x.db" if kind == "SQLite" else request.getfixturevalue("postgres_url")
    store = Store.open(url)
    order, runs = prepared(store)

    def change(conn: sa.Connection, run: RunProgress, at: int, state: StepState) -> None:
        step = StepProgress(NAMES[at], at, StepState.PENDING, None, None, None)
        set_step(conn, order, run, step, state, 2.0, epoch=0)

    async def host(journal: Journal, run: RunProgress) -> None:
        for at in range(len(NAMES)):
            for state in (StepState.RUNNING, StepState.SUCCEEDED):
                await journal.write(order, 0, lambda conn, at=at, state=state: change(conn, run, at, state))  # type: ignore[misc]

    async with Journal(store, gather_s=GATHER_S) as journal:
        began, used = time.perf_counter(), time.process_time()
        await asyncio.gather(*(host(journal, run) for run in runs))
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - used
        commits = journal.commits
    began = time.perf_counter()
    for number in range(SAMPLE):
        with store.writing() as conn:
            change(conn, runs[number], 0, StepState.RUNNING)
    one_s = (time.perf_counter() - began) / SAMPLE * HOSTS * len(NAMES) * 2
    store.close()
    figure(f"journal, {HOSTS} hosts × {len(NAMES)} steps on {kind}",
           f"{wall_s:.2f} s wall, {cpu_s * 1000 / HOSTS:.1f} ms CPU a host, {commits} commits for {HOSTS * 16} rows",
           baseline=f"a commit a row {one_s:.1f} s", ratio=wall_s / one_s)  # fmt: skip
