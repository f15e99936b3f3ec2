"""Installing the server software: the stack's install script. Never runs it itself."""

from __future__ import annotations

from engine.domain.states import StepName
from engine.ports import RemoteStep
from engine.steps.context import ReleaseContext
from engine.steps.shell import script_step

DEADLINE_S = 900.0


def build(context: ReleaseContext) -> RemoteStep:
    """Deadline: the parameter `install_software_deadline_s`. Raises ProblemError for an unusable parameter or path."""
    return script_step(context, StepName.INSTALL_SOFTWARE, "install", DEADLINE_S)
