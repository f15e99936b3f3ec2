"""What a command's exit code says. Scripts depend on these numbers."""

from __future__ import annotations

from typing import Final

from engine.domain.states import OrderState

DONE: Final = 0
FAILED: Final = 1
WRONG_USE: Final = 2
WAITING: Final = 3  # for a person


def of_order(state: OrderState) -> int:
    """Of following an order until it ends or waits: done is only what it was made for."""
    if state is OrderState.SUCCEEDED:
        return DONE
    if state.halts and state is not OrderState.INIT_FAILED:
        return WAITING
    return FAILED
