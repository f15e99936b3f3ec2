"""Pause before: the order pauses when that group's turn comes, or does not any more."""

from __future__ import annotations

from engine.domain.acts import PauseBefore
from engine.domain.progress import OrderProgress
from engine.run.acts.doing import By
from engine.store.orders import update_order
from engine.store.store import Transaction


def write(conn: Transaction, progress: OrderProgress, act: PauseBefore, by: By, now: float) -> None:
    keys = [key for key in progress.pauses_before if key != act.node]
    update_order(conn, progress.id, now, pauses_before=keys if act.off else [*keys, act.node])
