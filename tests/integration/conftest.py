"""One practice lab a test process, for every test that needs nothing but a fleet in good health at its start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.lab_release import Fleet, fleet_of


@pytest.fixture(scope="session")
def shared_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet_of(tmp_path_factory.mktemp("fleet") / "lab") as fleet:
        yield fleet


@pytest.fixture
def fleet(shared_fleet: Fleet) -> Iterator[Fleet]:
    """Good weather, no open order, an engine alive and the lab's own catalogue, before and after."""
    shared_fleet.make_ready()
    yield shared_fleet
    shared_fleet.make_ready()
