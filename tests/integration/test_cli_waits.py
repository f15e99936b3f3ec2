"""What the command line waits for when engines die, freeze or can't be started: it keeps one alive, and never loses a number."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cockpit.cli.waiting import answered, wait_checked
from cockpit.cli.wrong_use import Unanswered
from cockpit.engine_process import stop_engine
from cockpit.settings import load_settings
from engine.api import Api
from engine.domain.acts import Cancel
from engine.domain.states import Act, OrderState
from tests.unit.test_cli import CATALOGUE

ROOT = Path(__file__).parents[2]
DEADLINE_S = 90.0
CREATE = ("release", "create", "--app", "trade-core", "--version", "1.0.0", "--strategy", "one_group")


class Desk:
    """A store with one host that takes a connection and says nothing, so that a check takes as long as a login may."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.store = folder / "cockpit.db"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("COCKPIT_", "ALIBABA_"))}
        self.environment = {
            **kept,
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "COCKPIT_CONFIG": os.devnull,
            "COCKPIT_STORE": str(self.store),
            "COCKPIT_LANGUAGE": "en",
            "COCKPIT_SSH__LOGIN_TIMEOUT_S": "6",
            "COCKPIT_SSH__AGENT": "false",
        }
        catalogue = folder / "catalogue.yaml"
        catalogue.write_text(CATALOGUE.replace("127.0.0.1,", f"127.0.0.1, ssh_port: {port},"), encoding="utf-8")
        assert self.run("apply", str(catalogue)).returncode == 0

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "cockpit", *arguments]
        return subprocess.Popen(
            command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=DEADLINE_S)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def engine(self) -> int:
        """The process id of the engine that is alive; waits for one."""
        return int(self.until("SELECT pid FROM engine WHERE state = 'active'")[0])

    def until(self, query: str) -> tuple[object, ...]:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            with sqlite3.connect(self.store, timeout=10) as store:
                row: tuple[object, ...] | None = store.execute(query).fetchone()
            if row is not None:
                return row
            assert time.monotonic() < deadline, query
            time.sleep(0.02)

    def api(self) -> Api:
        api = Api(f"sqlite:///{self.store}", operator="alice", log_dir=self.folder)
        api.open()
        return api


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        desk = Desk(tmp_path, silent.getsockname()[1])
        yield desk
        monkeypatch.setenv("COCKPIT_CONFIG", os.devnull)
        stop_engine(load_settings(str(desk.store)))


def test_a_check_whose_engine_is_killed_goes_on_under_another_and_the_number_is_there_at_once(desk: Desk) -> None:
    with desk.start(*CREATE, "--wait") as process:
        assert process.stdout is not None
        number = process.stdout.readline().strip()
        assert number == "1"
        killed = desk.engine()
        desk.until("SELECT id FROM \"order\" WHERE state = 'initialising'")
        assert process.poll() is None
        os.kill(killed, signal.SIGKILL)
        out, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out) == (1, ""), err
    assert "hz-01: " in err  # what the check of the second engine found
    assert desk.engine() != killed


def test_an_act_on_a_frozen_engine_is_done_by_another_one(desk: Desk) -> None:
    assert desk.run(*CREATE, "--wait").returncode == 1
    frozen = desk.engine()
    os.kill(frozen, signal.SIGSTOP)
    try:
        cancelled = desk.run("order", "cancel", "1", "--reason", "not needed")
    finally:
        os.kill(frozen, signal.SIGCONT)
    assert (cancelled.returncode, cancelled.stdout) == (0, "")
    assert desk.until('SELECT state FROM "order"') == ("cancelled",)


def test_an_order_without_an_engine_is_kept_and_said_to_be(desk: Desk) -> None:
    stop_engine_log = desk.folder / "engine.log"
    stop_engine_log.unlink(missing_ok=True)
    stop_engine_log.mkdir()  # no engine can be started any more
    made = desk.run(*CREATE)
    assert (made.returncode, made.stdout) == (4, "1\n")
    assert "Order #1 is stored but not checked yet" in made.stderr
    assert "engine.log" in made.stderr
    started = desk.run("order", "start", "1", "--json")
    said = json.loads(started.stdout)
    assert (started.returncode, said["order"], said["error"]["code"]) == (4, 1, "not_answered")
    refused = desk.run("order", "cancel", "1", "--reason", "x")
    assert refused.returncode == 1  # nothing was asked for
    with sqlite3.connect(desk.store) as store:
        assert store.execute("SELECT count(*) FROM command").fetchone() == (0,)
    stop_engine_log.rmdir()
    assert desk.run("order", "start", "1").returncode == 1  # an engine checks it now, and finds the host silent


def test_an_act_that_no_engine_answers_in_time_says_what_becomes_of_it(desk: Desk) -> None:
    assert desk.run(*CREATE, "--wait").returncode == 1
    api, busy = desk.api(), desk.engine()
    kept_alive: list[int] = []
    try:
        os.kill(busy, signal.SIGSTOP)
        command = api.send("acme", "prod", 1, Cancel(), reason="x")
        with pytest.raises(Unanswered) as unanswered:
            answered(api, 1, Act.CANCEL, command, lambda: kept_alive.append(1), timeout_s=8.0)
    finally:
        os.kill(busy, signal.SIGCONT)
        api.close()
    problem = unanswered.value.problem
    assert kept_alive  # its lease was over before that
    assert problem.code == "not_answered"
    assert "an engine does it, or refuses it, as soon as one runs" in str(problem.what)
    assert "cockpit order watch 1" in str(problem.remedy)
    assert desk.until("SELECT state FROM command WHERE state != 'sent'")  # as was said


def test_a_check_that_does_not_end_in_time_says_that_the_order_is_kept(desk: Desk) -> None:
    api = desk.api()
    order = json.loads(desk.run(*CREATE, "--json").stdout)["order"]
    with pytest.raises(Unanswered) as unanswered:
        wait_checked(api, ("acme", "prod"), order, lambda: None, timeout_s=0.2)
    assert unanswered.value.problem.code == "still_initialising"
    assert unanswered.value.order_id == order
    assert wait_checked(api, ("acme", "prod"), order, lambda: None).state is OrderState.INIT_FAILED
    api.close()
