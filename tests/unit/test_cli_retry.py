"""`cockpit order retry`: which command it sends, from the failed step or from the start. No engine runs here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cockpit.cli.run import run
from cockpit.cli.session import Session
from engine.domain.states import Act, CommandState
from engine.store import tables as t
from engine.store.store import Store
from engine.views.acts import CommandView
from tests.support import seeds

Sent = list[dict[str, Any]]


@pytest.fixture
def sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], Store]:
    """Where an order is halted, and its store; every command is accepted."""

    def accepted(_api: object, order: int, act: Act, command: int, _ensure_engine: object) -> CommandView:
        return CommandView(command, order, act, CommandState.ACCEPTED, None)

    config = tmp_path / "config.toml"
    config.write_text('language = "en"\n')
    monkeypatch.setenv("COCKPIT_CONFIG", str(config))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(Session, "ensure_engine", lambda self: None)
    monkeypatch.setattr("cockpit.cli.waiting.answered", accepted)
    url = f"sqlite:///{tmp_path}/store.db"
    store = Store.open(url, create=True)
    seeds.seed_fleet(store)
    seeds.seed_order(store, "halted")
    return ["--store", url, "--tenant", "acme", "--workspace", "prod"], store


def commands(store: Store) -> Sent:
    with store.reading() as conn:
        query = sa.select(t.command.c.params).where(t.command.c.act == "retry").order_by(t.command.c.id)
        return list(conn.execute(query).scalars())


def test_a_retry_begins_at_the_failed_step_unless_the_start_is_asked_for(sent: tuple[list[str], Store]) -> None:
    place, store = sent
    assert run(["order", "retry", "1", *place]) == 0
    assert run(["order", "retry", "1", "--from-start", *place]) == 0
    assert run(["order", "retry", "1", "--host", "hz-03", "--from-start", *place]) == 0
    assert commands(store) == [{}, {"from_start": True}, {"hosts": ["hz-03"], "from_start": True}]
    store.close()
