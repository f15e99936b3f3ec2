"""Installing the server software: the stack's install script. Never runs it itself."""

from __future__ import annotations

from engine.domain.steps import StepPlan
from engine.ports import RemoteStep
from engine.steps.context import StepContext
from engine.steps.shell import script_step

DEADLINE_S = 900.0


def build(context: StepContext, step: StepPlan) -> RemoteStep:
    """Deadline: the parameter `install_software_deadline_s`. Raises ProblemError for an unusable parameter or path."""
    return script_step(context, step.key, "install", DEADLINE_S)
