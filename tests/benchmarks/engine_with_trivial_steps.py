"""The real engine as `cockpit engine` runs it, with steps of trivial sh: what the engine does is measured, not the hosts' work.

With COCKPIT_BENCH_PROFILE set to a file, cProfile's figures are written there at the end.
"""

from __future__ import annotations

import cProfile
import os
from collections.abc import Callable
from typing import cast

from cockpit.cli import main
from engine.domain.states import StepName
from engine.ports import RemoteStep
from engine.steps import release
from engine.steps.context import ReleaseContext
from tests.benchmarks.trivial import body


def trivial(name: StepName) -> Callable[[ReleaseContext], RemoteStep]:
    return lambda context: RemoteStep(name, body(name), 60.0)


cast(dict[StepName, Callable[[ReleaseContext], RemoteStep]], release.BUILDERS).update(
    {name: trivial(name) for name in release.BUILDERS}
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
