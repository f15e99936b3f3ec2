"""Configuring the host's environment: the stack's configure script. Never runs it itself."""

from __future__ import annotations

from engine.domain.states import StepName
from engine.ports import RemoteStep
from engine.steps.context import ReleaseContext
from engine.steps.shell import script_step

DEADLINE_S = 300.0


def build(context: ReleaseContext) -> RemoteStep:
    """Deadline: the parameter `configure_environment_deadline_s`. Raises ProblemError for an unusable parameter or path."""
    return script_step(context, StepName.CONFIGURE_ENVIRONMENT, "configure", DEADLINE_S)
