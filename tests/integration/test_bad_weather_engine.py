"""The engine killed in the middle of a group, and releases under load that lose no request."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cockpit.engine_process import _environment
from cockpit.lab import process as lab
from engine.domain import step_names
from engine.domain.states import Act, OrderState, RunState, StepState, TrafficMode
from tests.support.lab_release import (
    RECORDED,
    Fleet,
    assert_all_well,
    assert_out_of_service,
    group_of,
    run_of,
    step_of,
    weight_of,
)

REQUESTS = 30


@contextmanager
def no_request_lost(fleet: Fleet) -> Iterator[None]:
    """Load through the balancer from before the block until after it; not one request may fail."""
    lab.load(fleet.dir, "start")
    try:
        let_requests_through(fleet)
        yield
        let_requests_through(fleet)
    finally:
        load = lab.load(fleet.dir, "stop")
    assert load.failed == 0, load
    assert load.requests == sum(load.by_version.values()) >= 2 * REQUESTS


def let_requests_through(fleet: Fleet) -> None:
    wanted = fleet.status().load.requests + REQUESTS
    fleet.until(lambda: fleet.status().load.requests >= wanted, f"{REQUESTS} more requests")


def test_an_engine_killed_in_the_middle_of_a_group_is_succeeded_by_one_that_finishes_it_and_does_nothing_twice(
    fleet: Fleet,
) -> None:
    wanted = fleet.other_version
    with no_request_lost(fleet):
        order = fleet.create(wanted)
        first = group_of(fleet.ends(order, OrderState.READY), "group-1")
        starts = {host: fleet.starts(host, wanted) for host in fleet.info.hosts}
        for host in first:
            fleet.fault("hung_start", True, host)
        fleet.start(order)
        for host in first:
            fleet.step(order, host, step_names.DEPLOY)
        epoch = fleet.order(order).epoch
        fleet.kill_engine()
        fleet.fault("hung_start", False)
        fleet.until(lambda: all(fleet.versions()[host] == wanted for host in first), "the jobs go on without an engine")
        view = fleet.order(order)
        assert view.state is OrderState.RUNNING
        for host in first:
            assert step_of(run_of(view, host), step_names.DEPLOY) is StepState.RUNNING
            assert_out_of_service(fleet, view, host)
        fleet.start_engine()
        view = fleet.ends(order, OrderState.SUCCEEDED)
        assert view.epoch == epoch + 1
        assert_all_well(fleet, view, wanted)
        assert {run.attempt for run in view.hosts} == {1}
        assert {host: fleet.starts(host, wanted) - starts[host] for host in starts} == dict.fromkeys(starts, 1)
    for (
        host
    ) in first:  # the whole log is there: what was printed while nobody listened as well, and nothing of it twice
        log = Path(run_of(view, host).log_path).read_text()
        assert log.count(f"trade-core {wanted} is deployed") == 1
        assert log.count(f"deploying trade-core {wanted}") == 1


def test_a_restart_of_the_engine_loses_nothing_of_a_running_order(fleet: Fleet) -> None:
    wanted = fleet.other_version
    order = fleet.create(wanted)
    first = group_of(fleet.ends(order, OrderState.READY), "group-1")
    for host in first:
        fleet.fault("hung_start", True, host)
    fleet.start(order)
    for host in first:
        fleet.step(order, host, step_names.DEPLOY)
    told = restarted(fleet)
    assert told["engines"][0]["pid"] != fleet.engine.pid
    assert told["busy"] is True
    fleet.fault("hung_start", False)
    view = fleet.ends(order, OrderState.SUCCEEDED)
    assert {run.attempt for run in view.hosts} == {1}
    assert_all_well(fleet, view, wanted)
    for host in first:
        assert Path(run_of(view, host).log_path).read_text().count(f"deploying trade-core {wanted}") == 1


def restarted(fleet: Fleet) -> dict[str, Any]:
    """`cockpit engine restart --json`. The engine is the fleet's own child until then: somebody must collect it."""
    assert fleet.engine is not None
    threading.Thread(target=fleet.engine.wait, daemon=True).start()
    done = subprocess.run(
        [sys.executable, "-m", "cockpit", "engine", "restart", "--json"],
        env=_environment(fleet.settings), cwd="/", capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_a_balancer_that_is_busy_for_a_while_is_waited_for(fleet: Fleet) -> None:
    wanted = fleet.other_version
    order = fleet.create(wanted)
    first = group_of(fleet.ends(order, OrderState.READY), "group-1")
    with fleet.weather("slb_busy"):
        fleet.start(order)
        view = fleet.see(order, lambda view: all(weight_of(view, host).asked == 0 for host in first))
        assert view.state is OrderState.RUNNING
        log = Path(run_of(view, first[0]).log_path)
        fleet.until(
            lambda: "is still busy with an earlier change" in log.read_text(), "who looks on is told why it waits"
        )
        for host in first:  # asked for, and shown as what it still is
            assert (weight_of(view, host).confirmed, weight_of(view, host).verified) == (RECORDED, None)
    assert_all_well(fleet, fleet.ends(order, OrderState.SUCCEEDED), wanted)


def test_a_balancer_whose_api_is_away_for_a_while_is_waited_for_and_a_pause_ends_the_wait(fleet: Fleet) -> None:
    wanted = fleet.other_version
    order = fleet.create(wanted)
    first = group_of(fleet.ends(order, OrderState.READY), "group-1")
    for host in first:
        fleet.fault("hung_start", True, host)
    fleet.start(order)
    for host in first:
        fleet.step(order, host, step_names.DEPLOY)
    fleet.fault("slb_away", True)
    fleet.fault("hung_start", False)
    view = fleet.see(order, lambda view: all(run_of(view, host).waits_for is not None for host in first))
    assert view.state is OrderState.RUNNING
    assert str(view.next).startswith("waiting for the balancer lb-2zelab01 since ")
    assert "(503 ServiceUnavailable), at most until " in str(view.next)
    log = Path(run_of(view, first[0]).log_path)
    fleet.until(lambda: str(view.next) in log.read_text(), "the host's log says it too")
    fleet.act(order, Act.PAUSE)
    fleet.see(order, lambda view: view.paused and view.state is OrderState.HALTED, deadline_s=20)
    fleet.fault("slb_away", True, for_s=8)
    fleet.act(order, Act.RESUME)
    fleet.see(order, lambda view: all(run_of(view, host).waits_for is not None for host in first))
    view = fleet.ends(order, OrderState.SUCCEEDED)
    assert {run.attempt for run in view.hosts} == {1}
    assert_all_well(fleet, view, wanted)


def test_a_snapshot_release_loses_no_request(fleet: Fleet) -> None:
    wanted = fleet.other_version
    with no_request_lost(fleet):
        view = fleet.ends(fleet.release(wanted), OrderState.SUCCEEDED)
    assert_all_well(fleet, view, wanted)


def test_a_preset_release_loses_no_request_and_ends_with_the_weights_that_were_chosen(fleet: Fleet) -> None:
    wanted = fleet.other_version
    chosen = {host: 40 + 20 * nth for nth, host in enumerate(fleet.info.hosts)}
    try:
        with no_request_lost(fleet):
            order = fleet.release(wanted, traffic=TrafficMode.PRESET, preset_weights=chosen)
            view = fleet.ends(order, OrderState.SUCCEEDED)
        assert fleet.version == wanted
        assert fleet.weights() == chosen
        for host, weight in chosen.items():
            line = weight_of(view, host)
            assert (line.recorded, line.asked, line.confirmed, line.owned) == (RECORDED, weight, weight, False)
    finally:
        even = dict.fromkeys(fleet.info.hosts, RECORDED)
        order = fleet.release(fleet.other_version, traffic=TrafficMode.PRESET, preset_weights=even)
        fleet.ends(order, OrderState.SUCCEEDED)


def test_a_rollback_in_the_middle_loses_no_request(fleet: Fleet) -> None:
    before = fleet.version
    with no_request_lost(fleet):
        order = fleet.release(fleet.other_version, beta=True, seed=3)
        view = fleet.ends(order, OrderState.WAITING)
        beta = group_of(view, "beta")
        assert {run_of(view, host).state for host in beta} == {RunState.SUCCEEDED}
        back = fleet.roll_back(order)
    assert_all_well(fleet, back, before)


def test_a_rollback_of_an_ended_release_is_an_order_of_its_own_and_loses_no_request(fleet: Fleet) -> None:
    before = fleet.version
    with no_request_lost(fleet):
        fleet.ends(fleet.release(fleet.other_version), OrderState.SUCCEEDED)
        back = fleet.release(before, kind="rollback", reason="not what we wanted")
        view = fleet.ends(back, OrderState.SUCCEEDED)
    assert view.kind == "rollback"
    assert_all_well(fleet, view, before)


def test_a_version_that_never_gets_healthy_loses_no_request_on_its_way_and_back(fleet: Fleet) -> None:
    before = fleet.version
    with no_request_lost(fleet):
        order = fleet.release("3.0.0")
        view = fleet.ends(order, OrderState.HALTED)
        for host in group_of(view, "group-1"):
            assert_out_of_service(fleet, view, host)
        assert any(meaning.act is Act.ROLL_BACK and meaning.allowed for meaning in view.acts)
        assert_all_well(fleet, fleet.roll_back(order), before)
    assert "3.0.0" not in lab.load(fleet.dir, "stop").by_version
