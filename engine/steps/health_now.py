"""Whether a host is healthy at this moment: the check of a release, run once, outside of any job and with a short deadline."""

from __future__ import annotations

from shlex import quote

from engine.domain import step_names
from engine.steps.check_health import SHORT_S, shortened
from engine.steps.context import StepContext, variables
from engine.steps.registry import remote_step, step

GRACE_S = 15.0


def health_now(context: StepContext) -> tuple[str, float]:
    """A piece of POSIX sh that ends with 0 when the health check passes, and its deadline in seconds. Raises ProblemError."""
    context = shortened(context)
    exports = "\n".join(f"export {name}={quote(value)}" for name, value in variables(context).items())
    return f"{exports}\n{remote_step(step(step_names.CHECK_HEALTH), context).body}", SHORT_S + GRACE_S
