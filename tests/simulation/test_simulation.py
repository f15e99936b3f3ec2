"""The simulation in the test suite: some seeds, the same twice, a big fleet, and what was found once. `make simulate` runs many."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.run import simulate
from tests.simulation.scenario import calm
from tests.simulation.simulate import report

pytestmark = pytest.mark.timeout(300)
SEEDS_A_TEST = 10
TESTS = 2

FOUND = {
    23: "a stopped job had begun its deploy unseen: the host was taken for untouched",
    30: "an engine that was refused moved the log's mark past a step that was never written down",
    82: "a rollback pressed behind a cancel woke the ended order up",
    148: "a run taken over to be stopped left the earlier engine's job running",
    283: "a confirmed gate gave up the weight of a host that was being retried",
    327: "a confirmed gate gave up the weight of a host that had failed within the budget",
    5139: "the store was away when a lost deploy was read from its record, and the record was not read again",
    5218: "a rollback named a version that never succeeded while no host was known to be touched",
    5285: "a host that was running at the rollback was going back to a version that never succeeded",
    155: "the store was away when a deploy ended; the host's version was never written",
    72778951: "a job lost sight of was forgotten when the store was away between its stop and the end of its run",
    72779206: "a weight put right by hand after a rollback had brought its host back stayed owned by the order",
    107051988: "a pause could not be ended while the floor let no host go, though a failed one was to be tried again",
    863682940: "an engine that was frozen between its intent and its call cut a host that its successor had released",
    863684306: "one weight that could not be written left another one asked for by nobody",
    759874753: "what somebody else had set beside a call of ours was believed without being noticed",
    472781688: "a lost host was to be tried again when the store went away between its step's row and its own: it passed for done",
    651733019: "a way back that could not stop the way forward was tried again, and stopped only itself",
    225: "an order that took hosts offline was rolled back to a version that never succeeded here",
    127: "a host that does not pass our check, where the balancer has none, was counted as in service by the floor's checker",
    770038: "the way back of an order that brought another version than the host had went offline and was said to run that one",
    72780356: "a host that stood still when a rollback was given up was said to be deploying for ever",
}


@pytest.mark.parametrize("part", range(TESTS))
def test_nothing_is_violated_whatever_happens(part: int) -> None:
    for seed in range(part * SEEDS_A_TEST, (part + 1) * SEEDS_A_TEST):
        outcome = simulate(seed)
        assert not outcome.violations, report(outcome, 80)


@pytest.mark.parametrize("seed", FOUND, ids=[FOUND[seed].replace(" ", "_")[:60] for seed in FOUND])
def test_what_was_found_once_stays_found(seed: int) -> None:
    outcome = simulate(seed)
    assert not outcome.violations, report(outcome, 80)


def test_a_calm_release_of_two_hundred_hosts_succeeds() -> None:
    outcome = simulate(1, calm(1, 200))
    assert not outcome.violations, report(outcome, 80)
    assert outcome.states == {1: "succeeded"}


def test_a_seed_means_the_same_whatever_the_hash_seed() -> None:
    script = "from tests.simulation.run import simulate\nprint([simulate(s).trace.digest() for s in (3, 11, 30)])"
    root = Path(__file__).parent.parent.parent
    seen = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=root,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
        ).stdout
        for hash_seed in ("0", "1")
    }
    assert len(seen) == 1
