"""Which steps of a host that is tried again are kept from its earlier attempts, and which are done once more. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.domain.message import Message, message
from engine.domain.orders import HostPlan
from engine.domain.progress import RunProgress
from engine.domain.steps import Holds, StepPlan, cuts

CHECK_KEPT_S = 300.0  # for so long a host that passed the check of an order need not be asked again


@dataclass(frozen=True, slots=True)
class Kept:
    """`keys` are the steps that are kept. `why`: what is not so any more (None: all that was done still is)."""

    keys: frozenset[str]
    why: Message | None


def kept(steps: Sequence[StepPlan], found: Mapping[str, Message | None]) -> Kept:
    """`found` are the steps that were done before, each with what is no longer so (None: it still is). What a step leaves behind
    rests on what was done before it: the first that is to be done takes all behind it along. A step that only prepares rests on
    nothing; it need not be so any more when nothing is left to do on the host."""
    first = next((at for at, step in enumerate(steps) if not step.prepares and _to_do(step, found)), len(steps))
    work = works(steps[first:])
    keys = {step.key for step in steps[:first] if step.key in found and not (work and _to_do(step, found))}
    # what rests on nothing was perhaps not even looked at: what work it makes ready for says more
    again = sorted((step for step in steps if step.key in found and step.key not in keys), key=lambda s: s.prepares)
    return Kept(frozenset(keys), next((why for step in again if (why := found[step.key]) is not None), None))


def _to_do(step: StepPlan, found: Mapping[str, Message | None]) -> bool:
    return step.key not in found or found[step.key] is not None


def works(steps: Sequence[StepPlan]) -> bool:
    """Whether something of these is to be done on the host itself."""
    return any(not step.on_balancer for step in steps)


def first_again(steps: Sequence[StepPlan], kept: frozenset[str]) -> StepPlan | None:
    return next((step for step in steps if step.key not in kept), None)


@dataclass(frozen=True, slots=True)
class Begins:
    """Where a host that has failed would begin, by its rows: how many steps before `step` are done, and the first of them of which
    nobody can tell whether it still is (then that one and all behind it are done again)."""

    step: StepPlan
    done: int
    doubtful: StepPlan | None


def begins(plan: HostPlan, run: RunProgress) -> Begins | None:
    """None: nothing is known of where it failed."""
    at = next((at for at, step in enumerate(plan.steps) if step.key == run.failed_at), None)
    if at is None:
        return None
    doubtful = next((s for s in plan.steps[:at] if not s.prepares and s.holds is Holds.UNKNOWN), None)
    return Begins(plan.steps[at], at, doubtful)


def keeps_something(plan: HostPlan, run: RunProgress) -> bool:
    """Whether a host that has failed may keep steps when it is tried again: whatever is asked for, it is for the host to say."""
    known = begins(plan, run)
    return known is not None and known.done > 0 and known.doubtful is None


def leaves_again(plan: HostPlan, run: RunProgress) -> bool:
    """Whether a run takes its host out of its balancers; not if it is tried again and all that is left is to give traffic back."""
    known = begins(plan, run)
    if run.from_start or known is None or known.doubtful is not None:
        return plan.leaves
    rest = plan.steps[known.done :]
    return plan.leaves and (works(rest) or cuts(rest))


def begins_at(step: str, kept: int, why: Message | None) -> Message:
    """Where a host that is tried again begins."""
    if not step:
        return message("nothing is left to do; steps that are done and still so: {kept}", kept=kept)
    if why is None:
        return message("begins at {step}; steps that are done and still so: {kept}", step=step, kept=kept)
    if kept:
        return message(
            "begins at {step}, because {why}; steps that are done and still so: {kept}", step=step, kept=kept, why=why
        )
    return message("does everything again, because {why}", why=why)
