"""Apps of the lab that call each other: released in the right order no request fails, in the wrong one requests do."""

from __future__ import annotations

from pathlib import Path

from cockpit.lab import process
from cockpit.lab.layout import TRADE_CORE, layout_of
from engine.domain.orders import AppAsked
from engine.domain.states import OrderState
from tests.support.lab_release import Fleet, fleet_of


def release(fleet: Fleet, version: str, first: str, then: str) -> int:
    """Both apps at `version`, `then` when `first` is done; returns how many requests failed meanwhile."""
    process.load(fleet.dir, "start")
    fleet.ends(fleet.release(version, app=first, also=(AppAsked(then, version, (first,)),)), OrderState.SUCCEEDED)
    return process.load(fleet.dir, "stop").failed


def test_an_app_that_is_released_before_the_one_it_calls_fails_requests_and_behind_it_none(tmp_path: Path) -> None:
    with fleet_of(tmp_path / "lab", more_apps=True) as fleet:
        assert {host.app for host in fleet.status().hosts} == {"trade-core", "ledger", "pricing", "gateway"}
        assert release(fleet, "2.0.0", "pricing", "gateway") == 0
        # on the way down the caller goes first; here it does not
        assert release(fleet, "1.0.0", "pricing", "gateway") > 0
    assert len(layout_of(tmp_path / "lab", 4).of_app("gateway")) == 2


def test_without_them_the_lab_is_as_it_was_and_stays_so_when_it_is_started_again(tmp_path: Path) -> None:
    plain = layout_of(tmp_path, 4)
    assert {host.app for host in plain.hosts} == {TRADE_CORE, "ledger"}
    more = layout_of(tmp_path, 4, more_apps=True)
    assert layout_of(tmp_path, 4) == more
    assert not layout_of(tmp_path, 4, more_apps=False).more
