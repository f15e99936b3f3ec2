"""Resume: go on after a pause."""

from __future__ import annotations

from engine.domain.acts import Resume
from engine.domain.progress import OrderProgress
from engine.run.acts.doing import By
from engine.store.orders import update_order
from engine.store.store import Transaction


def write(conn: Transaction, progress: OrderProgress, act: Resume, by: By, now: float) -> None:
    update_order(conn, progress.id, now, paused=False)
