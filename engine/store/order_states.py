"""Which states of an order are open, started and ended, as columns have them."""

from __future__ import annotations

from engine.domain.states import OrderState

_NOT_STARTED = (OrderState.INITIALISING, OrderState.INIT_FAILED, OrderState.READY)
OPEN_STATES = tuple(str(state) for state in OrderState if not state.complete)
STARTED_STATES = tuple(str(state) for state in OrderState if not state.complete and state not in _NOT_STARTED)
ENDED_STATES = tuple(str(state) for state in OrderState if state.complete)
