"""Roll back: what runs is stopped, then the hosts this order has touched get their earlier version. The way back is planned when
nothing runs any more; which version was asked for is read then."""

from __future__ import annotations

import sqlalchemy as sa

from engine.domain.acts import RollBack
from engine.domain.progress import OrderProgress
from engine.domain.states import OrderState
from engine.run.acts.doing import By
from engine.store import orders as stored


def rows(conn: sa.Connection, progress: OrderProgress, act: RollBack, by: By, now: float) -> None:
    stored.update_order(conn, progress.id, now, reason=by.reason, paused=False)
    stored.set_order_state(conn, progress, OrderState.ROLLING_BACK, now)
