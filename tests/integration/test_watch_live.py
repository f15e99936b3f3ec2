"""`cockpit order watch` on a terminal: a live tree with the gate's key; in a pipe lines."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.domain.states import Act, CommandState, OrderState
from engine.store import tables as t
from engine.store.orders import set_order_state
from engine.store.progress import load_progress
from engine.store.store import Store
from tests.support import seeds
from tests.support.terminals import Pty, at_a_terminal, until

ROOT = Path(__file__).parents[2]


class Watched:
    """An order that waits at a gate, in a store that a (made-up) engine keeps alive."""

    def __init__(self, folder: Path, situation: str, monkeypatch: pytest.MonkeyPatch) -> None:
        now = time.time()
        monkeypatch.setattr(seeds, "NOW", now)
        monkeypatch.setattr(seeds, "CREATED", now - 600)
        self.folder, self.url = folder, f"sqlite:///{folder}/store.db"
        self.store = Store.open(self.url, create=True)
        seeds.seed_fleet(self.store)
        self.order = seeds.seed_order(self.store, situation)
        seeds.seed_engine(self.store, at=now + 600)
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm-256color",
            "COCKPIT_CONFIG": os.devnull,
            "COCKPIT_LANGUAGE": "en",
        }

    @property
    def command(self) -> list[str]:
        at = ["--store", self.url, "--tenant", "acme", "--workspace", "prod"]
        return [sys.executable, "-m", "cockpit", "order", "watch", str(self.order), *at]

    def state(self, state: OrderState) -> None:
        with self.store.writing() as conn:
            set_order_state(conn, load_progress(conn, self.order), state, time.time())

    @property
    def sent(self) -> list[str]:
        with self.store.reading() as conn:
            return list(conn.execute(t.command.select().with_only_columns(t.command.c.act)).scalars())

    def accept(self) -> None:
        with self.store.writing() as conn:
            values = {"state": str(CommandState.ACCEPTED), "answered_at": time.time()}
            conn.execute(t.command.update().values(**values))


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Watched]]:
    made: list[Watched] = []

    def make(situation: str) -> Watched:
        made.append(Watched(tmp_path, situation, monkeypatch))
        return made[-1]

    yield make
    for each in made:
        each.store.close()


def after_reading(terminal: Pty, keys: str) -> None:
    """A key that follows what was just shown is not meant for it yet."""
    time.sleep(1.0)
    terminal.type(keys)


def test_c_shows_what_follows_enter_does_it_and_it_ends_with_the_order(watched: Callable[[str], Watched]) -> None:
    order = watched("waiting_at_beta_gate")
    with at_a_terminal(order.command, order.environment, order.folder) as terminal:
        terminal.shows("Beta confirm", "confirm, start")
        terminal.type("c")
        terminal.shows("3 hosts leave", "another key: back")
        assert order.sent == []
        before = len(terminal.written)
        after_reading(terminal, "x")
        terminal.shows("confirm, start", after=before)
        before = len(terminal.written)
        after_reading(terminal, "c")
        terminal.shows("another key: back", after=before)
        after_reading(terminal, "\r")
        until(lambda: order.sent == [str(Act.CONFIRM)], "the act was sent")
        order.accept()
        terminal.shows("confirm: accepted")
        order.state(OrderState.SUCCEEDED)
        assert terminal.wait() == 0


def test_keys_typed_ahead_confirm_nothing(watched: Callable[[str], Watched]) -> None:
    order = watched("waiting_at_beta_gate")
    with at_a_terminal(order.command, order.environment, order.folder) as terminal:
        terminal.shows("confirm, start")
        terminal.type("c\r")
        time.sleep(1.0)
        terminal.type("c")
        terminal.shows("another key: back")
        terminal.type("\r")
        terminal.shows("That key came before")
        assert order.sent == []
        order.state(OrderState.CANCELLED)
        assert terminal.wait() == 1


def test_in_a_pipe_it_is_lines_and_a_wait_ends_it(watched: Callable[[str], Watched]) -> None:
    order = watched("waiting_at_beta_gate")
    found = subprocess.run(
        order.command, env=order.environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert found.returncode == 3
    assert "\x1b" not in found.stdout
    assert len(found.stdout.splitlines()) > 10
