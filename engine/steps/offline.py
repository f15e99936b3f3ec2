"""Ending the service: the stack's offline script stops what runs; what is deployed stays. Never runs it itself."""

from __future__ import annotations

from engine.domain.steps import StepPlan
from engine.ports import RemoteStep
from engine.steps.context import StepContext
from engine.steps.shell import script_step

DEADLINE_S = 300.0


def build(context: StepContext, step: StepPlan) -> RemoteStep:
    """Deadline: the parameter `offline_deadline_s`. Raises ProblemError for an unusable parameter or path."""
    return script_step(context, step.key, "offline", DEADLINE_S)
