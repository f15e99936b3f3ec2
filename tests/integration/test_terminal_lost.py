"""The terminal goes away in the middle of a group: the release goes on, and a new cockpit shows it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cockpit.engine_process import _environment
from engine.domain import step_names
from engine.domain.states import OrderState, RunState
from tests.support.lab_release import Fleet, assert_all_well, fleet_of, group_of, run_of
from tests.support.processes import running

ROOT = Path(__file__).parents[2]
DEADLINE_S = 20.0


class Terminal:
    """A cockpit at a terminal of 80×24 of its own; `screen` is what stands on it now."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self._socket = str(fleet.dir / f"{name}.tmux")
        given = {"TERM": "screen-256color", "COLORTERM": "", "COCKPIT_LANGUAGE": "en"}
        command = [sys.executable, "-m", "cockpit", "--tenant", fleet.place[0], "--workspace", fleet.place[1]]
        subprocess.run(
            ["tmux", "-f", os.devnull, "-S", self._socket, "new-session", "-d", "-x", "80", "-y", "24", *command],
            cwd=ROOT,
            env=_environment(fleet.settings) | given,
            check=True,
            timeout=DEADLINE_S,
        )
        self.pid = int(self._tmux("list-panes", "-F", "#{pane_pid}"))

    @property
    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def shows(self, *words: str) -> None:
        until = time.monotonic() + DEADLINE_S
        while not all(word in (screen := self.screen) for word in words):
            assert time.monotonic() < until, f"not within {DEADLINE_S:g} s: {words} on\n{screen}"
            time.sleep(0.05)

    def press(self, key: str) -> None:
        self._tmux("send-keys", key)

    def close(self) -> None:
        """As when the window is closed or the link to it drops: the session is hung up."""
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], capture_output=True, timeout=DEADLINE_S)

    def _tmux(self, *command: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", self._socket, *command], check=True, capture_output=True, text=True, timeout=DEADLINE_S
        )
        return done.stdout


@contextmanager
def cockpit_at_a_terminal(fleet: Fleet, name: str) -> Iterator[Terminal]:
    terminal = Terminal(fleet, name)
    try:
        yield terminal
    finally:
        terminal.close()
        fleet.until(lambda: not running(terminal.pid), "the cockpit has ended with its terminal")


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with fleet_of(tmp_path / "lab") as fleet:
        fleet.stop_engine()  # the cockpit at the terminal starts its own
        fleet.engine = None
        yield fleet


def engine_pid(fleet: Fleet) -> int:
    with sqlite3.connect(fleet.settings.folder / "cockpit.db") as store:
        return int(store.execute("SELECT pid FROM engine WHERE state = 'active'").fetchone()[0])


def test_a_release_goes_on_when_the_terminal_is_lost_and_a_new_cockpit_shows_it(fleet: Fleet) -> None:
    wanted = fleet.other_version
    with cockpit_at_a_terminal(fleet, "first") as terminal:
        terminal.shows("trade-core")
        fleet.until(fleet.api.engine_alive, "the cockpit has started an engine")
        engine = engine_pid(fleet)
        order = fleet.create(wanted, title="terminal lost")
        first = group_of(fleet.ends(order, OrderState.READY), "group-1")
        for host in first:
            fleet.fault("hung_start", True, host)
        fleet.start(order)
        for host in first:
            fleet.step(order, host, step_names.DEPLOY)
        terminal.press("o")
        terminal.shows(f"#{order}", "running", "took")  # the list of orders, not the apps with their open order
        terminal.press("Enter")
        terminal.shows(first[0], "deploy")
    assert running(engine)
    assert fleet.api.engine_alive()
    view = fleet.order(order)
    assert view.state is OrderState.RUNNING
    assert {run_of(view, host).state for host in first} == {RunState.RUNNING}
    with cockpit_at_a_terminal(fleet, "second") as terminal:
        terminal.shows("trade-core")
        terminal.press("o")
        terminal.shows(f"#{order}", "running", "took")  # the list of orders, not the apps with their open order
        terminal.press("Enter")
        terminal.shows(first[0], "deploy")
        fleet.fault("hung_start", False)
        view = fleet.ends(order, OrderState.SUCCEEDED)
        terminal.shows("succeeded")
    assert engine_pid(fleet) == engine  # one engine all the way: nothing was taken over
    assert {run.attempt for run in view.hosts} == {1}
    assert_all_well(fleet, view, wanted)
    told = shown(fleet, order)
    assert told["state"] == "succeeded"
    assert {host["version"] for host in told["hosts"]} == {wanted}


def shown(fleet: Fleet, order: int) -> Any:
    """`cockpit order show ORDER --json`."""
    said = subprocess.run(
        [sys.executable, "-m", "cockpit", "order", "show", str(order), "--json"],
        cwd=ROOT,
        env=_environment(fleet.settings),
        capture_output=True,
        check=True,
        timeout=DEADLINE_S,
    )
    return json.loads(said.stdout)
