"""Set limits: how many hosts are at work at once, and how many may fail per group; the next decision goes by them."""

from __future__ import annotations

from engine.domain.acts import SetLimits
from engine.domain.progress import OrderProgress
from engine.run.acts.doing import By
from engine.store.orders import update_order
from engine.store.store import Transaction


def write(conn: Transaction, progress: OrderProgress, act: SetLimits, by: By, now: float) -> None:
    values = {"parallelism": act.parallelism, "max_failures": act.max_failures}
    update_order(conn, progress.id, now, **{name: value for name, value in values.items() if value is not None})
