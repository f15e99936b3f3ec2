"""A balancer that is busy, throttles, fails, says nothing or lies: the release waits or halts, and what is shown of a weight is
what was read back, never what was hoped for."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from engine.domain import step_names
from engine.domain.states import Act, OrderState, RunState, StepState, TrafficMode, Verified
from tests.support.lab_release import (
    RECORDED,
    Fleet,
    assert_all_well,
    assert_failed,
    assert_says,
    assert_untouched,
    fleet_of,
    group_of,
    run_of,
    step_of,
    weight_of,
)


@pytest.fixture(scope="module")
def the_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet_of(tmp_path_factory.mktemp("balancer") / "lab", impatient=True) as fleet:
        yield fleet


@pytest.fixture
def fleet(the_fleet: Fleet) -> Iterator[Fleet]:
    """Instead of the shared one: with an engine that loses patience soon."""
    yield the_fleet
    the_fleet.make_ready()


@pytest.mark.parametrize(
    ("fault", "code", "verified"),
    [
        ("slb_busy", "balancer_busy", None),
        ("slb_throttled", "balancer_throttled", None),
        ("slb_5xx_not_done", "balancer_unknown", Verified.NO),
        ("slb_lie", "weight_not_applied", Verified.NO),
    ],
)
def test_a_cut_that_does_not_happen_changes_no_host_and_is_retried_when_the_balancer_answers_again(
    fleet: Fleet, fault: str, code: str, verified: Verified | None
) -> None:
    before, wanted = fleet.version, fleet.other_version
    order = fleet.create(wanted)
    first = group_of(fleet.ends(order, OrderState.READY), "group-1")
    starts = {host: fleet.starts(host, wanted) for host in first}
    with fleet.weather(fault):
        fleet.start(order)
        view = fleet.ends(order, OrderState.HALTED)
        assert_failed(view, first[0], step_names.CUT_TRAFFIC, code, "lb-2zelab01")
        assert set(fleet.weights().values()) == {RECORDED}
        for host in first:
            assert_says(run_of(view, host).problem, code, "lb-2zelab01")
            line = weight_of(view, host)
            assert line.asked == 0
            assert line.confirmed in (None, RECORDED)
            assert line.verified is not Verified.YES
            if verified is not None:
                assert (line.confirmed, line.verified) == (RECORDED, verified)
            # It may still be taking traffic, so nothing was done on it.
            assert step_of(run_of(view, host), step_names.CHECK_AGENT) in (None, StepState.PENDING)
            assert fleet.starts(host, wanted) == starts[host]
        assert_untouched(fleet, view, group_of(view, "group-2"), before)
    assert_all_well(fleet, fleet.retry(order, *first), wanted)


@pytest.mark.parametrize("fault", ["slb_5xx", "slb_no_answer"])
def test_a_change_that_was_made_but_not_answered_for_is_found_by_reading_back(fleet: Fleet, fault: str) -> None:
    wanted = fleet.other_version
    with fleet.weather(fault):
        order = fleet.release(wanted)
        view = fleet.ends(order, OrderState.SUCCEEDED)
        assert_all_well(fleet, view, wanted)
        assert {weight_of(view, host).verified for host in fleet.info.hosts} == {Verified.YES}


@pytest.mark.parametrize(("fault", "code"), [("slb_busy", "balancer_busy"), ("slb_lie", "weight_not_applied")])
def test_a_weight_that_does_not_come_back_is_shown_as_0_until_a_retry_brings_it_back(
    fleet: Fleet, fault: str, code: str
) -> None:
    wanted = fleet.other_version
    order = fleet.create(wanted)
    first = group_of(fleet.ends(order, OrderState.READY), "group-1")
    before = fleet.version
    starts = {host: fleet.starts(host, wanted) for host in first}
    for host in first:
        fleet.fault("hung_start", True, host)
    fleet.start(order)
    for host in first:
        fleet.step(order, host, step_names.DEPLOY)
    with fleet.weather(fault):
        fleet.fault("hung_start", False)
        view = fleet.ends(order, OrderState.HALTED)
        for host in first:
            assert run_of(view, host).state is RunState.FAILED
            assert_says(run_of(view, host).problem, code, "lb-2zelab01")
            assert step_of(run_of(view, host), step_names.CHECK_HEALTH) is StepState.SUCCEEDED
            assert step_of(run_of(view, host), step_names.RESTORE_TRAFFIC) is StepState.FAILED
            assert fleet.weights()[host] == 0
            line = weight_of(view, host)
            assert (line.recorded, line.asked, line.confirmed, line.owned) == (RECORDED, RECORDED, 0, True)
        assert_untouched(fleet, view, group_of(view, "group-2"), before)
    view = fleet.retry(order, *first)
    assert_all_well(fleet, view, wanted)
    for host in first:  # only its weight came back: nothing was cut, installed or deployed once more
        kept = {step.name for step in run_of(view, host).steps if step.kept_from == 1}
        assert kept == {step.name for step in run_of(view, host).steps} - {step_names.RESTORE_TRAFFIC}
        assert fleet.starts(host, wanted) == starts[host] + 1


def left_without_traffic(fleet: Fleet, wanted: str) -> tuple[int, tuple[str, ...], dict[str, int]]:
    """A release that is halted because the weights of its first group did not come back: the order, the group, and how often that
    version had been started on its hosts before."""
    order = fleet.create(wanted)
    first = group_of(fleet.ends(order, OrderState.READY), "group-1")
    starts = {host: fleet.starts(host, wanted) for host in first}
    for host in first:
        fleet.fault("hung_start", True, host)
    fleet.start(order)
    for host in first:
        fleet.step(order, host, step_names.DEPLOY)
    with fleet.weather("slb_busy"):
        fleet.fault("hung_start", False)
        fleet.ends(order, OrderState.HALTED)
    return order, first, starts


def test_a_retry_from_the_start_does_everything_again(fleet: Fleet) -> None:
    wanted = fleet.other_version
    order, first, starts = left_without_traffic(fleet, wanted)
    fleet.act(order, Act.RETRY, from_start=True)
    assert_all_well(fleet, fleet.ends(order, OrderState.SUCCEEDED), wanted)
    assert {host: fleet.starts(host, wanted) - starts[host] for host in first} == dict.fromkeys(first, 2)


def test_a_service_that_died_meanwhile_is_deployed_again_and_that_of_another_host_is_not(fleet: Fleet) -> None:
    wanted = fleet.other_version
    order, first, starts = left_without_traffic(fleet, wanted)
    dead, *others = first
    os.kill(int((fleet.home(dead) / "apps" / "trade-core" / "app.pid").read_text()), signal.SIGKILL)
    fleet.until(lambda: fleet.versions()[dead] != wanted, "the service is gone")
    view = fleet.retry(order, *first)
    assert_all_well(fleet, view, wanted)
    kept = {host: [step.name for step in run_of(view, host).steps if step.kept_from] for host in first}
    assert step_names.INSTALL_SOFTWARE in kept[dead]
    assert step_names.DEPLOY not in kept[dead]
    assert fleet.starts(dead, wanted) == starts[dead] + 2
    for host in others:
        assert step_names.CHECK_HEALTH in kept[host]
        assert fleet.starts(host, wanted) == starts[host] + 1


def test_a_rollback_after_a_cut_that_failed_leaves_everything_as_it_was(fleet: Fleet) -> None:
    before = fleet.version
    with fleet.weather("slb_throttled"):
        order = fleet.release(fleet.other_version)
        fleet.ends(order, OrderState.HALTED)
    assert_all_well(fleet, fleet.roll_back(order), before)


def test_a_host_that_is_not_healthy_stays_out_when_the_order_is_cancelled_and_a_preset_brings_it_back(
    fleet: Fleet,
) -> None:
    """Cancel gives weights back where health allows: here it does not."""
    before = fleet.version
    order = fleet.release("3.0.0")
    view = fleet.ends(order, OrderState.HALTED)
    first = group_of(view, "group-1")
    fleet.act(order, Act.CANCEL, reason="enough")
    view = fleet.see(order, lambda view: view.state.complete)
    assert view.state is OrderState.CANCELLED
    weights = fleet.weights()
    for host in fleet.info.hosts:
        assert weights[host] == (0 if host in first else RECORDED)
    for host in first:
        assert (weight_of(view, host).recorded, weight_of(view, host).confirmed) == (RECORDED, 0)
        assert_says(run_of(view, host).problem, "health_check_failed", host)
    full = dict.fromkeys(fleet.info.hosts, RECORDED)
    again = fleet.release(before, groups=len(full), traffic=TrafficMode.PRESET, preset_weights=full)
    fleet.ends(again, OrderState.SUCCEEDED)
    assert fleet.version == before
    assert set(fleet.weights().values()) == {RECORDED}
