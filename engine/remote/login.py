"""Logging in at one hop: the host key it must show, the keys it is offered, what it asks, and what is said when it refuses.

As few logins at once as a server takes; one that it resets is tried again, bounded. Keeps no connection: that is the pool's.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import asyncssh

from engine.ports import Asker, RemoteError
from engine.remote import identity_problems, problems, refusals
from engine.remote.agent import Agents
from engine.remote.algorithms import Offer, lacking, read_offer
from engine.remote.hops import Hop, Route
from engine.remote.host_key_problems import distrusted
from engine.remote.host_key_trust import Verdict, algorithms, judge
from engine.remote.identities import Identities
from engine.remote.known_keys import KnownKeys, TrustedKeys
from engine.remote.login_keys import LoginKeys, prepare
from engine.remote.questions import Questions
from engine.remote.settings import SshSettings
from engine.remote.ssh_config import SshConfig

if TYPE_CHECKING:
    from engine.remote.connections import Link

_RESETS = (asyncssh.ConnectionLost, ConnectionResetError, BrokenPipeError)
_REFUSALS = 2  # logins that a server breaks off without a word: PAM does; more of them may lock an account
_TOO_MANY = "Too many authentication failures"  # how OpenSSH ends a login after MaxAuthTries


_NOBODY: tuple[list[asyncssh.SSHKey], ...] = ([], [], [])  # what asyncssh may trust by itself


class HostKeyDistrusted(asyncssh.HostKeyNotVerifiable):
    def __init__(self, verdict: Verdict) -> None:
        super().__init__(f"host key {verdict.reason}")
        self.verdict = verdict


class Client(asyncssh.SSHClient):
    """Hears of the beginning and the end of a connection, judges the host key it shows, offers it keys, and hears what it asks."""

    def __init__(
        self, questions: Questions, trusted: TrustedKeys, keys: LoginKeys, patience: Callable[[float], None]
    ) -> None:
        """`patience` is told how many seconds more than usual the login may take from now on."""
        self.link: Link | None = None
        self.banner = ""  # what the server said before the login was through
        self.connection: asyncssh.SSHClientConnection | None = None
        self._questions = questions
        self._trusted = trusted
        self._keys = keys
        self._patience = patience

    @property
    def asked(self) -> bool:
        """A person's answer opened it."""
        return self._questions.asked

    @property
    def answered(self) -> bool:
        """It was an SSH server that answered, and not one that drops connections unread because there are too many."""
        return bool(self.connection and self.connection.get_extra_info("server_version"))

    @property
    def keys_agreed(self) -> bool:
        """The key exchange is behind us: what broke it off then is the login."""
        return bool(self.connection and self.connection.get_extra_info("send_cipher"))

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        # asyncssh's own answer has no reason that can be acted on, knows no alias and does not look at the key in a certificate. It
        # is given nothing to trust, so if this were never called, nothing would be trusted.
        conn.validate_server_host_key = self._judge  # type: ignore[method-assign]
        self.connection = conn
        self._patience(0.0)

    def public_key_auth_requested(self) -> asyncssh.SSHKeyPair | None:
        """The next key to offer; one that an agent holds may wait for a person."""
        self._patience(self._keys.patience_s)
        return self._keys.next()

    def auth_banner_received(self, msg: str, lang: str) -> None:
        self.banner = (self.banner + msg)[-refusals.EVIDENCE_CHARACTERS :]

    def _judge(self, key_data: bytes) -> asyncssh.SSHKey:
        verdict = judge(key_data, self._trusted, time.time())
        if verdict.reason is not None or verdict.key is None:
            raise HostKeyDistrusted(verdict)
        return verdict.key

    def kbdint_auth_requested(self) -> str | None:
        return "" if self._questions.next_round() else None

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        return await self._questions.answers(f"{name} {instructions}", prompts)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.link is not None:
            self.link.lost()


class _BrokenOff(Exception):
    """The server hung up before the login was through."""

    def __init__(self, client: Client, cause: str) -> None:
        super().__init__(cause)
        self.client = client


