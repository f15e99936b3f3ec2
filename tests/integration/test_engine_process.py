"""The engine as a process: started when there is none, one for all who ask, apart from whoever started it, and ended."""

from __future__ import annotations

import getpass
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cockpit.engine_process import EngineError, _environment, ensure_engine, outdated, stop_engine
from cockpit.settings import Settings, load_settings
from engine.api import Api
from engine.views.engines import EngineView

DEADLINE_S = 20.0
ROOT = Path(__file__).parents[2]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setenv("COCKPIT_CONFIG", os.devnull)
    for name in ("SSH_AUTH_SOCK", "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"):
        monkeypatch.delenv(name, raising=False)
    # Beside other tests a new process may need longer than an operator would wait.
    settings = replace(load_settings(f"sqlite:///{tmp_path}/cockpit.db"), engine_start_s=90.0)
    yield settings
    if Path(tmp_path / "cockpit.db").exists():
        stop_engine(settings)


def alive(settings: Settings) -> bool:
    api = Api(settings.store, operator="alice", log_dir=settings.log_dir)
    api.open()
    try:
        return api.engine_alive()
    finally:
        api.close()


def engine_pid(settings: Settings) -> int:
    with sqlite3.connect(settings.folder / "cockpit.db") as store:
        return int(store.execute("SELECT pid FROM engine WHERE state = 'active'").fetchone()[0])


def engine_processes(settings: Settings) -> list[int]:
    """Every process whose environment names this store as an engine's does."""
    return [
        int(folder.name)
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit()
        and b"--embedded" in read(folder / "cmdline")
        and f"COCKPIT_STORE={settings.store}\0".encode() in read(folder / "environ")
    ]


def read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # it has ended
        return b""


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_engine_is_started_once_and_in_a_session_of_its_own(settings: Settings) -> None:
    ensure_engine(settings)
    first = engine_pid(settings)
    ensure_engine(settings)
    assert engine_pid(settings) == first
    assert os.getsid(first) == first != os.getsid(0)
    assert Path(f"/proc/{first}/cwd").resolve() == Path("/")
    assert "sqlite" not in Path(f"/proc/{first}/cmdline").read_text()


def test_two_who_start_one_at_once_both_find_one(settings: Settings) -> None:
    code = "import sys; from cockpit import engine_process as e, settings as s; e.ensure_engine(s.load_settings(sys.argv[1]))"
    starters = [subprocess.Popen([sys.executable, "-c", code, settings.store], cwd=ROOT) for _starter in "ab"]
    assert [starter.wait(DEADLINE_S * 2) for starter in starters] == [0, 0]
    assert alive(settings)
    until(lambda: engine_processes(settings) == [engine_pid(settings)])


def test_a_stopped_engine_lets_the_store_go_and_another_can_be_started(settings: Settings) -> None:
    ensure_engine(settings)
    first = engine_pid(settings)
    assert stop_engine(settings)
    assert not alive(settings)
    assert not stop_engine(settings)
    ensure_engine(settings)
    assert engine_pid(settings) != first


def test_an_engine_with_nothing_to_do_ends_by_itself(settings: Settings) -> None:
    ensure_engine(replace(settings, engine_idle_s=0.5))
    until(lambda: not alive(settings))


def test_an_engine_that_was_killed_is_replaced(settings: Settings) -> None:
    ensure_engine(settings)
    first = engine_pid(settings)
    os.kill(first, signal.SIGKILL)
    killed = time.monotonic()
    until(lambda: not alive(settings))
    assert time.monotonic() - killed < 1.0, "it was missed only when its heartbeat had grown old"
    ensure_engine(settings)
    assert engine_pid(settings) != first


def test_an_engine_that_is_frozen_is_replaced_and_ends_when_it_wakes_up(settings: Settings) -> None:
    ensure_engine(settings)
    first = engine_pid(settings)
    os.kill(first, signal.SIGSTOP)
    try:
        until(lambda: not alive(settings))
        ensure_engine(settings)
        second = engine_pid(settings)
        assert second != first
    finally:
        os.kill(first, signal.SIGCONT)
    until(lambda: engine_processes(settings) == [second])
    assert engine_pid(settings) == second


