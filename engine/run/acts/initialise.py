"""Check everything again: the order goes back to `initialising`, and the engine makes a new plan."""

from __future__ import annotations

from engine.domain.acts import Initialise
from engine.domain.progress import OrderProgress
from engine.domain.states import OrderState
from engine.run.acts.doing import By
from engine.store.orders import set_order_state
from engine.store.store import Transaction


def write(conn: Transaction, progress: OrderProgress, act: Initialise, by: By, now: float) -> None:
    set_order_state(conn, progress, OrderState.INITIALISING, now)
