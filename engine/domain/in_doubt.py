"""What becomes of a step of which nobody can say whether it was done: one policy a step, in one table.

A step is in doubt when its *running* row is there and its outcome is not. On a host the job's own record is asked first, and nearly
always knows: a running step is joined, a finished one answered. Only when that record has no end and nothing runs any more (the
host was restarted, its runner killed) the policy decides. A step on the balancer is always read before and after, so it may be
repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from engine.domain.states import StepName

RERUNS = 2  # attempts of a host that may be followed by another one without a person


class InDoubt(StrEnum):
    RERUN = "rerun"  # doing it again does no harm: the host is tried again by itself, from its first step
    PROBE = "probe"  # the world is asked: what it says is the step's outcome
    ASK = "ask"  # a person looks at the host and decides


POLICIES: Mapping[StepName, InDoubt] = {
    StepName.CUT_TRAFFIC: InDoubt.RERUN,
    StepName.CHECK_AGENT: InDoubt.RERUN,
    StepName.DOWNLOAD_SCRIPTS: InDoubt.RERUN,
    StepName.INSTALL_SOFTWARE: InDoubt.ASK,  # the stack's own scripts: only a person knows what half of one leaves behind
    StepName.CONFIGURE_ENVIRONMENT: InDoubt.ASK,
    StepName.DOWNLOAD_PACKAGE: InDoubt.RERUN,
    StepName.DEPLOY: InDoubt.ASK,
    StepName.CHECK_HEALTH: InDoubt.PROBE,
    StepName.RESTORE_TRAFFIC: InDoubt.RERUN,
}
