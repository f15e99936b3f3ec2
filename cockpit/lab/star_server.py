"""The port that the practice agents hold their connections to. It answers nothing; being connected is the point."""

from __future__ import annotations

import asyncio


class StarServer:
    """Keeps every agent's connection open until it is stopped."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._agents: set[asyncio.StreamWriter] = set()

    @property
    def agents(self) -> int:
        return len(self._agents)

    async def start(self, port: int) -> None:
        self._server = await asyncio.start_server(self._hold, "127.0.0.1", port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in list(self._agents):
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None

    async def _hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._agents.add(writer)
        try:
            while await reader.read(1024):
                continue
        except ConnectionError:
            return  # cut: the agent comes back by itself
        finally:
            self._agents.discard(writer)
            writer.close()
