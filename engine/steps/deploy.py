"""Deploying: the stack's deploy script stops the old version, installs the package and starts the new one. Never runs it itself."""

from __future__ import annotations

from engine.domain.states import StepName
from engine.ports import RemoteStep
from engine.steps.context import ReleaseContext
from engine.steps.shell import script_step

DEADLINE_S = 600.0


def build(context: ReleaseContext) -> RemoteStep:
    """Deadline: the parameter `deploy_deadline_s`. Raises ProblemError for an unusable parameter or path."""
    return script_step(context, StepName.DEPLOY, "deploy", DEADLINE_S)
