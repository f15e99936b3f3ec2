"""The commands that engine and raw loop send alike: seven steps of a line of sh each."""

from __future__ import annotations

import os

from engine.domain import step_names

STEPS = (
    step_names.CHECK_AGENT,
    step_names.DOWNLOAD_SCRIPTS,
    step_names.INSTALL_SOFTWARE,
    step_names.CONFIGURE_ENVIRONMENT,
    step_names.DOWNLOAD_PACKAGE,
    step_names.DEPLOY,
    step_names.CHECK_HEALTH,
)


def body(name: str) -> str:
    """`BENCH_STEP_S` in the environment: how long a step takes."""
    pause_s = float(os.environ.get("BENCH_STEP_S", "0"))
    return f'echo "{name} on $(pwd)"; test -d "$HOME"' + (f"; sleep {pause_s}" if pause_s else "")
