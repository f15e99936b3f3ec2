"""What is offered to a server: key exchanges, ciphers, MACs. All that is safe and that asyncssh has, the fast ones first.

The orders are measured: the client's CPU for a login, and for 20 MB received, against OpenSSH 9.2 (ms; a † against asyncssh, where
curve25519 takes 3.3). A group exchange takes 474 ms, so it comes last; SHA-1 in a key exchange, CBC, MD5, 1024-bit groups and
truncated MACs are never offered. Which of them asyncssh has depends on the machine (umac needs libnettle).

When there is nothing in common, what the server offers is read from it here.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import asyncssh
from asyncssh.encryption import get_encryption_algs
from asyncssh.kex import get_kex_algs
from asyncssh.mac import get_mac_algs
from asyncssh.public_key import get_certificate_algs, get_public_key_algs

from engine.remote import refusals
from engine.remote.hops import Hop
from engine.remote.settings import SshSettings

KEY_EXCHANGES = (
    "curve25519-sha256",  # 3.6
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",  # 3.7
    "mlkem768x25519-sha256",  # 3.2 †
    "mlkem768nistp256-sha256",  # 3.4 †
    "ecdh-sha2-nistp384",  # 4.1
    "diffie-hellman-group14-sha256",  # 4.2
    "diffie-hellman-group14-sha256@ssh.com",
    "curve448-sha512",  # 3.4 †
    "rsa2048-sha256",  # 3.4 †
    "ecdh-sha2-1.3.132.0.10",  # 3.4 †
    "diffie-hellman-group15-sha512",  # 3.7 †
    "mlkem1024nistp384-sha384",  # 3.8 †
    "ecdh-sha2-nistp521",  # 4.9
    "diffie-hellman-group16-sha512",  # 6.9
    "diffie-hellman-group17-sha512",  # 9.6 †
    "diffie-hellman-group18-sha512",  # 17
    # Those of Tectia.
    "diffie-hellman-group14-sha224@ssh.com",
    "diffie-hellman-group15-sha256@ssh.com",
    "diffie-hellman-group15-sha384@ssh.com",
    "diffie-hellman-group16-sha384@ssh.com",
    "diffie-hellman-group16-sha512@ssh.com",
    "diffie-hellman-group18-sha512@ssh.com",
    "diffie-hellman-group-exchange-sha256",  # 474
    "diffie-hellman-group-exchange-sha224@ssh.com",
    "diffie-hellman-group-exchange-sha384@ssh.com",
    "diffie-hellman-group-exchange-sha512@ssh.com",
)
CIPHERS = (
    "aes128-gcm@openssh.com",  # 28
    "aes256-gcm@openssh.com",  # 32
    "aes128-ctr",  # 44, with the MAC
    "aes192-ctr",
    "aes256-ctr",
    "chacha20-poly1305@openssh.com",  # 58
)
MACS = (
    "umac-64-etm@openssh.com",  # 36
    "umac-128-etm@openssh.com",
    "hmac-sha2-256-etm@openssh.com",  # 43
    "umac-128@openssh.com",
    "umac-64@openssh.com",
    "hmac-sha2-256",  # 51
    "hmac-sha2-512-etm@openssh.com",  # 55
    "hmac-sha2-512",  # 59
    # Those of Tectia.
    "hmac-sha256-2@ssh.com",
    "hmac-sha256@ssh.com",
    "hmac-sha224@ssh.com",
    "hmac-sha384@ssh.com",
    "hmac-sha512@ssh.com",
    # As a MAC it holds, as OpenSSH has it.
    "hmac-sha1-etm@openssh.com",
    "hmac-sha1",
)
# A finite-field exchange is asked for only where a server has nothing newer: the library's advice is no help to an operator.
warnings.filterwarnings("ignore", message="Diffie-Hellman over finite fields")

_READ_S = 10.0
_PACKET_LIMIT = 35_000  # RFC 4253, 6.1
_KEXINIT = 20


@dataclass(frozen=True, slots=True)
class Offer:
    """Names in the order of preference; `host_keys` empty: those that fit what is known of the host."""

    key_exchanges: tuple[str, ...]
    ciphers: tuple[str, ...]
    macs: tuple[str, ...]
    host_keys: tuple[str, ...] = ()

    @staticmethod
    def of(settings: SshSettings, hop: Hop) -> Offer:
        """Raises RemoteError `ssh_algorithm_unknown` for a name of the settings that asyncssh does not know."""
        return Offer(
            _chosen(hop, "ssh.kex", settings.kex, KEY_EXCHANGES, get_kex_algs),
            _chosen(hop, "ssh.ciphers", settings.ciphers, CIPHERS, get_encryption_algs),
            _chosen(hop, "ssh.macs", settings.macs, MACS, get_mac_algs),
            _chosen(hop, "ssh.host_key_algorithms", settings.host_key_algorithms, (), _host_key_algs),
        )


def _host_key_algs() -> list[bytes]:
    return [*get_certificate_algs(), *get_public_key_algs()]


def _chosen(
    hop: Hop, setting: str, wanted: Sequence[str], usual: Sequence[str], known: Callable[[], list[bytes]]
) -> tuple[str, ...]:
    names = [name.decode() for name in known()]
    for name in wanted:
        if name not in names:
            raise refusals.algorithm_unknown(hop, setting, name, names)
    return tuple(wanted) or tuple(name for name in usual if name in names)


@dataclass(frozen=True, slots=True)
class ServerOffer:
    """What a server says it has, in the clear, before anything is agreed on."""

    key_exchanges: tuple[str, ...]
    host_keys: tuple[str, ...]
    ciphers: tuple[str, ...]
    macs: tuple[str, ...]


async def read_offer(hop: Hop, tunnel: asyncssh.SSHClientConnection | None) -> ServerOffer | None:
    """Read a server's algorithms without logging in; None when it does not say."""
    try:
        async with asyncio.timeout(_READ_S):
            if tunnel is not None:
                reader, writer = await tunnel.open_connection(hop.address, hop.port, encoding=None)
                return await _read_offer(reader, writer)
            reader, writer = await asyncio.open_connection(hop.address, hop.port)  # type: ignore[assignment]
            return await _read_offer(reader, writer)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncssh.Error, ValueError):
        return None


