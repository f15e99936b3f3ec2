"""Restart, offline and online by the command line alone: against the real engine, real hosts and the lab's balancer."""

from __future__ import annotations

import json

from tests.integration.test_cli_release import Terminal, terminal  # noqa: F401

APP = "trade-core"


def run(terminal: Terminal, kind: str, *arguments: str) -> None:  # noqa: F811
    """Created, checked, started, and at its end."""
    made = terminal.ask(kind, "create", *arguments, "--wait")
    order = str(made["order"])
    assert (made["state"], made["problems"]) == ("ready", [])
    terminal.ask("order", "start", order)
    assert terminal.watch(order, ends_with=0) == "succeeded"


def hosts(terminal: Terminal) -> dict[str, str]:  # noqa: F811
    return {host["name"]: host["state"] for host in terminal.ask("host", "list", "--app", APP)}


def test_hosts_are_restarted_taken_offline_and_brought_online(terminal: Terminal) -> None:  # noqa: F811
    all_hosts = hosts(terminal)
    assert set(all_hosts.values()) == {"deployed"}
    first = sorted(all_hosts)[0]

    preview = terminal.ask("restart", "preview", "--app", APP)
    assert (preview["kind"], preview["problems"]) == ("restart", [])
    run(terminal, "restart", "--app", APP)
    assert hosts(terminal) == all_hosts

    run(terminal, "offline", "--host", first, "--groups", "1")
    assert hosts(terminal) == all_hosts | {first: "offline"}
    assert terminal.ask("weights", "orphans") == []
    refused = terminal.ask("restart", "preview", "--host", first, "--groups", "1", ends_with=1)
    assert [problem["code"] for problem in refused["problems"]] == ["host_not_deployed"]

    run(terminal, "online", "--app", APP, "--groups", "1")
    assert hosts(terminal) == all_hosts


def test_an_order_that_names_nothing_is_wrong_use(terminal: Terminal) -> None:  # noqa: F811
    said = json.loads(terminal.cockpit("restart", "create", ends_with=2))
    assert said["error"]["code"] == "wrong_use"
