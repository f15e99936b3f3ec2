"""Pause: no further host starts, and those at work stand still before their next move on the balancer."""

from __future__ import annotations

from engine.domain.acts import Pause
from engine.domain.progress import OrderProgress
from engine.run.acts.doing import By
from engine.store.orders import update_order
from engine.store.store import Transaction


def write(conn: Transaction, progress: OrderProgress, act: Pause, by: By, now: float) -> None:
    update_order(conn, progress.id, now, paused=True)
