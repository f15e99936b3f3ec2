"""An order with every host in the middle of its steps, as rows, without an engine; and, run as a program, what its hosts write.

`python -m tests.benchmarks.running_order FOLDER HOSTS LINES_A_SECOND` appends to the hosts' logs and changes 20 steps a second.
"""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

import sqlalchemy as sa

from engine.domain.log_path import log_path
from engine.domain.progress import StepProgress
from engine.domain.states import NodeState, RunState, StepState
from engine.kinds.release import STEPS, release_spec
from engine.store import tables as t
from engine.store.host_runs import set_step, start_run
from engine.store.progress import load_progress
from engine.store.store import Store
from tests.support.seeds import APP, VERSION, OrderStory, seed_fleet

TICK_S = 0.05
LONG = 10 * 86_400.0


def write_order(store: Store, hosts: int, running: int) -> int:
    """Its id. The first `running` hosts run, the others wait. An engine seems to be alive, so that nobody starts a real one."""
    seed_fleet(store, hosts=hosts)
    with store.writing() as conn:
        story = OrderStory(conn, release_spec(APP, VERSION, parallelism=running))
        plan = story.check_succeeds()
        story.start()
        for node in plan.nodes:
            if node.kind.runs_hosts:
                story.node(node.key, NodeState.RUNNING)
        now, progress = time.time(), story.progress
        for run in list(progress.runs.values())[:running]:
            keys = [step.key for step in progress.host_plan(run).steps]
            start_run(conn, story.id, run, keys, now)
            step = StepProgress(keys[0], 0, StepState.PENDING)
            set_step(conn, story.id, run, step, StepState.RUNNING, now, epoch=1)
        alive = {"machine": "bench", "pid": 1, "started_at": now, "heartbeat_at": now + LONG, "state": "active"}
        conn.execute(sa.insert(t.engine).values(id="bench", **alive))
        return story.id


def change_step(conn: sa.Connection, order: int, number: int) -> None:
    """One more step of one host ends, or begins."""
    progress = load_progress(conn, order)
    runs = [run for run in progress.runs.values() if run.state is RunState.RUNNING]
    run, at = runs[number % len(runs)], number // len(runs)
    step = StepProgress(STEPS[at // 2 % 9].key, at // 2 % 9, StepState.PENDING)
    state = StepState.RUNNING if at % 2 else StepState.SUCCEEDED
    set_step(conn, order, run, step, state, time.time(), epoch=1)


def main(folder: Path, order: int, lines_a_second: int) -> None:
    store = Store.open(f"sqlite:///{folder}/cockpit.db")
    with store.reading() as conn:
        runs = list(load_progress(conn, order).runs.values())
    files = []
    for run in runs:
        path = log_path(folder / "logs", order, run.host, run.job, 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.append(path.open("ab", buffering=0))
    each = max(1, round(lines_a_second * TICK_S / len(runs)))
    due = time.perf_counter()
    for number in itertools.count():
        text = "".join(
            f"{number:08} copying /opt/app/lib/module-{line}.so to the release folder\n" for line in range(each)
        )
        for file in files:
            file.write(text.encode())
        with store.writing() as conn:
            change_step(conn, order, number)
        due += TICK_S
        time.sleep(max(0.0, due - time.perf_counter()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
