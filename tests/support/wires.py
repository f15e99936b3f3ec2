"""A wire between a client and a server that can go dead as wires do: without a word, or with one at the next byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum


class Fate(StrEnum):
    WORKS = "works"
    FORGOTTEN = "forgotten"  # as a firewall that has forgotten it: the next byte is answered with a reset
    SILENT = "silent"  # every byte is swallowed


@dataclass
class Wire:
    """`port` leads to `target`. `die` decides over what is connected now; whoever connects later gets through."""

    target: int
    port: int = 0
    connected: int = 0
    _fates: list[list[Fate]] = field(default_factory=list)

    def die(self, fate: Fate) -> None:
        for each in self._fates:
            each[0] = fate

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected += 1
        fate = [Fate.WORKS]
        self._fates.append(fate)
        with suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
            tasks = [asyncio.create_task(_pump(reader, back, fate)), asyncio.create_task(_pump(there, writer, fate))]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            back.transport.abort()
        writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fate: list[Fate]) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            if fate[0] is Fate.FORGOTTEN:
                return
            if fate[0] is Fate.WORKS:
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def wire_to(port: int) -> AsyncIterator[Wire]:
    wire = Wire(port)
    server = await asyncio.start_server(wire.carry, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
