"""The real engine as `cockpit engine` runs it, with steps of trivial sh: what the engine does is measured, not the hosts' work.

With COCKPIT_BENCH_PROFILE set to a file, cProfile's figures are written there at the end.
"""

from __future__ import annotations

import cProfile
import os
from dataclasses import replace

from cockpit.cli import main
from engine.domain.steps import StepPlan
from engine.ports import RemoteStep
from engine.steps import registry
from engine.steps.context import StepContext
from tests.benchmarks.trivial import body


def trivial(context: StepContext, step: StepPlan) -> RemoteStep:
    return RemoteStep(step.key, body(step.key), 60.0)


registry.STEPS.update(
    {name: replace(row, remote=trivial) for name, row in registry.STEPS.items() if row.remote is not None}
)
if __name__ == "__main__":
    profile = os.environ.get("COCKPIT_BENCH_PROFILE")
    if profile:
        with cProfile.Profile() as profiler:
            try:
                main(["engine"])
            finally:
                profiler.dump_stats(profile)
    else:
        main(["engine"])
