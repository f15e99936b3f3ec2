"""How long an operator waits: a gate's click to the next host's start, and an engine's death to the first act of its successor."""

from __future__ import annotations

import signal
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from engine.domain.states import Act, OrderState
from engine.kinds.release import release_spec
from engine.store import tables as t
from engine.store.store import Store
from tests.benchmarks.figures import figure
from tests.benchmarks.release import await_state, engine_alive, fleet, insert_fleet, process, send, until
from tests.support.orders import make_order

HOSTS, ROUNDS = 12, 5
GATE_MS, RESUME_S = 200.0, 2.0


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[tuple[Path, Store, tuple[int, int]]]:
    store = Store.open(f"sqlite:///{tmp_path}/cockpit.db")
    with fleet(tmp_path, HOSTS) as facts:
        with store.writing() as conn:
            ids = insert_fleet(conn, HOSTS, facts, mounted=True)
        yield tmp_path, store, ids
    store.close()


@contextmanager
def engine(folder: Path, store: Store, *, step_s: float) -> Iterator[Any]:
    with process(folder, "engine_with_trivial_steps", BENCH_STEP_S=str(step_s)) as running:
        until(lambda: engine_alive(store, running.pid), 30)
        yield running


def create(store: Store, ids: tuple[int, int], **spec: Any) -> int:
    with store.writing() as conn:
        return make_order(conn, ids[0], release_spec("shop", "2.0.0", **spec), created_by="bench", now=time.time())


def first_event(store: Store, order: int, after: int, kinds: tuple[str, ...]) -> float:
    """When an event of these kinds behind `after` can be read."""
    query = sa.select(t.event.c.id).where(t.event.c.order_id == order, t.event.c.id > after, t.event.c.kind.in_(kinds))

    def there() -> bool:
        with store.reading() as conn:
            return conn.execute(query.limit(1)).first() is not None

    until(there, 60, every_s=0.002)
    return time.perf_counter()


def last_event(store: Store) -> int:
    with store.reading() as conn:
        return int(conn.execute(sa.select(sa.func.max(t.event.c.id))).scalar_one())


def test_gate_click_to_the_next_step(scene: tuple[Path, Store, tuple[int, int]]) -> None:
    folder, store, ids = scene
    took = []
    with engine(folder, store, step_s=0):
        for _ in range(ROUNDS):
            order = create(store, ids, beta=True, parallelism=10)
            await_state(store, order, OrderState.READY)
            send(store, order, Act.START)
            await_state(store, order, OrderState.WAITING)
            time.sleep(0.3)  # the engine is at rest, as it is while a person reads
            last = last_event(store)
            clicked = time.perf_counter()
            send(store, order, Act.CONFIRM)
            took.append(first_event(store, order, last, ("step",)) - clicked)
            await_state(store, order, OrderState.SUCCEEDED)
    median = statistics.median(took) * 1000
    figure("gate click → the next host's first step is written down", f"{median:.0f} ms",
           budget=f"≤ {GATE_MS:.0f} ms", met=median <= GATE_MS)  # fmt: skip


def test_crash_to_the_first_resumed_act(scene: tuple[Path, Store, tuple[int, int]]) -> None:
    folder, store, ids = scene
    took, whole = [], []
    for _ in range(ROUNDS):
        with engine(folder, store, step_s=0.3) as first:
            order = create(store, ids, parallelism=10)
            await_state(store, order, OrderState.READY)
            last = last_event(store)
            send(store, order, Act.START)
            first_event(store, order, last, ("weight",))
            first.send_signal(signal.SIGKILL)
            first.wait(10)
        last = last_event(store)
        began = time.perf_counter()
        with engine(folder, store, step_s=0.3):
            owned = time.perf_counter()
            resumed = first_event(store, order, last, ("step", "weight"))
            whole.append(resumed - began)
            took.append(max(0.0, resumed - owned))
            await_state(store, order, OrderState.SUCCEEDED)
    median, process_s = statistics.median(took), statistics.median(whole)
    figure("killed engine → first resumed act, from its successor owning the store", f"{median:.2f} s",
           budget=f"≤ {RESUME_S:.0f} s", met=median <= RESUME_S)  # fmt: skip
    figure("killed engine → first resumed act, from the start of its successor's process", f"{process_s:.2f} s",
           budget=f"≤ {RESUME_S:.0f} s", met=process_s <= RESUME_S)  # fmt: skip
