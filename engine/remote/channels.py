"""One command on a host, over a channel of its own: bytes in, bytes out, and never left behind.

Cancelling a read does not end what runs on the host, so whoever opens a channel closes it here. Says nothing about jobs.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncssh

from engine.domain.fleet import Host
from engine.ports import RemoteError, RemoteResult
from engine.remote import problems
from engine.remote.connections import Connections
from engine.remote.hops import Hop, route_to

READ_BYTES = 65_536
_CLOSE_TIMEOUT_S = 3.0
_OPEN_WAITS_S = (0.05, 0.1, 0.2, 0.4, 0.8)

Process = asyncssh.SSHClientProcess[bytes]


@asynccontextmanager
async def open_channel(connections: Connections, host: Host, command: str) -> AsyncIterator[Process]:
    """Run `command`; stdout is read from the process, stderr is dropped unless the command says otherwise. Raises RemoteError
    if the channel cannot be opened. On leaving, the channel is closed: a command that follows its standard input ends."""
    settings = connections.settings
    hop = route_to(host)[-1]
    async with connections.use(host) as (connection, channels), channels:
        try:
            async with asyncio.timeout(settings.login_timeout_s):
                process = await _create(connection, command, settings.window_bytes)
        except TimeoutError as error:
            raise problems.link_lost_once(hop, f"no channel within {settings.login_timeout_s:.0f} s") from error
        except (asyncssh.Error, OSError) as error:
            raise problems.link_lost_once(hop, str(error)) from error
        try:
            yield process
        finally:
            process.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                    await process.wait_closed()


async def _create(connection: asyncssh.SSHClientConnection, command: str, window_bytes: int) -> Process:
    """sshd frees a session a moment after its channel is closed, so a refusal (nothing has run) is asked again."""
    for wait_s in _OPEN_WAITS_S:
        try:
            return await connection.create_process(command, encoding=None, stderr=asyncssh.DEVNULL, window=window_bytes)
        except asyncssh.ChannelOpenError:
            if connection.is_closed():
                raise
        await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))
    return await connection.create_process(command, encoding=None, stderr=asyncssh.DEVNULL, window=window_bytes)


async def read(process: Process, hop: Hop) -> bytes:
    """The next bytes of standard output, empty at its end. Raises RemoteError `link_lost`."""
    try:
        return await process.stdout.read(READ_BYTES)
    except (asyncssh.Error, OSError) as error:
        raise problems.link_lost_once(hop, str(error)) from error


async def run(
    connections: Connections, host: Host, command: str, *, stdin: bytes, deadline_s: float, limit: int
) -> RemoteResult:
    """Run `command` to its end. Output beyond `limit` bytes is read and dropped. Raises RemoteError `remote_deadline`, or what
    kept the channel from opening; a link that breaks later gives `exit_status` None."""
    hop = route_to(host)[-1]
    kept = bytearray()
    async with open_channel(connections, host, command) as process:
        try:
            async with asyncio.timeout(deadline_s):
                await _converse(process, hop, stdin, kept, limit)
        except TimeoutError as error:
            _terminate(process)
            raise problems.remote_deadline(hop, deadline_s) from error
        except asyncio.CancelledError:
            _terminate(process)
            raise
        return RemoteResult(_status(process), bytes(kept))


def _terminate(process: Process) -> None:
    with suppress(OSError, asyncssh.Error):  # the link may be gone; then timeout(1) on the host ends it
        process.terminate()


async def _converse(process: Process, hop: Hop, stdin: bytes, kept: bytearray, limit: int) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_write(process, stdin))
        try:
            while data := await read(process, hop):
                kept += data[: max(0, limit - len(kept))]
            await process.wait_closed()
        except RemoteError:
            return  # what is known so far, with no exit status


async def _write(process: Process, stdin: bytes) -> None:
    # The command may end without reading it all, or the link may break: the exit status tells.
    with suppress(OSError, asyncssh.Error):
        process.stdin.write(stdin)
        process.stdin.write_eof()
        await process.stdin.drain()


def _status(process: Process) -> int | None:
    code = process.returncode
    return 128 - code if code is not None and code < 0 else code
