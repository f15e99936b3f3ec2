"""The commands that engine and raw loop send alike: seven steps of a line of sh each."""

from __future__ import annotations

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
    return f'echo "{name} on $(pwd)"; test -d "$HOME"'
