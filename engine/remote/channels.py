"""A sh of ours on a host, over a channel of its own: bytes in, bytes out, and never left behind.

Nothing is sent before the host's sh has shown that it is there: whatever stands in its way (a login shell that is none, waits,
or ends early) never sees a program or a secret, and its words are kept as evidence. Until then nothing has begun, so a kept
connection that turns out to be dead is replaced once. Says nothing about jobs.

Cancelling a read does not end what runs on the host, so whoever opens a channel closes it here.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import asyncssh

from engine.domain.fleet import Host
from engine.ports import RemoteError, RemoteResult
from engine.remote import problems, program, refusals
from engine.remote.connections import Connections, Lent
from engine.remote.hops import Hop, route_to
from engine.remote.settings import SshSettings

READ_BYTES = 65_536
TALK_LIMIT = 65_536  # bytes that a login may say before our sh is there
_CLOSE_TIMEOUT_S = 3.0
_LAST_WORDS_S = 1.0  # for what is still on its way on standard error
_OPEN_WAITS_S = (0.05, 0.1, 0.2, 0.4, 0.8)
_REFUSED = (asyncssh.OPEN_CONNECT_FAILED, asyncssh.OPEN_RESOURCE_SHORTAGE)

Process = asyncssh.SSHClientProcess[bytes]


class Words:
    """The end of what was said beside the answer: before our sh was there, and on standard error."""

    def __init__(self) -> None:
        self.size = 0
        self._kept = bytearray()

    def hear(self, data: bytes) -> None:
        self.size += len(data)
        self._kept += data
        del self._kept[: -2 * refusals.EVIDENCE_CHARACTERS]

    def __str__(self) -> str:
        return self._kept.decode("utf-8", "replace")


@dataclass(slots=True)
class Channel:
    """Our sh on a host. `read` gives what it says, from its first byte on."""

    hop: Hop
    process: Process
    words: Words = field(default_factory=Words)
    _rest: bytes = b""

    async def read(self) -> bytes:
        """The next bytes of standard output, empty at its end. Raises RemoteError `link_lost`."""
        rest, self._rest = self._rest, b""
        if rest:
            return rest
        try:
            return await self.process.stdout.read(READ_BYTES)
        except (asyncssh.Error, OSError) as error:
            raise problems.link_lost_once(self.hop, str(error)) from error

    def write(self, data: bytes) -> None:
        self.process.stdin.write(data)

    async def ended(self) -> int | None:
        """Wait for the end: the exit status, None when nobody knows it."""
        await self.process.wait_closed()
        code = self.process.returncode
        return 128 - code if code is not None and code < 0 else code

    def unread(self, data: bytes) -> None:
        self._rest = data + self._rest

    async def said(self) -> str:
        """The words so far. Standard error is read only when it is wanted: once our sh is there nothing is written to it."""
        with suppress(TimeoutError, asyncssh.Error, OSError):  # it may stay open, or the link be gone
            async with asyncio.timeout(_LAST_WORDS_S):
                while data := await self.process.stderr.read(READ_BYTES):
                    self.words.hear(data)
        return str(self.words)

    async def close(self) -> None:
        self.process.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self.process.wait_closed()


class _NeverThere(Exception):
    """The connection gave no sign of life before anything of ours began."""

    def __init__(self, problem: RemoteError) -> None:
        super().__init__(str(problem))
        self.problem = problem


@asynccontextmanager
async def open_sh(connections: Connections, host: Host, text: str, *, token: str) -> AsyncIterator[Channel]:
    """Run the program `text` in a sh on the host; what is written to the channel is the program's standard input. Raises
    RemoteError if no sh is there. On leaving, the channel is closed: a program that follows its standard input ends."""
    async with AsyncExitStack() as stack:
        channel = await _open(stack, connections, host, token)
        channel.write(program.opening_input(text, token))
        yield channel


async def _open(stack: AsyncExitStack, connections: Connections, host: Host, token: str) -> Channel:
    kept = True
    while True:
        async with AsyncExitStack() as attempt:
            lent = await attempt.enter_async_context(connections.use(host))
            try:
                channel = await _begin(attempt, lent, route_to(host)[-1], connections.settings, token)
            except _NeverThere as error:
                if not (kept and lent.kept):
                    raise error.problem from error
                kept = False
                lent.link.retire()
                continue
            await stack.enter_async_context(attempt.pop_all())
            return channel


async def _begin(stack: AsyncExitStack, lent: Lent, hop: Hop, settings: SshSettings, token: str) -> Channel:
    """The channel once our sh is there. Raises RemoteError, and _NeverThere when only the connection is to blame."""
    await stack.enter_async_context(lent.channels)
    try:
        async with asyncio.timeout(settings.login_timeout_s):
            process = await _create(lent.connection, program.opening_line(token), settings.window_bytes)
    except TimeoutError as error:
        cause = f"no channel within {settings.login_timeout_s:.0f} s"
        raise _NeverThere(problems.link_lost_once(hop, cause)) from error
    except asyncssh.ChannelOpenError as error:
        if lent.connection.is_closed():
            raise _NeverThere(problems.link_lost_once(hop, str(error))) from error
        lent.link.retire()
        raise refusals.no_session(hop, error.reason) from error
    except (asyncssh.Error, OSError) as error:
        raise _NeverThere(problems.link_lost_once(hop, str(error))) from error
    channel = Channel(hop, process)
    stack.push_async_callback(channel.close)
    try:
        await _until_there(channel, token, settings.answer_timeout_s)
    except RemoteError as error:
        if error.problem.code == "link_lost":
            raise _NeverThere(error) from error
        lent.link.retire()
        raise
    return channel


async def _create(connection: asyncssh.SSHClientConnection, command: str, window_bytes: int) -> Process:
    """sshd frees a session a moment after its channel is closed, so a refusal (nothing has run) is asked again."""
    for wait_s in _OPEN_WAITS_S:
        try:
            return await connection.create_process(command, encoding=None, window=window_bytes)
        except asyncssh.ChannelOpenError as error:
            if connection.is_closed() or error.code not in _REFUSED:
                raise
        await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))
    return await connection.create_process(command, encoding=None, window=window_bytes)


async def _until_there(channel: Channel, token: str, patience_s: float) -> None:
    """Read up to the word of our sh; what stands before it is talk. Raises RemoteError."""
    mark, seen = token.encode() + b"\n", b""
    try:
        async with asyncio.timeout(patience_s):
            while mark not in seen and len(seen) <= TALK_LIMIT:
                data = await channel.read()
                if not data:
                    channel.words.hear(seen)
                    raise await _not_there(channel)
                seen += data
    except TimeoutError as error:
        channel.words.hear(seen)
        said = await channel.said()
        if channel.words.size > TALK_LIMIT:
            raise refusals.login_talks(channel.hop, TALK_LIMIT, said) from error
        raise refusals.login_waits(channel.hop, patience_s, said) from error
    talk, _, rest = seen.partition(mark)
    channel.words.hear(talk)
    if len(talk) > TALK_LIMIT:
        raise refusals.login_talks(channel.hop, TALK_LIMIT, await channel.said())
    channel.unread(rest)


async def _not_there(channel: Channel) -> RemoteError:
    status = await channel.ended()
    if status is None:
        return problems.link_lost_once(channel.hop, "the connection ended")
    return refusals.no_shell(channel.hop, status, await channel.said())


async def run(
    connections: Connections,
    host: Host,
    script: str,
    *,
    stdin: bytes = b"",
    deadline_s: float,
    limit: int,
    for_job: bool = False,
) -> RemoteResult:
    """Run the script to its end, as `Remote.run`. Output beyond `limit` bytes is read and dropped. Raises RemoteError
    `remote_deadline`, or what kept our sh from being there; a link that breaks later gives `exit_status` None."""
    hop, token = route_to(host)[-1], new_token()
    text = program.guarded(script, deadline_s)
    kept = bytearray()
    async with open_sh(
        connections, host, f"{program.proving(token)}\n{text}" if for_job else text, token=token
    ) as channel:
        try:
            async with asyncio.timeout(deadline_s):
                if for_job:
                    words = await answer(channel, token)
                    if words != ["ready"]:
                        raise refusals.with_words(refusal_of(hop, words), await channel.said())
                status = await _converse(channel, stdin, kept, limit)
        except TimeoutError as error:
            _terminate(channel.process)
            raise problems.remote_deadline(hop, deadline_s) from error
        except asyncio.CancelledError:
            _terminate(channel.process)
            raise
        return RemoteResult(status, bytes(kept))


def new_token() -> str:
    return secrets.token_hex(16)


async def answer(channel: Channel, token: str) -> list[str]:
    """The words behind the token, which are the first line our program says; what follows is left to be read. Raises
    RemoteError."""
    mark, seen = b"\x1e" + token.encode() + b" ", b""
    while True:
        _, found, behind = seen.partition(mark)
        line, newline, rest = behind.partition(b"\n")
        if found and newline:
            channel.unread(rest)
            return line.decode("utf-8", "replace").split()
        data = await channel.read() if len(seen) <= TALK_LIMIT else b""
        if not data:
            break
        seen += data
    status = await channel.ended() if len(seen) <= TALK_LIMIT else None
    if status is None and len(seen) <= TALK_LIMIT:
        raise problems.link_lost_once(channel.hop, "the connection ended")
    channel.words.hear(seen)
    raise refusals.not_set_up(channel.hop, await channel.said(), status)


def refusal_of(hop: Hop, words: list[str]) -> RemoteError:
    """What a host's program that can't do what it is meant to answers instead."""
    match words:
        case ["disk_full", *path]:
            return problems.disk_full(hop, " ".join(path))
        case ["unwritable", *why]:
            return problems.folder_unwritable(hop, " ".join(why))
        case ["tool_missing", *tools]:
            return refusals.tools_missing(hop, ", ".join(tools))
        case _:
            return refusals.not_set_up(hop, " ".join(words), None)


def _terminate(process: Process) -> None:
    with suppress(OSError, asyncssh.Error):  # the link may be gone; then the guard on the host ends it
        process.terminate()


async def _converse(channel: Channel, stdin: bytes, kept: bytearray, limit: int) -> int | None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_write(channel.process, stdin))
        try:
            while data := await channel.read():
                kept += data[: max(0, limit - len(kept))]
            return await channel.ended()
        except RemoteError:
            return None  # what is known so far, with no exit status


async def _write(process: Process, stdin: bytes) -> None:
    # The command may end without reading it all, or the link may break: the exit status tells.
    with suppress(OSError, asyncssh.Error):
        process.stdin.write(stdin)
        process.stdin.write_eof()
        await process.stdin.drain()
