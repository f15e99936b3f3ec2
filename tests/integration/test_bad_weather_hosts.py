"""Bad weather on the hosts themselves, in a real release on the lab: what fails is named with what to do next, the host keeps
weight 0, the others are left alone, and a retry or a rollback brings everything to its end."""

from __future__ import annotations

from typing import Any

from engine.domain import step_names
from engine.domain.states import Act, OrderState, RunState, StepState
from tests.support.lab_release import (
    TEST_GROUP,
    Fleet,
    assert_all_well,
    assert_failed,
    assert_out_of_service,
    assert_says,
    assert_untouched,
    group_of,
    run_of,
    step_of,
)


def prod_host(data: dict[str, Any], name: str) -> dict[str, Any]:
    prod = next(space for space in data["tenants"][0]["workspaces"] if space["name"] == "prod")
    rows = [host for centre in prod["data_centres"] for cell in centre["cells"] for host in cell["hosts"]]
    return next(row for row in rows if row["name"] == name)


def test_a_script_that_fails_halts_its_group_and_a_retry_after_the_repair_finishes_the_release(fleet: Fleet) -> None:
    before, wanted = fleet.version, fleet.other_version
    order = fleet.create(wanted)
    first = group_of(fleet.ends(order, OrderState.READY), "group-1")
    bad, good = first[0], first[1]
    fleet.catalogue(lambda data: prod_host(data, bad)["variables"].update(python="/opt/no/such/python"))
    fleet.start(order)
    view = fleet.ends(order, OrderState.HALTED)
    assert_failed(view, bad, step_names.INSTALL_SOFTWARE, "command_missing", bad)
    assert "/opt/no/such/python: not found" in run_of(view, bad).problem.evidence  # type: ignore[union-attr]
    assert_out_of_service(fleet, view, bad)
    assert fleet.versions()[bad] == before  # deploy was never reached
    assert run_of(view, good).state is RunState.SUCCEEDED
    assert_untouched(fleet, view, group_of(view, "group-2"), before)
    fleet.catalogue()
    view = fleet.retry(order, bad)
    assert run_of(view, bad).attempt == 2
    assert run_of(view, good).attempt == 1
    assert_all_well(fleet, view, wanted)


def test_a_full_disk_is_named_and_a_retry_after_room_was_made_finishes_the_release(fleet: Fleet) -> None:
    before, wanted = fleet.version, fleet.other_version
    order = fleet.create(wanted)
    bad, _good = first = group_of(fleet.ends(order, OrderState.READY), "group-1")
    with fleet.weather("disk_full", bad):
        fleet.start(order)
        view = fleet.ends(order, OrderState.HALTED)
        step = run_of(view, bad).step
        assert step is not None
        assert_failed(view, bad, step, "disk_full", bad)
        assert_out_of_service(fleet, view, bad)
        assert fleet.versions()[bad] == before
        assert_untouched(fleet, view, group_of(view, "group-2"), before)
        assert run_of(view, first[1]).state is RunState.SUCCEEDED
    assert_all_well(fleet, fleet.retry(order, bad), wanted)


def test_a_full_disk_is_found_before_the_start(fleet: Fleet) -> None:
    bad = fleet.info.hosts[1]
    with fleet.weather("disk_full", bad):
        order = fleet.create(fleet.other_version)
        view = fleet.ends(order, OrderState.INIT_FAILED)
        assert {host for host, _ in view.problems} == {bad}
        assert_says(next(problem for _, problem in view.problems if problem.code == "disk_low"), "disk_low", bad)
    fleet.initialise_again(order)
    fleet.cancel_unstarted(order)


def test_a_version_that_never_gets_healthy_stays_out_of_service_until_it_is_rolled_back(fleet: Fleet) -> None:
    before = fleet.version
    order = fleet.release("3.0.0")
    view = fleet.ends(order, OrderState.HALTED)
    for host in group_of(view, "group-1"):
        assert_failed(view, host, step_names.CHECK_HEALTH, "health_check_failed")
        assert_says(run_of(view, host).problem, "health_check_failed", host)
        assert "passed:false" in run_of(view, host).problem.evidence  # type: ignore[union-attr]
        assert_out_of_service(fleet, view, host)
        assert fleet.versions()[host] == "3.0.0"
    assert_untouched(fleet, view, group_of(view, "group-2"), before)
    back = fleet.roll_back(order)
    assert {run.name for run in back.hosts if run.direction == "back"} >= set(group_of(view, "group-1"))
    assert_all_well(fleet, back, before)


def test_a_health_check_that_hangs_ends_at_its_deadline(fleet: Fleet) -> None:
    before, wanted = fleet.version, fleet.other_version
    order = fleet.create(wanted)
    bad, good = group_of(fleet.ends(order, OrderState.READY), "group-1")
    with fleet.weather("hung_health", bad):
        fleet.start(order)
        view = fleet.ends(order, OrderState.HALTED)
        assert_failed(view, bad, step_names.CHECK_HEALTH, "health_check_timed_out", bad)
        assert "no answer" in run_of(view, bad).problem.evidence  # type: ignore[union-attr]
        assert_out_of_service(fleet, view, bad)
        assert run_of(view, good).state is RunState.SUCCEEDED
        assert_untouched(fleet, view, group_of(view, "group-2"), before)
    assert_all_well(fleet, fleet.retry(order, bad), wanted)


def test_an_agent_that_is_down_where_one_is_required_is_found_before_the_start_and_at_its_step(fleet: Fleet) -> None:
    fleet.place = ("acme", "test")
    try:
        _agent_down(fleet)
    finally:
        fleet.make_ready()
        fleet.place = (fleet.info.tenant, fleet.info.workspace)


def _agent_down(fleet: Fleet) -> None:
    first, second = "test-01", "test-02"
    with fleet.weather("agent_down", first):
        order = fleet.create("1.0.0", app="ledger")
        view = fleet.ends(order, OrderState.INIT_FAILED)
        assert [host for host, _ in view.problems] == [first]
        assert_says(view.problems[0][1], "agent_not_running", first)
    fleet.until(lambda: all(host.agent for host in fleet.status().hosts), "the agents run")
    fleet.initialise_again(order)
    with fleet.weather("agent_down", first):
        fleet.act(order, Act.START)
        view = fleet.ends(order, OrderState.HALTED)
        assert_says(run_of(view, first).problem, "agent_not_running", first)
        assert step_of(run_of(view, first), step_names.CHECK_AGENT) is StepState.FAILED
        assert fleet.weights(TEST_GROUP) == {first: 0, second: 100}
        assert run_of(view, second).state is RunState.PENDING
    fleet.until(lambda: all(host.agent for host in fleet.status().hosts), "the agents run")
    fleet.retry(order, first)
    assert fleet.weights(TEST_GROUP) == {first: 100, second: 100}
