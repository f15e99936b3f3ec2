"""Watching a release: the order's view read again at every change, the tail of its events, and the screens' answer to a key."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from engine.api import Api
from engine.store.progress import load_progress
from engine.store.store import Store
from tests.benchmarks.figures import figure
from tests.benchmarks.release import cpu_s, environment, process
from tests.benchmarks.running_order import change_step, write_order
from tests.benchmarks.terminal import Terminal

VIEW_MS, P50_MS, P99_MS, CORE = 15.0, 10.0, 80.0, 0.25
WATCH_S = 10.0


def median_ms(act: Callable[[], object], times: int, between: Callable[[], object] = lambda: None) -> float:
    took = []
    for _ in range(times):
        between()
        began = time.perf_counter()
        act()
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def test_order_view_and_tail_of_1000_hosts(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/cockpit.db")
    order = write_order(store, 1000, running=50)
    api = Api(store.url, operator="alice", log_dir=tmp_path / "logs")
    api.open()
    numbers = iter(range(10_000))

    def change() -> None:
        with store.writing() as conn:
            change_step(conn, order, next(numbers))

    raw = median_ms(lambda: _raw(store, order), 30)
    first = median_ms(lambda: api.order("acme", "prod", order), 1)
    again = median_ms(lambda: api.order("acme", "prod", order), 60, change)
    figure("OrderView of 1,000 hosts, 50 running, read again after a step", f"{again:.1f} ms (the first {first:.0f} ms)",
           baseline=f"its rows fetched {raw:.1f} ms", ratio=again / raw,
           budget=f"≤ {VIEW_MS:.0f} ms", met=again <= VIEW_MS)  # fmt: skip
    last = api.order("acme", "prod", order).last_event
    tail = median_ms(lambda: api.events(order_id=order, after=last), 100)
    figure("tail of the events", f"{tail:.2f} ms")
    api.close()
    store.close()


def _raw(store: Store, order: int) -> None:
    with store.reading() as conn:
        for table in ("host_run", "weight", "order_node"):
            conn.exec_driver_sql(f"SELECT * FROM {table} WHERE order_id = {order}").fetchall()


def test_key_to_repaint_with_200_hosts_at_20000_lines_a_second(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/cockpit.db")
    order = write_order(store, 200, running=200)
    with store.reading() as conn:
        plan = load_progress(conn, order).plan
    assert plan is not None
    hosts = next(node.hosts for node in plan.nodes if node.kind.runs_hosts)  # those the screen shows first
    settings = environment(tmp_path, COCKPIT_LANGUAGE="en", TERM="xterm-256color", COCKPIT_LOG_DIR=str(tmp_path / "logs"),
                           COCKPIT_TENANT="acme", COCKPIT_WORKSPACE="prod", COLORTERM="truecolor")  # fmt: skip
    with process(tmp_path, "running_order", tmp_path, order, 20_000), \
            Terminal([sys.executable, "-m", "cockpit"], settings, columns=160, rows=45) as terminal:  # fmt: skip
        terminal.until(b"trade-core")
        quiet(terminal, 1.0)
        terminal.press(b"\x1b[B")  # ledger stands first
        quiet(terminal, 0.5)
        terminal.press(b"\r")
        terminal.until(hosts[3].encode())
        quiet(terminal, 3.0)
        began, used = time.perf_counter(), cpu_s(terminal.process.pid)
        watch(terminal, WATCH_S)
        core = (cpu_s(terminal.process.pid) - used) / (time.perf_counter() - began)
        took = sorted(key_to_repaint(terminal, host) for host in hosts[1:])
    p50, p99 = took[len(took) // 2] * 1000, took[int(len(took) * 0.99)] * 1000
    what = "200 hosts at 20,000 lines/s"
    figure(f"{what}, key → repaint p50", f"{p50:.1f} ms", budget=f"≤ {P50_MS:.0f} ms", met=p50 <= P50_MS)
    figure(f"{what}, key → repaint p99", f"{p99:.1f} ms", budget=f"≤ {P99_MS:.0f} ms", met=p99 <= P99_MS)
    figure(f"{what}, UI CPU", f"{core * 100:.0f} % of a core", budget=f"≤ {CORE * 100:.0f} %", met=core <= CORE)
    store.close()


def watch(terminal: Terminal, seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        terminal.read(0.05)


def quiet(terminal: Terminal, seconds: float) -> None:
    watch(terminal, seconds)


def key_to_repaint(terminal: Terminal, host: str) -> float:
    """The cursor goes down one host: that host's row is painted in the cursor's colours, its name with it."""
    while terminal.read(0.0):
        pass
    wanted, seen = host.encode(), b""
    began = time.perf_counter()
    terminal.press(b"\x1b[B")
    while wanted not in seen:
        assert time.perf_counter() < began + 10, f"{wanted!r} was not painted: {seen[-500:]!r}"
        seen += terminal.read(0.5)
    took = time.perf_counter() - began
    watch(terminal, 0.03)
    return took
