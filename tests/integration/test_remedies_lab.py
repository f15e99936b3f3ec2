"""Remedies that are a step, done on real hosts over SSH by a real engine: the agent is restarted, a full disk is shown and waited
for, a slow start gets more time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engine.domain import step_names
from engine.domain.acts import Remedy
from engine.domain.problem import Problem
from engine.domain.states import Act, CommandState, OrderState, RunState
from tests.integration.test_bad_weather_hosts import prod_host
from tests.support.lab_release import TEST_GROUP, Fleet, assert_all_well, assert_failed, group_of, run_of

WAITS_S = 180.0


def asks(fleet: Fleet, order: int, act: Remedy) -> Problem | None:
    """None: it was accepted."""
    answer = fleet.api.wait_command(fleet.api.send(*fleet.place, order, act))
    assert (answer.state is CommandState.ACCEPTED) is (answer.problem is None)
    return answer.problem


def log_of(fleet: Fleet, order: int, host: str) -> str:
    attempts = fleet.api.attempts(*fleet.place, order, host=host)
    return "".join(open(attempt.log_path, encoding="utf-8").read() for attempt in attempts)


@pytest.fixture
def tested(fleet: Fleet) -> Iterator[Fleet]:
    """The workspace that requires StarAgent."""
    fleet.place = (fleet.info.tenant, "test")
    try:
        yield fleet
        fleet.make_ready()
    finally:
        fleet.place = (fleet.info.tenant, fleet.info.workspace)


def test_an_agent_that_is_down_is_restarted_before_the_start_and_during_the_order(tested: Fleet) -> None:
    fleet = tested
    first = sorted(host.name for host in fleet.status().hosts if host.workspace == "test")[0]
    with fleet.weather("agent_down", first):
        order = fleet.create("1.0.0", app="ledger")
        view = fleet.ends(order, OrderState.INIT_FAILED)
        assert [(host, problem.code) for host, problem in view.problems] == [(first, "agent_not_running")]
        assert [(each.host, each.remedy) for each in view.remedies] == [(first, "restart_agent")]
        assert asks(fleet, order, Remedy()) is None
        fleet.ends(order, OrderState.READY)
        assert agent_runs(fleet, first)
    assert "Agent status running, connected to its server" in log_of(fleet, order, first)
    with fleet.weather("agent_down", first):
        fleet.act(order, Act.START)
        view = fleet.ends(order, OrderState.HALTED)
        problem = run_of(view, first).problem
        assert problem is not None
        assert (problem.code, problem.evidence) == ("agent_not_running", "Agent status not running")
        assert [(each.helped, each.tried) for each in view.remedies] == [(1, 1)]
        assert asks(fleet, order, Remedy((first,))) is None
        fleet.ends(order, OrderState.SUCCEEDED)
        assert agent_runs(fleet, first)
    assert fleet.weights(TEST_GROUP)[first] == 100


def agent_runs(fleet: Fleet, host: str) -> bool:
    """The lab's own look at its processes."""
    return next(each for each in fleet.status().hosts if each.name == host).agent


def test_a_full_disk_is_shown_and_the_host_tried_again_once_there_is_room(fleet: Fleet) -> None:
    wanted = fleet.other_version
    order = fleet.create(wanted)
    bad = group_of(fleet.ends(order, OrderState.READY), "group-1")[0]
    with fleet.weather("disk_full", bad):
        fleet.start(order)
        view = fleet.ends(order, OrderState.HALTED)
        step = run_of(view, bad).step
        assert step is not None
        assert_failed(view, bad, step, "disk_full", bad)
        problem = asks(fleet, order, Remedy())
        assert problem is not None
        assert problem.code == "disk_still_full"
        assert problem.evidence.splitlines()[-2].endswith(" MiB  ~")
        assert problem.evidence.splitlines()[-1].startswith("free: 0 MiB of ")
        assert run_of(fleet.order(order), bad).attempt == 1
    assert asks(fleet, order, Remedy((bad,))) is None
    view = fleet.ends(order, OrderState.SUCCEEDED)
    assert run_of(view, bad).attempt == 2
    assert "biggest folders below" in log_of(fleet, order, bad)
    assert_all_well(fleet, view, wanted)


def test_a_start_that_is_only_slow_gets_a_longer_deadline_and_succeeds(fleet: Fleet) -> None:
    wanted = fleet.other_version
    order = fleet.create(wanted)
    bad = group_of(fleet.ends(order, OrderState.READY), "group-1")[0]

    def impatient(data: dict[str, Any]) -> None:
        prod_host(data, bad)["variables"].update(deploy_deadline_s="4")

    fleet.catalogue(impatient)
    with fleet.weather("slow_start", bad):
        fleet.start(order)
        view = fleet.ends(order, OrderState.HALTED)
        assert_failed(view, bad, step_names.DEPLOY, "step_timed_out", bad)
        assert [(each.host, each.remedy) for each in view.remedies] == [(bad, "longer_deadline")]
        fleet.act(order, Act.REMEDY, deadline_s=90)
        view = fleet.see(order, lambda view: view.state is OrderState.SUCCEEDED, WAITS_S)
    assert (run_of(view, bad).state, run_of(view, bad).attempt) == (RunState.SUCCEEDED, 2)
    fleet.catalogue()
    assert_all_well(fleet, view, wanted)
