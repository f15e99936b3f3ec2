"""Which of a host's attempts is read first: the newest, or on a host that has failed the one that says why."""

from __future__ import annotations

from collections.abc import Sequence

from engine.domain.states import RunState
from engine.views.orders import AttemptView


def first_to_read(attempts: Sequence[AttemptView]) -> AttemptView | None:
    """Of one host's, oldest first: the newest; of a host that failed and does not run, the newest that failed."""
    if not attempts:
        return None
    newest = attempts[-1]
    if newest.state in (RunState.RUNNING, RunState.SUCCEEDED):
        return newest
    return next((one for one in reversed(attempts) if one.state is RunState.FAILED), newest)


def in_reading_order(attempts: Sequence[AttemptView]) -> tuple[AttemptView, ...]:
    """Oldest first, but the one that says why a host has failed before all others."""
    first = first_to_read(attempts)
    if first is None or first.state is not RunState.FAILED:
        return tuple(attempts)
    return (first, *(one for one in attempts if one is not first))
