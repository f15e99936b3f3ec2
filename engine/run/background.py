"""Where blocking work of the engine runs: the store's statements, never on the event loop that follows the hosts.

A port, because one that runs on the loop itself makes a whole engine deterministic: the simulation has one. What is run in
the background knows nothing of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, Protocol, TypeVar

from engine.store.store import Store

P = ParamSpec("P")
T = TypeVar("T")


class Lane(Protocol):
    """Blocking work in the order it was given, one at a time."""

    async def call(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    def close(self) -> None: ...


class Background(Protocol):
    async def call(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The work's result or exception. Work that has begun goes on when the caller is cancelled."""
        ...

    async def changed(self, store: Store, token: object, timeout_s: float) -> object:
        """As `Store.wait_change`."""
        ...

    def lane(self, name: str) -> Lane: ...


class Threads:
    """The real one: threads of this process."""

    async def call(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(work, *args, **kwargs)

    async def changed(self, store: Store, token: object, timeout_s: float) -> object:
        return await asyncio.to_thread(store.wait_change, token, timeout_s)

    def lane(self, name: str) -> Lane:
        return _Thread(name)


class _Thread:
    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def call(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, partial(work, *args, **kwargs))

    def close(self) -> None:
        self._executor.shutdown(wait=False)