class Logins:
    def __init__(self, settings: SshSettings, asker: Asker | None, lent: Callable[[], Sequence[str]] = tuple) -> None:
        """`lent` are the sockets of agents that whoever is at the cockpit now lends; they come before one's own."""
        self.identities = Identities(settings)
        self.agents = Agents(settings, lent)
        self.config = SshConfig.load(settings.config)
        self._settings = settings
        self._asker = asker
        self._keys = KnownKeys(settings.known_hosts)
        self._options: dict[tuple[str, bool], asyncssh.SSHClientConnectionOptions] = {}
        self._slots: dict[tuple[Route, str, int], asyncio.Semaphore] = {}

    async def log_in(
        self, route: Route, tunnel: asyncssh.SSHClientConnection | None, parent: Link | None
    ) -> tuple[asyncssh.SSHClientConnection, Client]:
        """Log in at the route's last hop. Raises RemoteError."""
        hop = route[-1]
        trusted = self.trusted(hop)
        slots = self._slots.setdefault(
            (route[:-1], hop.address, hop.port), asyncio.Semaphore(self._settings.max_handshakes_per_server)
        )
        questions = Questions(hop, self._asker, self._settings)
        try:
            return await self._attempts(hop, tunnel, parent, trusted, slots, questions)
        finally:
            await questions.close()

    def trusted(self, hop: Hop) -> TrustedKeys:
        options = self.config.options(hop)
        return self._keys.trusted(hop, alias=options.host_key_alias, files=options.known_hosts)

    async def _attempts(
        self,
        hop: Hop,
        tunnel: asyncssh.SSHClientConnection | None,
        parent: Link | None,
        trusted: TrustedKeys,
        slots: asyncio.Semaphore,
        questions: Questions,
    ) -> tuple[asyncssh.SSHClientConnection, Client]:
        via = parent.hop if parent is not None else None
        attempt = 0
        while True:
            try:
                async with slots:
                    return await self._attempt(hop, tunnel, trusted, questions)
            except _BrokenOff as error:
                questions.broken()
                if parent is not None and not parent.is_open:
                    raise problems.unreachable(parent.hop, "its connection broke", None) from error
                waiting = questions.waiting
                if questions.open and not await questions.settled():
                    raise problems.one_time_password_missing(
                        hop, questions.last, self._settings.ask_deadline_s
                    ) from error
                if waiting:  # the server was tired of waiting for a person: not an attempt that failed
                    continue
                attempt += 1
                refused = error.client.keys_agreed and not questions.last
                if attempt >= (_REFUSALS if refused else self._settings.handshake_attempts):
                    if refused:
                        raise refusals.broken_off(hop, str(error), error.client.banner) from error
                    raise problems.unreachable(hop, str(error), via) from error
                await asyncio.sleep(0.4 * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))
            except asyncssh.ChannelOpenError as error:
                await asyncio.sleep(0)  # a connection that has just died is told to us one turn of the loop later
                if parent is not None and not parent.is_open:
                    raise problems.unreachable(parent.hop, "its connection broke", None) from error
                prohibited = error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED
                if parent is not None:
                    parent.refuses(prohibited=prohibited)
                    if prohibited:
                        raise refusals.forwarding_refused(hop, parent.hop, cause_of(error)) from error
                raise problems.unreachable(hop, cause_of(error), via) from error
            except TimeoutError as error:
                if parent is not None:
                    parent.refuses(prohibited=False)
                raise problems.unreachable(hop, f"no answer within {self._patience_s:.0f} s", via) from error
            except (OSError, asyncssh.Error) as error:
                raise problems.unreachable(hop, cause_of(error), via) from error

    @property
    def _patience_s(self) -> float:
        return self._settings.connect_timeout_s + self._settings.login_timeout_s

    async def _attempt(
        self, hop: Hop, tunnel: asyncssh.SSHClientConnection | None, trusted: TrustedKeys, questions: Questions
    ) -> tuple[asyncssh.SSHClientConnection, Client]:
        settings, loop = self._settings, asyncio.get_running_loop()
        limit = asyncio.timeout(settings.connect_timeout_s)
        questions.bound_by(limit)
        keys = await self.keys(hop)

        def patience(more_s: float) -> None:
            limit.reschedule(loop.time() + settings.login_timeout_s + more_s)

        client = Client(questions, trusted, keys, patience)
        try:
            async with limit:
                connection = await asyncssh.connect(
                    hop.address,
                    hop.port,
                    tunnel=tunnel,
                    config=None,
                    options=self._account(hop, asks=questions.can_ask),
                    client_factory=lambda: client,
                    server_host_key_algs=algorithms(trusted, self._settings.host_key_algorithms),
                )
        except asyncssh.PermissionDenied as error:
            raise refusals.with_words(self._denied(hop, error, questions, keys), client.banner) from error
        except HostKeyDistrusted as error:
            raise distrusted(hop, error.verdict, trusted) from error
        except (asyncssh.KeyExchangeFailed, *_RESETS) as error:
            if client.answered and not client.keys_agreed:
                await self._compare_offers(hop, tunnel, trusted)
            if isinstance(error, asyncssh.KeyExchangeFailed):
                raise
            raise _BrokenOff(client, cause_of(error)) from error
        except asyncssh.DisconnectError as error:
            if _TOO_MANY in error.reason:
                raise refusals.with_words(self._denied(hop, error, questions, keys), client.banner) from error
            raise
        finally:
            await keys.close()
        return connection, client

    async def keys(self, hop: Hop) -> LoginKeys:
        """The keys that `hop` is offered; `close` it."""
        return await prepare(self.identities, self.agents, self.config.options(hop))

    async def _compare_offers(
        self, hop: Hop, tunnel: asyncssh.SSHClientConnection | None, trusted: TrustedKeys
    ) -> None:
        """Raise RemoteError if both sides have nothing in common; either may be the one that hung up for it."""
        theirs = await read_offer(hop, tunnel)
        ours = Offer.of(self._settings, hop)
        asked = replace(ours, host_keys=tuple(algorithms(trusted, ours.host_keys)))
        nothing = theirs and lacking(asked, theirs)
        if nothing:
            raise refusals.no_common_algorithm(hop, *nothing)

    def _denied(self, hop: Hop, error: asyncssh.DisconnectError, questions: Questions, keys: LoginKeys) -> RemoteError:
        asked = questions.problem()
        if asked is not None:
            return asked
        if keys.troubles:
            return identity_problems.agent_of_no_use(hop, keys.troubles[-1], keys.evidence)
        expired = self.identities.expired()
        if expired is not None:
            return identity_problems.certificate_expired(hop, expired, keys.evidence)
        if not keys.pairs:
            return identity_problems.no_key(hop, keys.skipped, keys.evidence)
        return identity_problems.permission_denied(hop, cause_of(error), keys.evidence)

    def _account(self, hop: Hop, *, asks: bool) -> asyncssh.SSHClientConnectionOptions:
        """The options of an account, made once: they take 6–20 ms to build."""
        key = (hop.user, asks)
        found = self._options.get(key)
        if found is None:
            offer = Offer.of(self._settings, hop)
            found = self._options[key] = asyncssh.SSHClientConnectionOptions(
                config=None,
                username=hop.user,
                known_hosts=_NOBODY,
                client_keys=None,  # the client is asked for one after another
                agent_path=None,
                x509_trusted_certs=None,
                gss_kex=False,
                gss_auth=False,
                host_based_auth=False,
                password_auth=False,
                kbdint_auth=asks,
                preferred_auth="publickey,keyboard-interactive" if asks else "publickey",
                kex_algs=offer.key_exchanges,
                encryption_algs=offer.ciphers,
                mac_algs=offer.macs,
                compression_algs=None,
                connect_timeout=None,  # both limits are ours: they stand still while a person is asked
                login_timeout=0,
                keepalive_interval=self._settings.keepalive_s,
                keepalive_count_max=self._settings.keepalive_count,
            )
        return found


def cause_of(error: BaseException) -> str:
    if isinstance(error, asyncssh.DisconnectError | asyncssh.ChannelOpenError):
        return error.reason or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        # asyncio says `Connect call failed ('10.0.0.1', 22)`; the address stands in the sentence already.
        if error.errno and error.strerror.startswith("Connect call failed"):
            return os.strerror(error.errno)
        return error.strerror
    return str(error) or type(error).__name__