def test_an_engine_that_cannot_start_says_why_with_the_end_of_its_log(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/sh")  # knows no -m: it ends at once
    with pytest.raises(EngineError) as caught:
        ensure_engine(settings)
    assert caught.value.problem.code == "engine_not_started"
    assert caught.value.problem.evidence
    assert str(settings.engine_log) in str(caught.value)


# ------------------------------------------------------------------------------------------------- what it was started with

SECRET = "wH8-not-to-be-found-anywhere"


@contextmanager
def opened(settings: Settings) -> Iterator[Api]:
    api = Api(settings.store, operator="alice", log_dir=settings.log_dir)
    api.open()
    try:
        yield api
    finally:
        api.close()


def engine_of(settings: Settings) -> EngineView:
    with opened(settings) as api:
        (found,) = api.engines()
    return found


def set_key(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", key)
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", SECRET)


def test_an_engine_says_what_it_was_started_with_and_no_secret(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_key(monkeypatch, "LTAI-of-alice")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/agent.4711")
    before = time.time()
    ensure_engine(settings)
    found = engine_of(settings)
    assert (found.pid, found.here, found.embedded) == (engine_pid(settings), True, True)
    assert (found.agent, found.credentials, found.user) == ("/tmp/agent.4711", "environment", getpass.getuser())
    assert before <= found.started_at <= time.time()
    stop_engine(settings)
    for file in settings.folder.glob("cockpit.db*"):
        assert SECRET.encode() not in file.read_bytes()
        assert b"LTAI-of-alice" not in file.read_bytes()


@pytest.mark.parametrize("what", ["proxy", "settings"])
def test_an_idle_engine_is_renewed_when_what_it_would_be_started_with_has_changed(
    what: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_engine(settings)
    first = engine_pid(settings)
    with opened(settings) as api:
        assert outdated(api, settings) == ()
        if what == "proxy":
            monkeypatch.setenv("HTTPS_PROXY", "http://alice:hidden@127.0.0.1:9")
        else:
            settings = replace(settings, ssh=replace(settings.ssh, connect_timeout_s=3.0))
        assert outdated(api, settings) == (what,)
        ensure_engine(settings)
        assert engine_pid(settings) != first
        assert outdated(api, settings) == ()


def test_an_engine_is_left_alone_by_those_who_have_less_and_when_it_is_at_work(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    ensure_engine(settings)
    first = engine_pid(settings)
    with monkeypatch.context() as without:
        without.delenv("HTTPS_PROXY")
        ensure_engine(settings)
    assert engine_pid(settings) == first
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:10")
    with opened(settings) as api:
        monkeypatch.setattr(api, "engine_busy", lambda: True)
        assert outdated(api, settings) == ()


def test_an_engine_that_runs_in_front_is_nobodys_to_renew(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    in_front = subprocess.Popen([sys.executable, "-m", "cockpit", "engine"], env=_environment(settings), cwd=ROOT)
    try:
        until(lambda: (settings.folder / "cockpit.db").exists() and alive(settings))
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        ensure_engine(settings)
        assert engine_pid(settings) == in_front.pid
        assert not engine_of(settings).embedded
    finally:
        in_front.terminate()
        assert in_front.wait(DEADLINE_S) == 0


def cockpit(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cockpit", *arguments],
        env=_environment(settings) | {"COCKPIT_LANGUAGE": "en"}, cwd=ROOT,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_the_command_line_shows_stops_and_restarts_the_engine(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(settings):
        assert cockpit(settings, "engine", "status").returncode == 1
    monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/agent.4711")
    first = json.loads(cockpit(settings, "engine", "restart", "--json").stdout)["engines"][0]
    assert first["pid"] == engine_pid(settings)
    told = cockpit(settings, "engine", "status")
    assert told.returncode == 0
    assert f"process {first['pid']} of {getpass.getuser()}" in told.stdout
    assert "/tmp/agent.4711 (gone: its login has ended)" in told.stdout
    assert "It has nothing to do." in told.stdout
    second = json.loads(cockpit(settings, "engine", "restart", "--json").stdout)["engines"][0]
    assert second["pid"] != first["pid"]
    assert "The engine has ended." in cockpit(settings, "engine", "stop").stdout
    assert not alive(settings)
    assert "No engine ran here" in cockpit(settings, "engine", "stop").stdout
