"""A host that leaves its order before the end: what it is then, and the steps that give it its weight back where it answers. Pure.

Whatever is skipped, giving traffic back never is: it has its own health check before it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from engine.domain.orders import HostIs, HostPlan
from engine.domain.steps import HEALTH, StepPlan, Traffic

if TYPE_CHECKING:
    from engine.domain.progress import RunProgress

VERSION = "version"


def leaving_plan(plan: HostPlan, run: RunProgress) -> HostPlan:
    """Its health is checked, and it gets back what was recorded; nothing else is done to it."""
    known = as_it_is(plan, run)
    return replace(
        plan,
        steps=plan.undo_untouched or tuple(step for step in plan.steps if gives_back(step)),
        before=known,
        after=known,
        during=known.state,
        on_failure=known.state,
        restore_to=plan.recorded,
    )


def gives_back(step: StepPlan) -> bool:
    return HEALTH in step.sets or step.traffic is Traffic.BACK


def as_it_is(plan: HostPlan, run: RunProgress) -> HostIs:
    """What the host is after this run, as far as anybody knows: version empty with a state that is not `ready`: nobody does."""
    if not run.touched:
        return plan.before
    undone = _undone(plan, run)
    if not undone:
        return plan.after
    sets_version = any(VERSION in step.sets for step in plan.steps)
    if any(VERSION in step.sets for step in undone):
        return HostIs("", plan.on_failure)
    return HostIs(plan.after.version if sets_version else plan.before.version, plan.on_failure)


def version_unknown(plan: HostPlan, run: RunProgress) -> bool:
    return run.touched and any(VERSION in step.sets for step in _undone(plan, run))


def _undone(plan: HostPlan, run: RunProgress) -> list[StepPlan]:
    """The steps that change the host and were skipped, or begun and not ended well; where it failed nowhere, or nobody saw where,
    all of them."""
    keys = [step.key for step in plan.steps]
    done = keys.index(run.failed_at) if run.failed_at in keys else 0
    return [step for at, step in enumerate(plan.steps) if step.touches and (at >= done or step.key in run.skips)]


def may_be_skipped(step: StepPlan) -> bool:
    """Not one that moves traffic, and not the check without which no traffic comes back."""
    return step.skippable and not step.on_balancer and HEALTH not in step.sets
