"""Host runs as asyncio tasks of this process, at most `limit` at once over all orders.

For a store with one engine. It knows nothing of orders: only keys, what to run, and whom to tell when it has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable

HOST_RUNS_AT_ONCE = 400


class LocalDispatch:
    def __init__(self, limit: int = HOST_RUNS_AT_ONCE) -> None:
        self._slots = asyncio.Semaphore(limit)
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}

    def start(
        self, key: Hashable, work: Callable[[], Awaitable[None]], ended: Callable[[BaseException | None], None]
    ) -> None:
        """Run `work` when there is room; `ended` is told its exception or None. A key that is still running is left alone."""
        if key in self._tasks:
            return
        task = asyncio.create_task(self._run(work), name=f"host run {key}")
        self._tasks[key] = task
        task.add_done_callback(lambda done: self._ended(key, done, ended))

    def running(self, key: Hashable) -> bool:
        return key in self._tasks

    async def cancel(self, keys: list[Hashable]) -> None:
        """End the tasks without touching what runs on the hosts: a successor goes on with them."""
        tasks = [self._tasks[key] for key in keys if key in self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        async with self._slots:
            await work()

    def _ended(self, key: Hashable, task: asyncio.Task[None], ended: Callable[[BaseException | None], None]) -> None:
        del self._tasks[key]
        if not task.cancelled():
            ended(task.exception())
