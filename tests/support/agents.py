"""SSH agents for tests: the real one, and one that speaks the protocol and then does not answer."""

from __future__ import annotations

import asyncio
import base64
import os
import struct
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from tests.support.processes import until_there

_IDENTITIES = 11
_IDENTITIES_ANSWER = 12


@contextmanager
def ssh_agent(socket: Path, *keys: Path, options: tuple[str, ...] = ()) -> Iterator[Path]:
    """The real `ssh-agent` with `keys` in it, added with the `options` of ssh-add."""
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "SSH_ASKPASS")}
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    try:
        until_there(socket)
        for key in keys:
            add(socket, key, *options)
        yield socket
    finally:
        process.terminate()
        process.wait(10)


def add(socket: Path, key: Path, *options: str) -> None:
    environment = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
    subprocess.run(["ssh-add", "-q", *options, str(key)], check=True, capture_output=True, env=environment, timeout=20)


@asynccontextmanager
async def silent_agent(socket: Path, *public_keys: bytes) -> AsyncIterator[Path]:
    """Takes every question. With `public_keys` it lists those and never signs; without it answers nothing at all."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while length := await reader.read(4):
                question = await reader.readexactly(struct.unpack(">I", length)[0])
                if question[0] == _IDENTITIES and public_keys:
                    listed = b"".join(_string(key) + _string(b"yubikey of oncall") for key in public_keys)
                    writer.write(_string(struct.pack(">BI", _IDENTITIES_ANSWER, len(public_keys)) + listed))
        finally:
            writer.close()

    server = await asyncio.start_unix_server(serve, str(socket))
    try:
        yield socket
    finally:
        server.close()


def security_key(public: bytes = bytes(range(32))) -> tuple[bytes, str]:
    """A public key of a device, as on the wire and as a line of authorized_keys. Nobody has its private half."""
    name = "sk-ssh-ed25519@openssh.com"
    blob = _string(name.encode()) + _string(public) + _string(b"ssh:")
    return blob, f"{name} {base64.b64encode(blob).decode()} yubikey"


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
