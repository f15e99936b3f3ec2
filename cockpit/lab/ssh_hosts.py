"""The lab's SSH servers: hosts with real processes behind them, and a jump host that only forwards.

They behave as OpenSSH does where a release tool could notice: end of input is delivered, output is bytes, the exit status or
signal comes back, a closed channel kills nothing by itself. There is no terminal, no SFTP and no password.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

CHUNK = 65_536
BACKLOG = 256
KEX = ("curve25519-sha256",)
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com")


class _Account(asyncssh.SSHServer):
    """One account with one key; every connection is known to its endpoint, so that it can be cut."""

    def __init__(self, endpoint: SshEndpoint) -> None:
        self._endpoint = endpoint
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._endpoint.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._endpoint.connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == self._endpoint.user and key.public_data == self._endpoint.authorised.public_data

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        return True


class SshEndpoint:
    """A listening SSH server that can be closed and opened again on its port, with the same key or another one."""

    def __init__(self, name: str, user: str, host_key: asyncssh.SSHKey, authorised: asyncssh.SSHKey) -> None:
        self.name = name
        self.user = user
        self.host_key = host_key
        self.authorised = authorised
        self.port = 0
        self.connections: set[asyncssh.SSHServerConnection] = set()
        self._acceptor: asyncssh.SSHAcceptor | None = None

    async def open(self, port: int, *, host_key: asyncssh.SSHKey | None = None) -> None:
        """Listen on 127.0.0.1. OSError when the port is taken."""
        self.port = port
        self._acceptor = await asyncssh.listen(
            "127.0.0.1",
            port,
            server_factory=lambda: _Account(self),
            server_host_keys=[host_key or self.host_key],
            process_factory=self._process_factory(),
            encoding=None,
            allow_pty=False,
            agent_forwarding=False,
            x11_forwarding=False,
            backlog=BACKLOG,
            reuse_address=True,
            kex_algs=KEX,
            encryption_algs=CIPHERS,
            compression_algs=["none"],
            login_timeout=30,
            gss_host=None,
            config=None,
        )

    def _process_factory(self) -> Any:
        return None

    def cut(self) -> int:
        """Abort every connection as a broken link would; returns how many."""
        connections = list(self.connections)
        for connection in connections:
            connection.abort()
        self.connections.clear()
        return len(connections)

    async def close(self) -> None:
        """Refuse new connections and cut those that are there."""
        if self._acceptor is not None:
            self._acceptor.close()
            self.cut()
            await self._acceptor.wait_closed()
            self._acceptor = None


class JumpHost(SshEndpoint):
    """Forwards direct-tcpip channels and opens no sessions."""


@dataclass(frozen=True, slots=True)
class Login:
    """What a login on a host gets: its home folder and the whole environment of its processes."""

    home: Path
    environment: Mapping[str, str]


class HostServer(SshEndpoint):
    """A host: every command is `sh -c` in the login's home, in a session of its own."""

    def __init__(
        self, name: str, user: str, host_key: asyncssh.SSHKey, authorised: asyncssh.SSHKey, login: Login
    ) -> None:
        super().__init__(name, user, host_key, authorised)
        self.login = login
        self._reaping: set[asyncio.Task[int]] = set()

    def _process_factory(self) -> Any:
        return self._serve

    async def _serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        command = ["sh", "-c", process.command] if process.command is not None else ["sh"]
        child = subprocess.Popen(  # noqa: ASYNC220 - a child that must outlive its channel; asyncio's would be killed
            command,
            cwd=self.login.home,
            env=dict(self.login.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        # The child is collected whether or not anybody still listens to it.
        ended = asyncio.create_task(_ended(child))
        self._reaping.add(ended)
        ended.add_done_callback(self._reaping.discard)
        feeding = asyncio.create_task(_feed(process, child))
        gone = asyncio.create_task(process.wait_closed())
        # The answer comes when the child has ended and nobody holds its output any more, as behind OpenSSH.
        answering = asyncio.create_task(_answer(process, child, ended))
        tasks: list[asyncio.Task[None]] = [feeding, gone, answering]
        try:
            await asyncio.wait([answering, gone], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _answer(
    process: asyncssh.SSHServerProcess[bytes], child: subprocess.Popen[bytes], ended: asyncio.Task[int]
) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_show(child.stdout, process.stdout))
        group.create_task(_show(child.stderr, process.stderr))
    status = await asyncio.shield(ended)
    if status < 0:
        process.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
    else:
        process.exit(status)


async def _ended(child: subprocess.Popen[bytes]) -> int:
    pause_s = 0.001
    while (status := child.poll()) is None:
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.1)
    return status


async def _feed(process: asyncssh.SSHServerProcess[bytes], child: subprocess.Popen[bytes]) -> None:
    """The channel's input to the child, until its end; signals go to the child's process group."""
    assert child.stdin is not None
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, child.stdin)
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    try:
        while True:
            try:
                data = await process.stdin.read(CHUNK)
            except asyncssh.SignalReceived as received:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, getattr(signal, f"SIG{received.signal}", signal.SIGTERM))
                continue
            except (asyncssh.BreakReceived, asyncssh.TerminalSizeChanged):
                continue
            except asyncssh.Error:
                return
            if not data:
                return
            writer.write(data)
            await writer.drain()
    except (BrokenPipeError, ConnectionResetError):
        return  # the child reads no more, which is its right
    finally:
        # What was taken from the channel is still written; the end of input follows it.
        transport.close()


async def _show(pipe: Any, channel: asyncssh.SSHWriter[bytes]) -> None:
    """The child's output to the channel. When the channel is gone, the pipe is closed and the child may meet SIGPIPE, as
    behind OpenSSH."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=CHUNK * 4)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        while data := await reader.read(CHUNK):
            channel.write(data)
            await channel.drain()
    except (asyncssh.Error, BrokenPipeError, ConnectionError):
        return
    finally:
        transport.close()
