"""`cockpit order skip`, `exclude`, `limits`, `pause-before`, `hand-over`: which command each sends, and what is refused before."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from cockpit.cli.run import run
from engine.store import tables as t
from engine.store.store import Store
from tests.unit.test_cli_retry import sent

__all__ = ["sent"]
Place = tuple[list[str], Store]
FAILED = "hz-03"


def last_command(store: Store) -> tuple[str, dict[str, Any], str]:
    with store.reading() as conn:
        row = conn.execute(sa.select(t.command).order_by(t.command.c.id.desc()).limit(1)).one()
    return row.act, row.params, row.reason


def last_audit(store: Store) -> tuple[str, str, str]:
    with store.reading() as conn:
        row = conn.execute(sa.select(t.audit).order_by(t.audit.c.id.desc()).limit(1)).one()
    return row.act, row.outcome, row.reason


@pytest.mark.parametrize(
    ("words", "act", "params", "reason"),
    [
        (["skip", "--host", FAILED, "--reason", "by hand"], "skip", {"host": FAILED}, "by hand"),
        (
            ["skip", "--host", FAILED, "--step", "check_health", "--reason", "no"],
            "skip",
            {"host": FAILED, "step": "check_health"},
            "no",
        ),
        (["exclude", "--host", FAILED, "--reason", "disk"], "exclude", {"host": FAILED}, "disk"),
        (["limits", "--parallelism", "3"], "set_limits", {"parallelism": 3}, ""),
        (["limits", "--max-failures", "0"], "set_limits", {"max_failures": 0}, ""),
        (["pause-before", "--group", "group-2"], "pause_before", {"node": "group-2"}, ""),
        (["pause-before", "--group", "group-2", "--off"], "pause_before", {"node": "group-2", "off": True}, ""),
        (["hand-over", "--to", "bob", "--reason", "my shift ends"], "hand_over", {"to": "bob"}, "my shift ends"),
        (["retry", "--group", "group-1"], "retry", {"hosts": [FAILED]}, ""),
    ],
)
def test_each_sends_its_command_and_is_audited(
    sent: Place,
    words: list[str],
    act: str,
    params: dict[str, Any],
    reason: str,
) -> None:
    place, store = sent
    assert run(["order", words[0], "1", *words[1:], *place]) == 0
    assert last_command(store) == (act, params, reason)
    assert last_audit(store) == (act, "done", reason)
    store.close()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["skip", "--host", "nobody", "--reason", "x"], "Order #1 has no host nobody."),
        (["exclude", "--host", "nobody", "--reason", "x"], "Order #1 has no host nobody."),
        (["limits"], "Neither --parallelism nor --max-failures was given."),
        (["pause-before", "--group", "group-9"], "Order #1 has no group group-9."),
        (["retry", "--group", "group-2"], "No host of group-2 has failed in order #1."),
    ],
)
def test_what_the_order_lacks_is_wrong_use_and_nothing_is_sent(
    sent: Place,
    words: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place, store = sent
    assert run(["order", words[0], "1", *words[1:], *place]) == 2
    assert says in capsys.readouterr().err
    with store.reading() as conn:
        assert conn.execute(sa.select(t.command)).all() == []
    store.close()


def test_an_act_that_takes_a_host_away_asks_why(sent: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place, store = sent
    assert run(["order", "skip", "1", "--host", FAILED, "--reason", " ", *place]) == 1
    assert "skip needs a reason." in capsys.readouterr().err
    assert last_audit(store)[1] == "refused"
    store.close()


def test_the_order_says_who_is_responsible_and_where_it_pauses(
    sent: Place,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place, store = sent
    with store.writing() as conn:
        conn.execute(sa.update(t.order).values(handed_to="bob", max_failures=2, pauses_before=["group-2"]))
    assert run(["order", "show", "1", *place]) == 0
    out = capsys.readouterr().out
    assert "responsible: bob" in out
    assert "failures allowed per group: 2" in out
    assert "pauses before group 2" in out
    store.close()
