"""Looks at the balancers' health checks while an order moves, so that a host that dies counts as gone at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from engine.domain.fleet import ServerGroup
from engine.run.journal import StaleEpoch
from engine.run.ledger import Ledger
from engine.store.store import StoreError

log = logging.getLogger(__name__)
EVERY_S = 5.0


class HealthWatch:
    """One task per order. `changed` is called when a host answers no longer, or answers again."""

    def __init__(self, order_id: int, epoch: int, ledger: Ledger, changed: Callable[[], None]) -> None:
        self._order_id, self._epoch, self._ledger, self._changed = order_id, epoch, ledger, changed
        self._groups: tuple[ServerGroup, ...] = ()
        self._task: asyncio.Task[None] | None = None

    def look_at(self, groups: Sequence[ServerGroup]) -> None:
        """The server groups that matter now; none: nothing moves."""
        self._groups = tuple(groups)
        if groups and self._task is None:
            self._task = asyncio.create_task(self._go(), name=f"health of order {self._order_id}")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _go(self) -> None:
        while True:
            # A pause between looks, not a time of the order: a clock that is set does not hold it up.
            await asyncio.sleep(EVERY_S)
            try:
                if await self._ledger.look_at_health(self._order_id, self._epoch, self._groups):
                    self._changed()
            except StaleEpoch:
                return
            except StoreError as error:
                log.warning("order %s: health is looked at later: %s", self._order_id, error)
