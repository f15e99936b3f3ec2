"""Check everything again: the order goes back to `initialising`, and the engine makes a new plan."""

from __future__ import annotations

import sqlalchemy as sa

from engine.domain.acts import Initialise
from engine.domain.progress import OrderProgress
from engine.domain.states import OrderState
from engine.run.acts.doing import By
from engine.store.orders import set_order_state


def rows(conn: sa.Connection, progress: OrderProgress, act: Initialise, by: By, now: float) -> None:
    set_order_state(conn, progress, OrderState.INITIALISING, now)
