"""Releases on the lab while engines are killed and frozen, links cut and endpoints misbehave: by the seed, under load.

`make chaos N=50 SEED=1` runs seeds 1 to 50 and says what was done to them; a failing seed is printed with the command that replays
it (the same blows at the same distances; what they hit depends on the machine).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.chaos import Luck, Nursery, one_order, recover
from tests.support.lab_release import Fleet, fleet_of
from tests.support.postgres import PostgresServer, start_server

N = int(os.environ.get("CHAOS_N", "2"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
SEEDS = range(SEED, SEED + N)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Of its own: it is restarted in the middle."""
    server = start_server()
    yield server
    server.remove()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    store = ""
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("server")
        store = server.url(server.create_database())
    with fleet_of(tmp_path_factory.mktemp("chaos") / "lab", store=store) as fleet:
        fleet.stop_engine()
        yield fleet


@pytest.fixture(scope="module")
def nursery(fleet: Fleet) -> Iterator[Nursery]:
    nursery = Nursery(fleet)
    yield nursery
    nursery.close()


@pytest.fixture(scope="module")
def lucks() -> Iterator[list[Luck]]:
    lucks: list[Luck] = []
    yield lucks
    report(lucks)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_release_survives_its_seed(
    fleet: Fleet, nursery: Nursery, lucks: list[Luck], request: pytest.FixtureRequest, seed: int
) -> None:
    survive(fleet, nursery, lucks, request, seed)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_release_survives_its_seed_while_services_die_with_their_weight_up(
    fleet: Fleet, nursery: Nursery, lucks: list[Luck], request: pytest.FixtureRequest, seed: int
) -> None:
    survive(fleet, nursery, lucks, request, seed, deadly=True)


def survive(
    fleet: Fleet,
    nursery: Nursery,
    lucks: list[Luck],
    request: pytest.FixtureRequest,
    seed: int,
    *,
    deadly: bool = False,
) -> None:
    on_postgres = not fleet.settings.store.startswith("sqlite")
    server = request.getfixturevalue("server") if on_postgres else None
    try:
        lucks.append(one_order(fleet, nursery, seed, server=server, deadly=deadly))
    except BaseException as error:
        print(f"{error}"[:5000])
        which = f"{'postgresql' if on_postgres else 'sqlite'} and {'' if deadly else 'not '}services_die"
        print(f"replay: make chaos N=1 SEED={seed} ARGS='-k \"{which}\"'")
        recover(fleet, nursery)
        raise


def report(lucks: list[Luck]) -> None:
    total: Counter[str] = sum((luck.done for luck in lucks), Counter())
    resumed = sorted(second for luck in lucks for second in luck.resumed_after_s)
    middle = f"{resumed[len(resumed) // 2]:.2f} s, at most {resumed[-1]:.2f} s" if resumed else "-"
    print(f"\n{len(lucks)} orders ended right under {dict(total)}; a successor had the order after {middle}")
    if (file := os.environ.get("CHAOS_REPORT")) is not None:
        with Path(file).open("a") as out:
            for luck in lucks:
                print(luck, file=out)
