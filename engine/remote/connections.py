"""One SSH connection per hop, shared by all who need it, opened through the hop before it and closed when idle.

A jump host is logged into once, however many hosts are behind it. Every connection's host key is checked against what we were
told to expect (`known_keys`). Knows nothing of jobs; never retries what was already sent.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import asyncssh
from asyncssh.public_key import load_default_keypairs

from engine.domain.fleet import Host
from engine.ports import RemoteError
from engine.remote import problems
from engine.remote.hops import Hop, Route, route_to
from engine.remote.known_keys import KnownKeys, TrustedKeys
from engine.remote.settings import SshSettings

_log = logging.getLogger(__name__)

_KEY_EXCHANGES = [
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "diffie-hellman-group14-sha256",
]
_CIPHERS = [
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes128-ctr",
    "aes256-ctr",
]
_JUMP_BACKOFF_S = (0.5, 2.0)  # short: until then whoever asks is told the old failure, even if it was just repaired
_CLOSE_TIMEOUT_S = 3.0
_RESETS = (asyncssh.ConnectionLost, ConnectionResetError, BrokenPipeError)


class _Client(asyncssh.SSHClient):
    """Hears of the end of a connection, and of the key a server showed in vain."""

    def __init__(self) -> None:
        self.link: Link | None = None
        self.shown: asyncssh.SSHKey | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.shown = key
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self.link is not None:
            self.link.lost()


class Link:
    """The connection to the last hop of a route, open or not. Used through `Connections.use`."""

    def __init__(self, pool: Connections, route: Route) -> None:
        self.route = route
        self.channels = asyncio.Semaphore(pool.settings.max_channels_per_connection)
        self.users = 0
        self._pool = pool
        self._connection: asyncssh.SSHClientConnection | None = None
        self._opening: asyncio.Task[asyncssh.SSHClientConnection] | None = None
        self._parent: Link | None = None
        self._failures = 0
        self._failed: RemoteError | None = None
        self._not_before = 0.0
        self._idle: asyncio.TimerHandle | None = None

    @property
    def hop(self) -> Hop:
        return self.route[-1]

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    async def connection(self) -> asyncssh.SSHClientConnection:
        """The open connection; all who ask while it is being opened wait for the same attempt."""
        if self._connection is not None:
            return self._connection
        if self._failed is not None and time.monotonic() < self._not_before:
            raise RemoteError(self._failed.problem)
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(self._opened)
        try:
            return await asyncio.shield(self._opening)
        except RemoteError as error:
            raise RemoteError(error.problem) from error  # one exception object per waiter: tracebacks do not pile up

    def _opened(self, task: asyncio.Task[asyncssh.SSHClientConnection]) -> None:
        self._opening = None
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._failures, self._failed = 0, None
            if not self.users:
                self.release(0)
        elif self.hop.is_jump and isinstance(error, RemoteError):
            # A thousand hosts behind a dead jump host must not knock on it a thousand times.
            first_s, most_s = _JUMP_BACKOFF_S
            wait_s = min(most_s, first_s * 2 ** min(self._failures, 10)) * random.uniform(0.7, 1.3)
            self._failures += 1
            self._failed, self._not_before = error, time.monotonic() + wait_s

    async def _open(self) -> asyncssh.SSHClientConnection:
        parent = self._pool.link(self.route[:-1]) if len(self.route) > 1 else None
        if parent is not None:
            parent.take()
        try:
            tunnel = await parent.connection() if parent is not None else None
            connection, client = await self._pool.handshake(self.route, tunnel, parent)
        except BaseException:
            if parent is not None:
                parent.release()
            raise
        self._connection, self._parent = connection, parent
        client.link = self
        if connection.is_closed():
            self.lost()
            raise problems.link_lost_once(self.hop, "closed right after the login")
        return connection

    def take(self) -> None:
        self.users += 1
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def release(self, count: int = 1) -> None:
        self.users -= count
        if self.users == 0 and self._connection is not None and self._idle is None:
            self._idle = asyncio.get_running_loop().call_later(self._pool.settings.connection_idle_s, self._close_idle)
        elif self.users == 0 and self._connection is None and self._failed is None and self._opening is None:
            self._pool.forget(self)

    def _close_idle(self) -> None:
        self._idle = None
        if self.users == 0 and self._connection is not None:
            self._connection.close()

    def lost(self) -> None:
        """The connection has ended, by whichever side."""
        if self._connection is None:
            return
        self._connection = None
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        parent, self._parent = self._parent, None
        if parent is not None:
            parent.release()
        if not self.users:
            self._pool.forget(self)

    async def close(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        opening, connection = self._opening, self._connection
        if opening is not None:
            opening.cancel()
            with suppress(asyncio.CancelledError, RemoteError):
                await opening
        if connection is None:
            return
        connection.close()
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await connection.wait_closed()
        except TimeoutError:
            connection.abort()


class Connections:
    def __init__(self, settings: SshSettings) -> None:
        self.settings = settings
        self._keys = KnownKeys(settings.known_hosts)
        self._links: dict[Route, Link] = {}
        self._options: dict[str, asyncssh.SSHClientConnectionOptions] = {}
        self._identities: list[asyncssh.SSHKeyPair] | None = None
        self._handshakes: dict[tuple[Route, str, int], asyncio.Semaphore] = {}
        self.closed = False

    @asynccontextmanager
    async def use(self, host: Host) -> AsyncIterator[tuple[asyncssh.SSHClientConnection, asyncio.Semaphore]]:
        """The connection to `host`, kept open while inside, and the semaphore of its channels. Raises RemoteError."""
        link = self.link(route_to(host))
        link.take()
        try:
            yield await link.connection(), link.channels
        finally:
            link.release()

    def link(self, route: Route) -> Link:
        if self.closed:
            raise problems.link_lost_once(route[-1], "the engine is closing its connections")
        found = self._links.get(route)
        if found is None:
            found = self._links[route] = Link(self, route)
        return found

    def forget(self, link: Link) -> None:
        if self._links.get(link.route) is link:
            del self._links[link.route]

    async def close(self) -> None:
        """Close everything, hosts before the jump hosts they are reached through."""
        self.closed = True
        links = sorted(self._links.values(), key=lambda link: -len(link.route))
        for depth in sorted({len(link.route) for link in links}, reverse=True):
            async with asyncio.TaskGroup() as group:
                for link in links:
                    if len(link.route) == depth:
                        group.create_task(link.close())
        self._links.clear()

    # ------------------------------------------------------------------------------------------------------- handshake

    async def handshake(
        self, route: Route, tunnel: asyncssh.SSHClientConnection | None, parent: Link | None
    ) -> tuple[asyncssh.SSHClientConnection, _Client]:
        """Log in at the route's last hop, as few at once as its server takes; a reset is tried again. Raises RemoteError."""
        hop = route[-1]
        trusted = self._keys.trusted(hop)
        slots = self._handshakes.setdefault(
            (route[:-1], hop.address, hop.port), asyncio.Semaphore(self.settings.max_handshakes_per_server)
        )
        via = parent.hop if parent is not None else None
        for attempt in range(1, self.settings.handshake_attempts + 1):
            try:
                async with slots:
                    if not trusted:
                        raise await self._unknown(hop, tunnel)
                    return await self._login(hop, tunnel, trusted)
            except _RESETS as error:
                if parent is not None and not parent.is_open:
                    raise problems.unreachable(parent.hop, "its connection broke", None) from error
                if attempt == self.settings.handshake_attempts:
                    raise problems.unreachable(hop, _cause(error), via) from error
                await asyncio.sleep(0.2 * 2**attempt * random.uniform(0.5, 1.5))
            except asyncssh.ChannelOpenError as error:
                if parent is not None and not parent.is_open:
                    raise problems.unreachable(parent.hop, "its connection broke", None) from error
                if via is not None and error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
                    raise problems.forwarding_refused(hop, via, _cause(error)) from error
                raise problems.unreachable(hop, _cause(error), via) from error
            except TimeoutError as error:
                raise problems.unreachable(hop, f"no answer within {self._handshake_s:.0f} s", via) from error
            except (OSError, asyncssh.Error) as error:
                raise problems.unreachable(hop, _cause(error), via) from error
        raise AssertionError("unreachable: the last attempt raises or returns")

    @property
    def _handshake_s(self) -> float:
        return self.settings.connect_timeout_s + self.settings.login_timeout_s

    async def _login(
        self, hop: Hop, tunnel: asyncssh.SSHClientConnection | None, trusted: TrustedKeys
    ) -> tuple[asyncssh.SSHClientConnection, _Client]:
        client = _Client()
        try:
            async with asyncio.timeout(self._handshake_s):
                connection = await asyncssh.connect(
                    hop.address,
                    hop.port,
                    tunnel=tunnel,
                    config=None,
                    options=self._account(hop.user),
                    client_factory=lambda: client,
                    known_hosts=trusted.for_asyncssh(),
                )
        except asyncssh.PermissionDenied as error:
            raise self._denied(hop, error) from error
        except (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed) as error:
            shown = client.shown or await self._shown_key(hop, tunnel)
            if shown is None or shown in trusted.keys:
                raise  # they could not agree on something else
            raise _changed(hop, trusted, shown) from error
        return connection, client

    async def _unknown(self, hop: Hop, tunnel: asyncssh.SSHClientConnection | None) -> RemoteError:
        shown = await self._shown_key(hop, tunnel)
        algorithm, fingerprint = _named(shown) if shown is not None else ("?", "?")
        return problems.host_key_unknown(hop, algorithm, fingerprint)

    async def _shown_key(self, hop: Hop, tunnel: asyncssh.SSHClientConnection | None) -> asyncssh.SSHKey | None:
        """The key the server shows, fetched without logging in."""
        async with asyncio.timeout(self._handshake_s):
            return await asyncssh.get_server_host_key(
                hop.address, hop.port, tunnel=tunnel, config=None, kex_algs=_KEY_EXCHANGES
            )

    def _denied(self, hop: Hop, error: asyncssh.PermissionDenied) -> RemoteError:
        """Servers do not say that a certificate has expired, so look ourselves."""
        for identity in self._identities or ():
            certificate = getattr(identity, "_cert", None)
            before = getattr(certificate, "_valid_before", None)
            if isinstance(before, int) and before < time.time():
                at = datetime.fromtimestamp(before, UTC).isoformat(timespec="minutes")
                return problems.certificate_expired(hop, _label(identity), at)
        return problems.permission_denied(hop, _cause(error))

    def _account(self, user: str) -> asyncssh.SSHClientConnectionOptions:
        """The options of an account, made once: they take 6–20 ms to build."""
        found = self._options.get(user)
        if found is None:
            identities = self._load_identities()
            found = self._options[user] = asyncssh.SSHClientConnectionOptions(
                config=None,
                username=user,
                client_keys=identities if identities or self.settings.agent else None,
                agent_path=() if self.settings.agent else None,
                x509_trusted_certs=None,
                gss_kex=False,
                gss_auth=False,
                host_based_auth=False,
                password_auth=False,
                preferred_auth="publickey",
                kex_algs=_KEY_EXCHANGES,
                encryption_algs=_CIPHERS,
                compression_algs=None,
                connect_timeout=self.settings.connect_timeout_s,
                login_timeout=self.settings.login_timeout_s,
                keepalive_interval=self.settings.keepalive_s,
                keepalive_count_max=self.settings.keepalive_count,
            )
        return found

    def _load_identities(self) -> list[asyncssh.SSHKeyPair]:
        """The identity files, read once. Raises RemoteError `permission_denied` for one that cannot be used."""
        if self._identities is None:
            names = [str(path.expanduser()) for path in self.settings.identity_files]
            try:
                # Named files must be usable; of the usual ones a locked one is left to the agent.
                self._identities = list(asyncssh.load_keypairs(names)) if names else list(load_default_keypairs())
            except (OSError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
                raise problems.identity_unusable(_cause(error)) from error
        return self._identities


def _changed(hop: Hop, trusted: TrustedKeys, shown: asyncssh.SSHKey) -> RemoteError:
    expected = ", ".join(" ".join(_named(key)) for key in trusted.keys) or "signed by a known authority"
    return problems.host_key_changed(hop, expected, *_named(shown))


def _named(key: asyncssh.SSHKey) -> tuple[str, str]:
    return key.get_algorithm(), key.get_fingerprint()


def _cause(error: BaseException) -> str:
    if isinstance(error, asyncssh.DisconnectError | asyncssh.ChannelOpenError):
        return error.reason or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _label(identity: asyncssh.SSHKeyPair) -> str:
    return identity.get_comment() or identity.get_algorithm()
