"""The commands that engine and raw loop send alike: seven steps of a line of sh each."""

from __future__ import annotations

import os

from engine.domain.states import StepName

STEPS = (
    StepName.CHECK_AGENT,
    StepName.DOWNLOAD_SCRIPTS,
    StepName.INSTALL_SOFTWARE,
    StepName.CONFIGURE_ENVIRONMENT,
    StepName.DOWNLOAD_PACKAGE,
    StepName.DEPLOY,
    StepName.CHECK_HEALTH,
)


def body(name: StepName) -> str:
    """`BENCH_STEP_S` in the environment: how long a step takes."""
    pause_s = float(os.environ.get("BENCH_STEP_S", "0"))
    return f'echo "{name} on $(pwd)"; test -d "$HOME"' + (f"; sleep {pause_s}" if pause_s else "")
