"""A release, its rollback, and what is refused, by the command line alone: against the real engine and the lab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cockpit.lab import process as lab

ROOT = Path(__file__).parents[2]
DEADLINE_S = 60.0


class Terminal:
    """Runs `cockpit` as a script would: no terminal, answers in JSON, the exit code looked at."""

    def __init__(self, info: lab.LabInfo) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("COCKPIT_", "ALIBABA_CLOUD_"))}
        self._environment = {
            **clean,
            **info.environment,
            "COCKPIT_STORE": info.store,
            "COCKPIT_WORKSPACE": info.workspace,
        }
        self._environment |= {"PYTHONPATH": str(ROOT), "COCKPIT_CONFIG": os.devnull}

    def cockpit(self, *arguments: str, ends_with: int = 0) -> str:
        ran = subprocess.run(
            [sys.executable, "-m", "cockpit", *arguments, "--json"],
            env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip
        assert ran.returncode == ends_with, f"{arguments} ended with {ran.returncode}: {ran.stdout}{ran.stderr}"
        # An act that takes its time says there what it waits for; a problem is in the answer.
        assert all(": " in line and "rror" not in line for line in ran.stderr.splitlines()), ran.stderr
        return ran.stdout

    def ask(self, *arguments: str, ends_with: int = 0) -> Any:
        return json.loads(self.cockpit(*arguments, ends_with=ends_with))

    def watch(self, order: str, *, ends_with: int) -> str:
        """The state it ended or waits in."""
        last = self.cockpit("order", "watch", order, ends_with=ends_with).splitlines()[-1]
        return str(json.loads(last)["state"])


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    folder = tmp_path_factory.mktemp("lab")
    info = lab.up(folder, 4)
    try:
        terminal = Terminal(info)
        catalogue = folder / "impatient.yaml"
        catalogue.write_text(_with_health_deadline(Path(info.catalogue).read_text(), "3"))
        terminal.cockpit("apply", str(catalogue))
        yield terminal
    finally:
        subprocess.run(
            [sys.executable, "-m", "cockpit", "lab", "down", "--dir", str(folder)],
            cwd=ROOT,
            timeout=DEADLINE_S,
            check=True,
        )


def _with_health_deadline(catalogue: str, seconds: str) -> str:
    data = yaml.safe_load(catalogue)
    for stack in data["tenants"][0]["tech_stacks"]:
        for parameter in stack["parameters"]:
            if parameter["name"] == "health_deadline_s":
                parameter["default"] = seconds
    return yaml.safe_dump(data, allow_unicode=True, sort_keys=False)


def versions(terminal: Terminal) -> set[str]:
    return {host["version"] for host in terminal.ask("host", "list", "--app", "trade-core")}


def test_a_release_by_hand_then_its_rollback_as_an_order_of_its_own(terminal: Terminal) -> None:
    made = terminal.ask(
        "release", "create", "--app", "trade-core", "--version", "2.0.0", "--beta", "--traffic", "gray", "--wait"
    )
    order = str(made["order"])
    assert made["state"] == "ready"
    assert terminal.watch(order, ends_with=3) == "ready"
    assert terminal.ask("order", "start", order)["state"] == "accepted"

    for gate in ("beta-confirm", "group-1-confirm", "group-2-confirm"):
        assert terminal.watch(order, ends_with=3) == "waiting"
        for weight in ("10", "100"):
            terminal.ask("order", "weights", order, "--weight", weight)
        shown = terminal.ask("order", "show", order)
        waiting = next(node for node in shown["nodes"] if node["state"] == "waiting")
        assert waiting["key"] == gate
        weights = [
            line["confirmed"] for run in shown["hosts"] if run["name"] in waiting["hosts"] for line in run["weights"]
        ]
        assert set(weights) == {100}
        terminal.ask("order", "confirm", order)
    assert terminal.watch(order, ends_with=0) == "succeeded"
    assert versions(terminal) == {"2.0.0"}
    assert "passed:true" in terminal.cockpit("order", "log", order)

    refused = terminal.ask("order", "pause", order, ends_with=1)
    assert refused["error"]["code"] == "order_ended"
    refused = terminal.ask("order", "rollback", order, ends_with=2)
    assert "--reason" in refused["error"]["what"]
    audited = terminal.ask("order", "events", order)
    assert [(line["act"], line["outcome"]) for line in audited if line["act"] in ("start", "pause")] == [
        ("start", "done"),
        ("pause", "refused"),
    ]
    back = terminal.ask("order", "rollback", order, "--reason", "errors on the first page")["order_id"]
    assert terminal.watch(str(back), ends_with=0) == "succeeded"
    assert versions(terminal) == {"1.0.0"}


def test_a_version_whose_health_fails_halts_for_a_person_and_can_be_rolled_back(terminal: Terminal) -> None:
    made = terminal.ask("release", "create", "--app", "trade-core", "--version", "3.0.0")
    order = str(made["order"])
    terminal.ask("order", "start", order)  # waits for the check by itself
    assert terminal.watch(order, ends_with=3) == "halted"
    failed = [run for run in terminal.ask("order", "show", order)["hosts"] if run["state"] == "failed"]
    assert failed
    assert {line["confirmed"] for run in failed for line in run["weights"]} == {0}
    terminal.ask("order", "rollback", order, "--reason", "unhealthy")
    assert terminal.watch(order, ends_with=1) == "rolled_back"
    assert versions(terminal) == {"1.0.0"}


def test_an_app_that_never_succeeded_here_cannot_be_rolled_back_to_anything(terminal: Terminal) -> None:
    refused = terminal.ask("release", "create", "--app", "ledger", "--version", "1.0.0", ends_with=1)
    assert refused["error"]["code"] == "order_refused"
