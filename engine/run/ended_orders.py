"""The commands of orders that have ended: giving back is carried out, everything else is refused. One task per order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from engine.run.answering import Answering
from engine.run.ports import Ports
from engine.store.store import StoreError, Transaction

log = logging.getLogger(__name__)


class EndedOrders:
    """`take_over` gives an order a new epoch, inside a transaction, so that an engine that was lost in the middle of the same
    command changes nothing more."""

    def __init__(self, take_over: Callable[[Transaction, int], int]) -> None:
        self._take_over = take_over
        self._orders: dict[int, tuple[asyncio.Task[None], asyncio.Event]] = {}

    @property
    def busy(self) -> bool:
        return bool(self._orders)

    def answer(self, order_id: int, ports: Ports) -> None:
        """Begin with what is asked of the order, unless it is being answered: then look at what has come since."""
        if order_id in self._orders:
            self._orders[order_id][1].set()
            return
        asked = asyncio.Event()
        task = asyncio.create_task(self._answer(order_id, ports, asked), name=f"commands of ended order {order_id}")
        self._orders[order_id] = task, asked
        task.add_done_callback(partial(self._ended, order_id))

    async def close(self) -> None:
        """A command that was not answered yet is begun anew by the next engine."""
        tasks = [task for task, _ in self._orders.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, order_id: int, ports: Ports, asked: asyncio.Event) -> None:
        epoch = await ports.journal.write(None, 0, lambda conn: self._take_over(conn, order_id))
        answering = Answering(order_id, epoch, ports, wake=asked.set)
        try:
            while True:
                asked.clear()
                await answering.answer_all()
                if not answering.busy:
                    return
                await asked.wait()
        finally:
            await answering.close()

    def _ended(self, order_id: int, task: asyncio.Task[None]) -> None:
        del self._orders[order_id]
        error = None if task.cancelled() else task.exception()
        if isinstance(error, StoreError):
            log.warning("order %s: %s", order_id, error)  # its commands stay unanswered and are begun anew
        elif error is not None:
            log.error("order %s: answering its commands broke", order_id, exc_info=error)
