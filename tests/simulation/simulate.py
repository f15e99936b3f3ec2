"""Many seeds in as many processes as there are cores; for one that fails what was violated, what happened, how to see it again.

python -m tests.simulation.simulate --runs 10000 --seed 1     many
python -m tests.simulation.simulate --replay 4711             one, with its whole trace
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from tests.simulation.run import Outcome, simulate

CHUNK = 20
TRACE_LINES = 150
SHOWN = 5  # failures with their trace
SAID_EVERY = 1000  # runs, where no terminal shows how far it is


@dataclass(frozen=True)
class Failure:
    seed: int
    text: str
    checker: str


@dataclass(frozen=True)
class Chunk:
    runs: int
    failures: tuple[Failure, ...]
    states: Counter[str]
    checks: Counter[str]
    killed: int
    frozen: int
    virtual_s: float


def run_chunk(seeds: Iterable[int]) -> Chunk:
    failures: list[Failure] = []
    states: Counter[str] = Counter()
    checks: Counter[str] = Counter()
    runs = killed = frozen = 0
    virtual_s = 0.0
    for seed in seeds:
        outcome = simulate(seed)
        runs, killed, frozen = runs + 1, killed + outcome.killed, frozen + outcome.frozen
        virtual_s += outcome.virtual_s
        states.update(outcome.states.values())
        checks.update(outcome.checks)
        if outcome.violations:
            failures.append(Failure(seed, report(outcome, TRACE_LINES), outcome.violations[0].checker))
    return Chunk(runs, tuple(failures), states, checks, killed, frozen, virtual_s)


def report(outcome: Outcome, last: int | None = None) -> str:
    """Seed, what was violated, the trace's end and the command that replays it."""
    seed = outcome.scenario.seed
    lines = [str(outcome.scenario), outcome.trace.text(last), *map(str, outcome.violations)]
    return "\n".join([*lines, f"again: make simulate REPLAY={seed}"])


def chunks(first: int, runs: int) -> Iterator[range]:
    for at in range(first, first + runs, CHUNK):
        yield range(at, min(at + CHUNK, first + runs))


def many(first: int, runs: int, workers: int) -> int:
    begun = time.monotonic()
    done = Chunk(0, (), Counter(), Counter(), 0, 0, 0.0)
    with ProcessPoolExecutor(workers) as pool:
        for chunk in pool.map(run_chunk, chunks(first, runs)):
            for at, failure in enumerate(chunk.failures, len(done.failures)):
                print(failure.text if at < SHOWN else failure.text.splitlines()[-2], flush=True)
                print(f"--- seed {failure.seed} failed: {failure.checker}\n", flush=True)
            done = Chunk(
                done.runs + chunk.runs, done.failures + chunk.failures, done.states + chunk.states,
                done.checks + chunk.checks, done.killed + chunk.killed, done.frozen + chunk.frozen,
                done.virtual_s + chunk.virtual_s,
            )  # fmt: skip
            if sys.stderr.isatty():
                print(f"\r{done.runs} runs, {len(done.failures)} failed", end="", file=sys.stderr, flush=True)
            elif done.runs % SAID_EVERY == 0:
                print(f"{done.runs} runs, {len(done.failures)} failed", file=sys.stderr, flush=True)
    print(f"\n{done.runs} runs from seed {first} in {time.monotonic() - begun:.0f} s: {len(done.failures)} failed")
    print(f"{done.virtual_s / 3600:.1f} virtual hours, {done.killed} engines killed, {done.frozen} frozen")
    print("orders: " + ", ".join(f"{count} {state}" for state, count in sorted(done.states.items())))
    for checker, count in sorted(done.checks.items()):
        print(f"asked {count:>9}  {checker}")
    for failure in done.failures:
        print(f"failed: make simulate REPLAY={failure.seed}   {failure.checker}")
    return 1 if done.failures else 0


def one(seed: int) -> int:
    outcome = simulate(seed)
    print(report(outcome))
    print(
        f"orders {outcome.states}, {outcome.virtual_s:.1f} virtual s in {outcome.wall_s:.2f} s; {outcome.trace.digest()}"
    )
    return 1 if outcome.violations else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=None, help="the first seed; a fresh one when it is left out")
    parser.add_argument("--replay", type=int, default=None)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    if given.replay is not None:
        return one(given.replay)
    first = secrets.randbelow(10**9) if given.seed is None else given.seed
    return many(first, given.runs, given.workers)


if __name__ == "__main__":
    sys.exit(main())
