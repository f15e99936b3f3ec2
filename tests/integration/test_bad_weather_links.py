"""Bad weather on the way to the hosts: keys nobody vouched for or that changed, and jump hosts that are down, before the start
and in the middle of a group."""

from __future__ import annotations

from typing import Any

from engine.domain import step_names
from engine.domain.states import Act, OrderState, RunState, StepState
from tests.support.lab_release import (
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

JUMP = "jump-1"


def without_key(name: str) -> Any:
    """The catalogue with nothing said about the key of that host or jump host."""

    def change(data: dict[str, Any]) -> None:
        prod = next(space for space in data["tenants"][0]["workspaces"] if space["name"] == "prod")
        rows = [host for centre in prod["data_centres"] for cell in centre["cells"] for host in cell["hosts"]]
        for row in rows + prod["jump_hosts"]:
            if row["name"] == name:
                row["host_key"] = ""

    return change


def test_a_host_key_nobody_vouched_for_is_never_taken(fleet: Fleet) -> None:
    version, bad = fleet.version, fleet.info.hosts[2]
    fleet.catalogue(without_key(bad))
    order = fleet.create(fleet.other_version)
    view = fleet.ends(order, OrderState.INIT_FAILED)
    ((host, problem),) = view.problems
    assert host == bad
    assert_says(problem, "host_key_unknown", bad, "SHA256:")
    assert_says(view.problem, "host_key_unknown", bad)
    assert fleet.settings.ssh.known_hosts is not None
    assert fleet.settings.ssh.known_hosts.read_text() == ""  # looking at it did not vouch for it
    fleet.catalogue()
    fleet.initialise_again(order)
    fleet.cancel_unstarted(order)
    assert fleet.version == version


def test_a_jump_host_key_nobody_vouched_for_closes_the_way_to_every_host_behind_it(fleet: Fleet) -> None:
    fleet.catalogue(without_key(JUMP))
    order = fleet.create(fleet.other_version)
    view = fleet.ends(order, OrderState.INIT_FAILED)
    assert sorted(host for host, _ in view.problems) == sorted(fleet.info.hosts)
    for _, problem in view.problems:
        assert_says(problem, "host_key_unknown", JUMP, "SHA256:")
    fleet.catalogue()
    fleet.initialise_again(order)
    fleet.cancel_unstarted(order)


def test_a_changed_host_key_is_found_before_the_start_and_in_the_middle_of_a_release(fleet: Fleet) -> None:
    before, wanted = fleet.version, fleet.other_version
    bad = fleet.info.hosts[0]
    with fleet.weather("host_key_changed", bad):
        order = fleet.create(wanted)
        ((host, problem),) = fleet.ends(order, OrderState.INIT_FAILED).problems
        assert host == bad
        assert_says(problem, "host_key_changed", bad, "SHA256:")
    bad, good = group_of(fleet.initialise_again(order), "group-1")
    with fleet.weather("host_key_changed", bad):
        fleet.act(order, Act.START)
        view = fleet.ends(order, OrderState.HALTED)
        assert_says(run_of(view, bad).problem, "host_key_changed", bad, "SHA256:")
        assert_failed(view, bad, step_names.CUT_TRAFFIC, "host_key_changed", bad)
        assert_out_of_service(fleet, view, bad)
        assert fleet.versions()[bad] == before
        assert run_of(view, good).state is RunState.SUCCEEDED
        assert_untouched(fleet, view, group_of(view, "group-2"), before)
    assert_all_well(fleet, fleet.retry(order, bad), wanted)


def test_a_changed_jump_host_key_stops_everything_behind_it_before_the_start(fleet: Fleet) -> None:
    with fleet.weather("jump_key_changed"):
        order = fleet.create(fleet.other_version)
        view = fleet.ends(order, OrderState.INIT_FAILED)
        assert sorted(host for host, _ in view.problems) == sorted(fleet.info.hosts)
        for _, problem in view.problems:
            assert_says(problem, "host_key_changed", JUMP, "SHA256:")
    fleet.initialise_again(order)
    fleet.cancel_unstarted(order)


def test_a_jump_host_that_is_down_is_named_for_every_host_behind_it(fleet: Fleet) -> None:
    with fleet.weather("jump_down"):
        order = fleet.create(fleet.other_version)
        view = fleet.ends(order, OrderState.INIT_FAILED)
        assert sorted(host for host, _ in view.problems) == sorted(fleet.info.hosts)
        for _, problem in view.problems:
            assert_says(problem, "jump_host_unreachable", JUMP)
    fleet.initialise_again(order)
    fleet.cancel_unstarted(order)


def test_a_jump_host_that_goes_down_in_the_middle_of_a_group_is_waited_for_and_the_jobs_are_found_where_they_are(
    fleet: Fleet,
) -> None:
    wanted = fleet.other_version
    order = fleet.create(wanted)
    first = group_of(fleet.ends(order, OrderState.READY), "group-1")
    starts = {host: fleet.starts(host, wanted) for host in fleet.info.hosts}
    for host in first:
        fleet.fault("hung_start", True, host)
    fleet.start(order)
    for host in first:
        fleet.step(order, host, step_names.DEPLOY)
    with fleet.weather("jump_down"):
        fleet.fault("hung_start", False)
        # The hosts do not need us: what was started there runs to its end.
        fleet.until(lambda: all(fleet.versions()[host] == wanted for host in first), "the first group started")
        view = fleet.order(order)
        assert view.state is OrderState.RUNNING
        for host in first:
            assert run_of(view, host).state is RunState.RUNNING
            assert step_of(run_of(view, host), step_names.DEPLOY) is StepState.RUNNING
            assert_out_of_service(fleet, view, host)
    view = fleet.ends(order, OrderState.SUCCEEDED)
    assert_all_well(fleet, view, wanted)
    assert {run.attempt for run in view.hosts} == {1}
    assert {host: fleet.starts(host, wanted) - starts[host] for host in starts} == dict.fromkeys(starts, 1)


def test_a_host_that_nobody_can_reach_fails_by_itself_and_is_rolled_back_when_it_is_there_again(fleet: Fleet) -> None:
    before, wanted = fleet.version, fleet.other_version
    order = fleet.create(wanted)
    bad, good = group_of(fleet.ends(order, OrderState.READY), "group-1")
    with fleet.weather("host_unreachable", bad):
        fleet.start(order)
        view = fleet.ends(order, OrderState.HALTED)
        assert_failed(view, bad, step_names.CUT_TRAFFIC, "host_unreachable", bad)
        assert_out_of_service(fleet, view, bad)
        assert run_of(view, good).state is RunState.SUCCEEDED
        assert_untouched(fleet, view, group_of(view, "group-2"), before)
    assert_all_well(fleet, fleet.roll_back(order), before)
