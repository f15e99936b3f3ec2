"""`cockpit order failures` and `cockpit order remedy`: what they print and which command they send. No engine runs here."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from cockpit.cli.run import run
from engine.store import tables as t
from engine.store.store import Store
from tests.support import seeds
from tests.unit.test_cli_retry import sent  # noqa: F401

Sent = tuple[list[str], Store]


@pytest.fixture
def failed(sent: Sent) -> tuple[list[str], Store, str]:  # noqa: F811
    """An order whose host has no agent running, and its number."""
    place, store = sent
    with store.writing() as conn:  # the order that `sent` has made is none of ours
        conn.execute(sa.update(t.order).values(state="cancelled"))
    order = seeds.seed_order(store, "agent_down")
    return place, store, str(order)


def commands(store: Store) -> list[dict[str, object]]:
    with store.reading() as conn:
        query = sa.select(t.command.c.params).where(t.command.c.act == "remedy", t.command.c.state == "sent")
        return list(conn.execute(query.order_by(t.command.c.id)).scalars())


def test_the_failure_is_told_with_evidence_remedy_command_and_how_often_it_helped(
    failed: tuple[list[str], Store, str], capsys: pytest.CaptureFixture[str]
) -> None:
    place, _store, order = failed
    assert run(["order", "failures", order, *place]) == 0
    out = capsys.readouterr().out
    assert "StarAgent is not running on hz-02" in out
    assert "  │ Agent status not running" in out
    assert f"restart the agent (helped 3 of 4 times here): cockpit order remedy {order} --host hz-02" in out


def test_as_json_it_is_data(failed: tuple[list[str], Store, str], capsys: pytest.CaptureFixture[str]) -> None:
    place, _store, order = failed
    assert run(["order", "failures", order, "--json", *place]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["host"], found["problem"]["code"]) == ("hz-02", "agent_not_running")
    assert {name: found["remedy"][name] for name in ("remedy", "helped", "tried")} == {
        "remedy": "restart_agent", "helped": 3, "tried": 4,
    }  # fmt: skip


def test_the_remedy_is_sent_for_all_for_some_and_with_a_deadline(failed: tuple[list[str], Store, str]) -> None:
    place, store, order = failed
    assert run(["order", "remedy", order, *place]) == 0
    assert run(["order", "remedy", order, "--host", "hz-02", "--remedy", "restart_agent", *place]) == 0
    assert run(["order", "remedy", order, "--deadline", "600", *place]) == 0
    assert commands(store) == [{}, {"hosts": ["hz-02"], "remedy": "restart_agent"}, {"deadline_s": 600}]


def test_an_order_in_whose_way_nothing_stands_says_so(
    sent: Sent,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    place, store = sent
    with store.writing() as conn:
        conn.execute(sa.update(t.host_run).values(problem=None))
        conn.execute(sa.update(t.order).values(problem=None))
    assert run(["order", "failures", "1", *place]) == 0
    assert "Nothing failed" in capsys.readouterr().out
