"""Which acts make sense in the state an order is in, so that screens offer those and no others. Pure."""

from __future__ import annotations

from engine.domain.acts import ACTS
from engine.domain.progress import OrderProgress
from engine.domain.states import Act, Direction, OrderState
from engine.plan.back import SucceededVersions, WayBack, can_go_back
from engine.plan.remedies import offered
from engine.plan.what_if import consequence
from engine.plan.which_hosts import (
    failed_hosts,
    hosts_left_behind,
    settable_hosts,
    started_hosts,
    touched_hosts,
    waiting_gate,
)
from engine.views.acts import Consequence


def sensible_acts(
    progress: OrderProgress,
    *,
    succeeded_versions: SucceededVersions,
    production: bool,
    now: float,
    way_back: WayBack | None,
) -> tuple[Consequence, ...]:
    """The consequence of every act that makes sense now, the expected one first. An act that would make sense but is refused
    (a gate whose host takes no traffic yet) is among them, behind those that are allowed."""
    answers = [
        consequence(
            progress,
            ACTS[act].type(),
            succeeded_versions=succeeded_versions,
            production=production,
            now=now,
            way_back=way_back,
        )
        for act in _worth_showing(progress)
        if act is not Act.ROLL_BACK or can_go_back(progress, way_back)
    ]
    return tuple(sorted(answers, key=lambda answer: not answer.allowed))


def _worth_showing(progress: OrderProgress) -> list[Act]:
    """The acts that belong to the order's state, the expected one first."""
    state = progress.state
    if state is OrderState.INITIALISING:
        return [Act.CANCEL]
    if state is OrderState.INIT_FAILED:
        return [Act.INITIALISE, *([Act.REMEDY] if offered(progress) else []), Act.CANCEL]
    if state is OrderState.READY:
        return [Act.START, Act.INITIALISE, Act.CANCEL]
    if state.complete:
        left = [Act.GIVE_BACK] if hosts_left_behind(progress) else []
        return [*left, Act.ROLL_BACK] if _changed_something(progress) else left
    if state is OrderState.CANCELLING:
        return []
    acts = [Act.CONFIRM] if waiting_gate(progress) else []
    acts += [Act.RETRY] if failed_hosts(progress) else []
    acts += [Act.REMEDY] if offered(progress) else []
    acts += [Act.SKIP] if failed_hosts(progress) else []
    acts += [Act.SET_WEIGHTS] if settable_hosts(progress) else []
    if progress.paused:
        acts.insert(0, Act.RESUME)
    elif state is not OrderState.HALTED:
        acts.append(Act.PAUSE)
    turned = progress.direction is Direction.BACK or state is OrderState.ROLLING_BACK
    acts += [Act.ROLL_BACK] if not turned and started_hosts(progress) else []
    return acts if state is OrderState.ROLLING_BACK else [*acts, Act.CANCEL]


def _changed_something(ended: OrderProgress) -> bool:
    """After a rollback the hosts run what they ran before; after a cancel those it had reached keep their new version."""
    if ended.state is OrderState.CANCELLED:
        return bool(touched_hosts(ended))
    return ended.state in (OrderState.SUCCEEDED, OrderState.FAILED)
