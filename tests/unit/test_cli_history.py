"""`cockpit whoami`, `cockpit order events`, and what an owner is told: as the operating system's user, whoever runs the tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from cockpit.cli.run import run
from cockpit.cli.session import Session
from cockpit.identity import operating_system_user
from engine.store import tables as t
from engine.store.store import Store
from tests.support import seeds

Out = pytest.CaptureFixture[str]
ME = operating_system_user()


class Place:
    """acme / prod of a store of its own, with one order; no engine is started."""

    def __init__(self, folder: Path) -> None:
        self.store = Store.open(f"sqlite:///{folder}/store.db", create=True)
        seeds.seed_fleet(self.store)
        seeds.seed_order(self.store, "halted")
        self.options = ["--store", self.store.url, "--tenant", "acme", "--workspace", "prod"]

    def grant(self, name: str, role: str) -> None:
        with self.store.writing() as conn:
            person = conn.execute(sa.insert(t.operator).values(name=name).returning(t.operator.c.id)).scalar_one()
            tenant = conn.execute(sa.select(t.tenant.c.id).where(t.tenant.c.name == "acme")).scalar_one()
            conn.execute(sa.insert(t.operator_role).values(operator_id=person, tenant_id=tenant, role=role))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    config = tmp_path / "config.toml"
    config.write_text('language = "en"\n')
    monkeypatch.setenv("COCKPIT_CONFIG", str(config))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COCKPIT_OPERATOR", "mallory")
    monkeypatch.setenv("USER", "mallory")
    monkeypatch.setenv("LOGNAME", "mallory")
    monkeypatch.setattr(Session, "ensure_engine", lambda self: None)
    monkeypatch.setattr("cockpit.cli.waiting.ANSWER_S", 0.0)
    return Place(tmp_path)


def test_whoami_is_the_user_of_the_process_and_says_what_may_be_done(place: Place, capsys: Out) -> None:
    assert run(["whoami", *place.options, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["operator"], said["as_owner"], "cancel" in said["acts"]) == (ME, True, True)
    place.grant(ME, "viewer")
    assert run(["whoami", *place.options]) == 0
    out = capsys.readouterr().out
    assert f"{ME}  viewer  acme / prod" in out
    assert "may look at everything and change nothing" in out


def test_a_viewer_cancels_nothing_and_the_history_says_who_wanted_to(place: Place, capsys: Out) -> None:
    place.grant(ME, "viewer")
    assert run(["order", "cancel", "1", "--reason", "let me", *place.options]) == 1
    assert f"{ME} is viewer here: cancel needs operator." in capsys.readouterr().err
    with place.store.reading() as conn:
        assert conn.execute(sa.select(t.command.c.id)).all() == []
    assert run(["order", "events", "1", *place.options, "--json"]) == 0
    line = next(line for line in json.loads(capsys.readouterr().out) if line["operator"])
    assert (line["operator"], line["act"], line["outcome"], line["reason"]) == (ME, "cancel", "refused", "let me")
    assert line["problem"]["code"] == "not_allowed"


def test_the_owner_of_a_store_that_names_nobody_is_told_so(place: Place, capsys: Out) -> None:
    assert run(["order", "pause", "1", *place.options]) != 2
    assert "no operator is named in this store" in capsys.readouterr().err


def test_the_whole_history_has_what_the_engine_did_between_what_people_did(place: Place, capsys: Out) -> None:
    assert run(["order", "events", "1", *place.options]) == 0
    out = capsys.readouterr().out
    assert "the engine" in out
    assert "halts the order" in out
    assert "health check of trade-core on hz-03" in out
    run(["order", "cancel", "1", "--reason", "wrong window", *place.options])
    capsys.readouterr()
    assert run(["order", "events", "1", *place.options]) == 0
    assert "wrong window" in capsys.readouterr().out
    assert run(["order", "events", "1", "--all", *place.options]) == 0
    out = capsys.readouterr().out
    assert "the order is halted" in out
    assert f"* {ME}: cancels the order asked wrong window" in out


def test_who_acts_is_never_a_setting(place: Place, tmp_path: Path, capsys: Out) -> None:
    (tmp_path / "config.toml").write_text('language = "en"\noperator = "mallory"\n')
    run(["whoami", *place.options])
    assert "never a setting" in capsys.readouterr().err
