"""`cockpit order rollback`: which version is meant, and which order does it. No engine runs here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cockpit.cli.run import run
from cockpit.cli.session import Session
from engine.store.store import Store
from tests.support import seeds

Out = pytest.CaptureFixture[str]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where the fleet is. hz-02 of its one order ran 2.0.0 before, which never succeeded here; 1.1.0 and 1.0.0 did."""
    config = tmp_path / "config.toml"
    config.write_text('language = "en"\n')
    monkeypatch.setenv("COCKPIT_CONFIG", str(config))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(Session, "ensure_engine", lambda self: None)
    url = f"sqlite:///{tmp_path}/store.db"
    store = Store.open(url, create=True)
    seeds.seed_fleet(store)
    order_id = seeds.seed_order(store, "halted")
    seeds.ran_before(store, order_id, "hz-02", "2.0.0", succeeded=("1.0.0", "1.1.0"))
    store.close()
    return ["--store", url, "--tenant", "acme", "--workspace", "prod"]


def test_a_version_that_must_be_chosen_is_asked_for_by_the_name_of_its_option(place: list[str], capsys: Out) -> None:
    assert run(["order", "rollback", "1", "--reason", "slow", *place]) == 2
    assert "cockpit order rollback 1 --version 1.1.0" in capsys.readouterr().err
    assert run(["order", "rollback", "1", "--reason", "slow", "--version", "9.9.9", *place, "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "rollback_never_succeeded"
    assert "1.1.0, 1.0.0" in error["remedy"]
