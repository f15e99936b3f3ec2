"""Hand over: another operator is responsible for the order from here on, if they may act on it."""

from __future__ import annotations

from engine.domain.acts import ACTS, HandOver
from engine.domain.message import Message, message
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress
from engine.plan.what_if_running import nobody_to_hand_to
from engine.run.acts.doing import By, World
from engine.store.gate import EVERYBODY, who_may, workspace_place
from engine.store.orders import update_order
from engine.store.progress import load_progress
from engine.store.store import Transaction


def waits_for(progress: OrderProgress, act: HandOver) -> Message:
    return message("it is looked whether {to} may act on this order", to=act.to)


async def effect(world: World, act: HandOver) -> Problem | None:
    """None: they may. Raises StoreError."""
    return await world.ports.background.call(_may_act, world, act)


def write(conn: Transaction, progress: OrderProgress, act: HandOver, by: By, now: float) -> None:
    update_order(conn, progress.id, now, handed_to=act.to)


def _may_act(world: World, act: HandOver) -> Problem | None:
    with world.ports.store.reading() as conn:
        progress = load_progress(conn, world.order_id)
        may = who_may(conn, ACTS[act.name].least, workspace_place(conn, progress.workspace_id), EVERYBODY)
    others = [name for name in may if name != progress.responsible]
    return None if act.to in others else nobody_to_hand_to(act.to, others)
