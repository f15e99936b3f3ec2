"""`cockpit order log`: all attempts of a host, both ways, and the one that says why it failed before all others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cockpit.cli.run import run
from engine.store.store import Store
from tests.support import seeds


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'language = "en"\nlog_dir = "{tmp_path}/logs"\n')
    config.chmod(0o600)
    monkeypatch.setenv("COCKPIT_CONFIG", str(config))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def order_in(tmp_path: Path, situation: str, **logs: str) -> list[str]:
    """The arguments that name the store and its order; `logs` are `forward_1="text"` of hz-03."""
    url = f"sqlite:///{tmp_path}/store.db"
    store = Store.open(url, create=True)
    seeds.seed_fleet(store)
    order = seeds.seed_order(store, situation)
    store.close()
    folder = tmp_path / "logs" / str(order)
    folder.mkdir(parents=True)
    for attempt, text in logs.items():
        direction, number = attempt.split("_")
        node = "group-1" if direction == "forward" else "back-1"
        (folder / f"hz-03.{direction}-{node}-{number}.log").write_text(text)
    return [str(order), "--store", url, "--tenant", "acme", "--workspace", "prod", "--host", "hz-03"]


def test_a_retry_hides_no_attempt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order = order_in(tmp_path, "retrying", forward_1="no such class\n", forward_2="second time\n")
    assert run(["order", "log", *order]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "==> hz-03 forward 1 failed <==",
        "no such class",
        "==> hz-03 forward 2 running <==",
        "second time",
    ]
    assert run(["order", "log", "--latest", *order]) == 0
    assert capsys.readouterr().out.splitlines() == ["==> hz-03 forward 2 running <==", "second time"]


def test_a_rollback_hides_no_attempt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order = order_in(tmp_path, "rolled_back", forward_1="no such class\n", back_1="as before\n")
    assert run(["order", "log", "--json", *order]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"host": "hz-03", "direction": "forward", "attempt": 1, "line": "no such class"},
        {"host": "hz-03", "direction": "back", "attempt": 1, "line": "as before"},
    ]


def test_on_a_host_that_failed_the_attempt_that_failed_comes_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order = order_in(tmp_path, "left_behind", forward_1="no such class\n", back_1="still not well\n")
    assert run(["order", "log", *order]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "==> hz-03 back 1 failed <==",
        "still not well",
        "==> hz-03 forward 1 failed <==",
        "no such class",
    ]
