"""`cockpit weights`: what is listed, what is sent, with which exit code. No engine runs here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cockpit.cli.run import run
from cockpit.cli.session import Session
from engine.api import Api
from engine.domain.acts import AnyAct, GiveBack
from engine.domain.message import message
from engine.domain.problem import Problem
from engine.domain.states import CommandState
from engine.store.store import Store
from engine.views.acts import CommandView
from tests.support import seeds

Out = pytest.CaptureFixture[str]


class Sent:
    """What was sent, and the answer an engine would give."""

    def __init__(self) -> None:
        self.commands: list[tuple[int, AnyAct, str]] = []
        self.problem: Problem | None = None

    def send(self, api: Api, tenant: str, workspace: str, order_id: int, act: AnyAct, *, reason: str) -> int:
        self.commands.append((order_id, act, reason))
        return len(self.commands)

    def answer(self, api: Api, command_id: int) -> CommandView:
        order_id, act, _reason = self.commands[command_id - 1]
        state = CommandState.REFUSED if self.problem else CommandState.ACCEPTED
        return CommandView(command_id, order_id, act.name, state, self.problem)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    desk = Sent()
    monkeypatch.setattr(Api, "send", lambda *given, **named: desk.send(*given, **named))
    monkeypatch.setattr(Api, "command", lambda *given: desk.answer(*given))
    monkeypatch.setattr(Session, "ensure_engine", lambda self: None)
    return desk


def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, situation: str) -> list[str]:
    config = tmp_path / "config.toml"
    config.write_text('language = "en"\n')
    monkeypatch.setenv("COCKPIT_CONFIG", str(config))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    url = f"sqlite:///{tmp_path}/store.db"
    store = Store.open(url, create=True)
    seeds.seed_fleet(store)
    seeds.seed_order(store, situation)
    store.close()
    return ["--store", url, "--tenant", "acme", "--workspace", "prod"]


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return arguments(tmp_path, monkeypatch, "left_behind")


def test_what_was_left_behind_is_listed_with_what_it_should_be(left: list[str], capsys: Out) -> None:
    assert run(["weights", "orphans", *left]) == 1
    title, row = capsys.readouterr().out.splitlines()
    assert title.split() == ["order", "app", "ended", "host", "server", "group", "recorded", "gets", "back", "now"]
    assert row.split()[:2] == ["#1", "trade-core"]
    assert row.split()[-3:] == ["100", "100", "0"]
    assert run(["weights", "orphans", *left, "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["host"], found["due"], found["now"], found["state"]) == ("hz-03", 100, 0, "cancelled")


def test_a_weight_of_a_living_order_is_no_orphan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    assert run(["weights", "orphans", *arguments(tmp_path, monkeypatch, "halted"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_giving_back_sends_one_command_an_order_with_the_reason(left: list[str], sent: Sent, capsys: Out) -> None:
    assert run(["weights", "give-back", *left, "--reason", "repaired"]) == 0
    assert sent.commands == [(1, GiveBack(("hz-03",)), "repaired")]
    assert "#1: given back: hz-03" in capsys.readouterr().err


def test_what_could_not_be_given_back_is_said_with_exit_code_1(left: list[str], sent: Sent, capsys: Out) -> None:
    sent.problem = Problem("weights_left", message("Left as they are: hz-03."), message("Look at it."), "not healthy")
    assert run(["weights", "give-back", *left, "--reason", "repaired", "--host", "hz-03", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)[0]["problem"]["code"] == "weights_left"


@pytest.mark.parametrize("which", [["--host", "hz-01"], ["--order", "7"], ["--host", "hz-03", "--host", "hz-04"]])
def test_nothing_is_sent_for_what_was_not_left_behind(
    left: list[str], which: list[str], sent: Sent, capsys: Out
) -> None:
    assert run(["weights", "give-back", *left, "--reason", "repaired", *which]) == 1
    assert "cockpit weights orphans" in capsys.readouterr().err
    assert sent.commands == []


def test_giving_back_without_a_reason_is_wrong_use(left: list[str], sent: Sent) -> None:
    assert run(["weights", "give-back", *left]) == 2
    assert sent.commands == []
