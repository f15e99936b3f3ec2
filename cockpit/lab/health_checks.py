"""The lab balancers' own health checks: each server of a checked listener is really asked, and `SlbState` keeps what is found.

As the real service does it: a server starts as not checked, and only several results in a row turn it over.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress

from cockpit.lab.slb_state import Listener, Server, SlbState

INTERVAL_S = 0.3
TIMEOUT_S = 1.0
IN_A_ROW = 2


class HealthChecks:
    """One task for all balancers of `state`. `port_of` tells where on 127.0.0.1 a server answers."""

    def __init__(
        self,
        state: SlbState,
        port_of: Callable[[Server], int],
        *,
        interval_s: float = INTERVAL_S,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._state, self._port_of = state, port_of
        self._interval_s, self._timeout_s = interval_s, timeout_s
        self._in_a_row: Counter[tuple[Server, bool]] = Counter()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._go(), name="health checks of the balancers")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _go(self) -> None:
        while True:
            await asyncio.gather(*(self._check(listener, server) for listener, server in self._checked()))
            await asyncio.sleep(self._interval_s)

    def _checked(self) -> Iterator[tuple[Listener, Server]]:
        seen: set[Server] = set()
        for balancer in self._state.balancers():
            for listener in balancer.listeners:
                for server in balancer.groups.get(listener.vserver_group_id, {}):
                    if listener.checked and server not in seen:
                        seen.add(server)
                        yield listener, server

    async def _check(self, listener: Listener, server: Server) -> None:
        passed = await self._answers(listener, self._port_of(server))
        self._in_a_row[server, passed] += 1
        self._in_a_row[server, not passed] = 0
        if self._in_a_row[server, passed] >= IN_A_ROW:
            self._state.set_health(server[0], server[1] or listener.backend_port, "normal" if passed else "abnormal")

    async def _answers(self, listener: Listener, port: int) -> bool:
        """Without a path a connection is enough, as the check of a TCP listener has it; with one, an answer of 2xx or 3xx."""
        try:
            async with asyncio.timeout(self._timeout_s):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    if not listener.check_path:
                        return True
                    writer.write(f"HEAD {listener.check_path} HTTP/1.0\r\nHost: lab\r\n\r\n".encode())
                    words = (await reader.readline()).split()
                    return len(words) > 1 and words[1][:1] in (b"2", b"3")
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False
