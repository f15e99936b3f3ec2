"""A package that is missing or is not what the catalogue says, before the start and in the middle of a release."""

from __future__ import annotations

import shutil

from engine.domain import step_names
from engine.domain.acts import Start
from engine.domain.states import Act, CommandState, OrderState
from tests.support.lab_release import (
    Fleet,
    assert_all_well,
    assert_failed,
    assert_out_of_service,
    assert_says,
    assert_untouched,
    group_of,
)

VERSION = "2.0.0"  # whose package the faults are about
KEY = "packages/trade-core-2.0.0.tar.gz"


def fetch_anew(fleet: Fleet) -> None:
    """What a host has verified once it does not download again."""
    for host in fleet.info.hosts:
        shutil.rmtree(fleet.home(host) / ".cockpit" / "packages", ignore_errors=True)


def test_a_missing_package_is_found_before_the_start_and_initialising_again_finds_it_back(fleet: Fleet) -> None:
    fleet.at("1.0.0")
    with fleet.weather("package_missing"):
        order = fleet.create(VERSION)
        view = fleet.ends(order, OrderState.INIT_FAILED)
        (problem,) = (problem for _, problem in view.problems)
        assert_says(problem, "package_missing", KEY)
        assert fleet.versions() == dict.fromkeys(fleet.info.hosts, "1.0.0")
        assert set(fleet.weights().values()) == {100}
    fleet.initialise_again(order)
    with fleet.weather("package_missing"):  # gone again after the check: the start looks once more
        command = fleet.api.send(*fleet.place, order, Start())
        answer = fleet.api.wait_command(command)
        assert answer.state is CommandState.REFUSED
        assert_says(answer.problem, "package_missing", KEY)
        assert fleet.order(order).state is OrderState.READY
    fleet.cancel_unstarted(order)


def test_a_package_that_vanishes_during_the_release_halts_the_next_group_and_a_rollback_returns_the_first(
    fleet: Fleet,
) -> None:
    fleet.at("1.0.0")
    fetch_anew(fleet)
    order = fleet.create(VERSION, beta=True, seed=1)
    first = group_of(fleet.ends(order, OrderState.READY), "beta")
    fleet.start(order)
    fleet.ends(order, OrderState.WAITING)
    fleet.fault("package_missing", True)
    fleet.act(order, Act.CONFIRM)
    view = fleet.ends(order, OrderState.HALTED)
    (bad,) = group_of(view, "group-1")
    assert_failed(view, bad, step_names.DOWNLOAD_PACKAGE, "package_missing", "trade-core")
    assert_out_of_service(fleet, view, bad)
    assert_untouched(fleet, view, group_of(view, "group-2"), "1.0.0")
    assert {host: fleet.versions()[host] for host in first} == dict.fromkeys(first, VERSION)
    # The way back does not need the missing package.
    assert_all_well(fleet, fleet.roll_back(order), "1.0.0")


def test_a_download_with_a_wrong_checksum_is_not_deployed(fleet: Fleet) -> None:
    fleet.at("1.0.0")
    fetch_anew(fleet)
    order = fleet.create(VERSION)
    first = group_of(fleet.ends(order, OrderState.READY), "group-1")
    with fleet.weather("package_corrupt"):
        fleet.start(order)
        view = fleet.ends(order, OrderState.HALTED)
        for host in first:
            assert_out_of_service(fleet, view, host)
        assert_failed(view, first[0], step_names.DOWNLOAD_PACKAGE, "checksum_mismatch", first[0])
        assert fleet.versions() == dict.fromkeys(fleet.info.hosts, "1.0.0")
        assert_untouched(fleet, view, group_of(view, "group-2"), "1.0.0")
    fleet.retry(order, *first)
    assert_all_well(fleet, fleet.order(order), VERSION)
