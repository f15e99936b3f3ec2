"""Set weights by hand: the balancer is asked through the ledger, which may take minutes; there are no rows beside the ledger's."""

from __future__ import annotations

from engine.domain.acts import SetWeights
from engine.domain.fleet import MountWeight
from engine.domain.message import Message, message
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress
from engine.plan.in_service import floors_of
from engine.plan.what_if_words import named
from engine.run.acts.doing import By, World
from engine.store.progress import load_progress
from engine.store.store import Transaction


def waits_for(progress: OrderProgress, act: SetWeights) -> Message:
    return message("the balancer sets the weights of {hosts}", hosts=named(tuple(act.weights)))


async def effect(world: World, act: SetWeights) -> Problem | None:
    """None: the balancer shows every weight. Raises StaleEpoch and StoreError."""
    progress = await world.ports.background.call(_read, world)
    lines = [line for line in progress.weights if line.mount.host in act.weights]
    results = await world.ports.ledger.move(
        world.order_id,
        world.epoch,
        [MountWeight(line.mount, act.weights[line.mount.host]) for line in lines],
        owned=True,
        by_hand=True,
        floors=floors_of(progress),
        told=world.say,
    )
    return next((result.problem for result in results if result.problem), None)


def write(conn: Transaction, progress: OrderProgress, act: SetWeights, by: By, now: float) -> None:
    """The ledger has written them, before each call and after it."""


def _read(world: World) -> OrderProgress:
    with world.ports.store.reading() as conn:
        return load_progress(conn, world.order_id)
