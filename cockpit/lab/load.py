"""A small load generator: a bounded number of requests a second to one URL or to some in turn, counted by what came back. It
judges nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import aiohttp

REQUEST_DEADLINE_S = 20.0
MAX_WORKERS = 256


@dataclass(frozen=True, slots=True)
class LoadResult:
    """`by_version` and `by_host` count good answers; `errors` counts failures by status or by the kind of error."""

    requests: int = 0
    failed: int = 0
    by_version: dict[str, int] = field(default_factory=dict)
    by_host: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)


class LoadGenerator:
    """`rate` requests a second by `workers` workers; fewer when the answers are slow."""

    def __init__(self, *urls: str, workers: int = 4, rate: float = 100.0) -> None:
        if not 1 <= workers <= MAX_WORKERS or rate <= 0:
            raise ValueError(f"load needs 1 to {MAX_WORKERS} workers and a rate above 0, not {workers} and {rate}")
        self.urls = urls
        self.workers = workers
        self.pause_s = workers / rate
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None
        self._stopping = asyncio.Event()
        self._requests = 0
        self._versions: Counter[str] = Counter()
        self._hosts: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()

    @property
    def running(self) -> bool:
        return bool(self._tasks)

    async def start(self) -> None:
        if self._tasks:
            return
        self._stopping.clear()
        timeout = aiohttp.ClientTimeout(total=REQUEST_DEADLINE_S)
        connector = aiohttp.TCPConnector(limit=self.workers)
        self._session = aiohttp.ClientSession(timeout=timeout, connector=connector, trust_env=False)
        self._tasks = [asyncio.create_task(self._work(nth)) for nth in range(self.workers)]

    async def stop(self) -> LoadResult:
        """Finish what is under way and return the counters."""
        self._stopping.set()
        await asyncio.gather(*self._tasks)
        self._tasks = []
        if self._session is not None:
            await self._session.close()
            self._session = None
        return self.result()

    def result(self) -> LoadResult:
        """The counters so far."""
        return LoadResult(
            self._requests, self._errors.total(), dict(self._versions), dict(self._hosts), dict(self._errors)
        )

    async def _work(self, nth: int) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self.pause_s * nth / self.workers
        while not self._stopping.is_set():
            await self._wait(due - loop.time())
            if self._stopping.is_set():
                return
            await self._request()
            due = max(due + self.pause_s, loop.time())

    async def _wait(self, seconds: float) -> None:
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return  # not stopped: the next request is due

    async def _request(self) -> None:
        assert self._session is not None
        self._requests += 1
        try:
            async with self._session.get(self.urls[self._requests % len(self.urls)]) as answer:
                words = (await answer.text()).split()
                if answer.status != 200 or len(words) < 3:
                    self._errors[f"HTTP {answer.status}"] += 1
                    return
                self._versions[words[1]] += 1
                self._hosts[words[2]] += 1
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            self._errors[type(error).__name__] += 1