async def _read_offer(
    reader: asyncssh.SSHReader[bytes] | asyncio.StreamReader, writer: asyncssh.SSHWriter[bytes] | asyncio.StreamWriter
) -> ServerOffer | None:
    try:
        writer.write(b"SSH-2.0-cockpit\r\n")
        for _ in range(50):  # lines before its version are allowed
            if (await reader.readuntil(b"\n")).startswith(b"SSH-"):
                break
        size = int.from_bytes(await reader.readexactly(4), "big")
        if not 2 < size <= _PACKET_LIMIT:
            return None
        return offer_in(await reader.readexactly(size))
    finally:
        writer.close()


def offer_in(packet: bytes) -> ServerOffer | None:
    """The name-lists of a KEXINIT packet (RFC 4253, 7.1), from its padding length on. Raises ValueError for a broken one."""
    if packet[1] != _KEXINIT:
        return None
    lists, at = [], 2 + 16
    for _ in range(6):  # key exchange, host key, cipher to and from the server, MAC to and from the server
        size = int.from_bytes(packet[at : at + 4], "big")
        names = packet[at + 4 : at + 4 + size]
        if len(names) != size:
            raise ValueError("a name-list is cut off")
        lists.append(tuple(name for name in names.decode("ascii", "replace").split(",") if name))
        at += 4 + size
    return ServerOffer(lists[0], lists[1], lists[2], lists[4])


def lacking(ours: Offer, theirs: ServerOffer) -> tuple[str, tuple[str, ...], tuple[str, ...]] | None:
    """The first kind of which there is nothing in common, as (setting, ours, theirs); None: there is some of each."""
    kinds = (
        ("kex", ours.key_exchanges, theirs.key_exchanges),
        ("host_key_algorithms", ours.host_keys, theirs.host_keys),
        ("ciphers", ours.ciphers, theirs.ciphers),
        ("macs", ours.macs, theirs.macs),
    )
    for kind, have, want in kinds:
        if kind == "macs" and any(name in theirs.ciphers and _has_own_mac(name) for name in ours.ciphers):
            continue
        if not set(have) & set(want):
            return kind, have, want
    return None


def _has_own_mac(cipher: str) -> bool:
    return "-gcm@" in cipher or "-poly1305@" in cipher
