"""One SSH connection per hop, shared by all who need it, opened through the hop before it and closed when idle.

A jump host is logged into once, however many hosts are behind it. How a login goes is `login`'s. Knows nothing of jobs; never
retries what was already sent.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import asyncssh

from engine.domain.fleet import Host
from engine.ports import Asker, RemoteError
from engine.remote import problems
from engine.remote.hops import Hop, Route, route_to
from engine.remote.login import Client, Logins
from engine.remote.settings import SshSettings

_JUMP_BACKOFF_S = (0.5, 2.0)  # short: until then whoever asks is told the old failure, even if it was just repaired
_CLOSE_TIMEOUT_S = 3.0


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
        self._idle_s = pool.settings.connection_idle_s
        self._failures = 0
        self._failed: RemoteError | None = None
        self._not_before = 0.0
        self._idle: asyncio.TimerHandle | None = None
        self._asked = False  # a person's answer opened it
        self._refused = False  # it opens no way to something behind it; `_prohibited`: its server forbids it
        self._prohibited = False

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
        if len(self.route) == 1:
            connection, client = await self._pool.logins.log_in(self.route, None, None)
        else:
            connection, client, self._parent = await self._through()
        self._connection = connection
        settings = self._pool.settings
        self._asked = client.asked
        self._idle_s = settings.asked_connection_idle_s if client.asked else settings.connection_idle_s
        client.link = self
        if connection.is_closed():
            self.lost()
            raise problems.link_lost_once(self.hop, "closed right after the login")
        return connection

    async def _through(self) -> tuple[asyncssh.SSHClientConnection, Client, Link]:
        """Log in through the hop before. If that one's connection was kept and turns out to be dead, once more through a new one:
        nothing has begun."""
        kept = True
        while True:
            parent = self._pool.link(self.route[:-1])
            parent.take()
            kept = kept and parent.is_open
            try:
                return *await self._pool.logins.log_in(self.route, await parent.connection(), parent), parent
            except BaseException as error:
                died = kept and not parent.is_open and isinstance(error, RemoteError)
                parent.release()
                if not died:
                    raise
                kept = False

    def take(self) -> None:
        self.users += 1
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def release(self, count: int = 1) -> None:
        self.users -= count
        if self.users == 0 and self.retired:
            self._leave()
        elif self.users == 0 and self._connection is not None and self._idle is None:
            self._idle = asyncio.get_running_loop().call_later(self._idle_s, self._close_idle)
        elif self.users == 0 and self._connection is None and self._failed is None and self._opening is None:
            self._pool.forget(self)

    @property
    def retired(self) -> bool:
        """Whoever uses it goes on with it, nobody else gets it."""
        return not self._pool.holds(self)

    def retire(self) -> None:
        """Give it to nobody any more; it is closed when its last user has left."""
        self._pool.retire(self)
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if not self.users:
            self._leave()

    def _leave(self) -> None:
        if self._connection is not None:
            self._connection.close()
        elif self._opening is None:
            self._pool.forget(self)

    def refuses(self, *, prohibited: bool) -> None:
        """It opened no way to what is behind it: whoever logs in anew there does not take it for granted any more."""
        self._refused = True
        self._prohibited = self._prohibited or prohibited

    def renew(self) -> None:
        """A person tries again: an old refusal is not told again, and what logged in before the repair is used no more. A jump
        host is left alone while it does its work: many share it, and somebody may have been asked for its password."""
        if self._opening is None and (
            not self.is_open or not self.hop.is_jump or self._prohibited or (self._refused and not self._asked)
        ):
            self.retire()

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


@dataclass(frozen=True, slots=True)
class Lent:
    """A connection in use. `kept`: it was open before, so that it may be dead by now."""

    link: Link
    connection: asyncssh.SSHClientConnection
    kept: bool

    @property
    def channels(self) -> asyncio.Semaphore:
        return self.link.channels


class Connections:
    def __init__(
        self, settings: SshSettings, asker: Asker | None = None, lent: Callable[[], Sequence[str]] = tuple
    ) -> None:
        self.settings = settings
        self.logins = Logins(settings, asker, lent)
        self._links: dict[Route, Link] = {}
        self._retired: set[Link] = set()
        self.closed = False

    @asynccontextmanager
    async def use(self, host: Host) -> AsyncIterator[Lent]:
        """The connection to `host`, kept open while inside. Raises RemoteError."""
        link = self.link(route_to(host))
        kept = link.is_open
        link.take()
        try:
            yield Lent(link, await link.connection(), kept)
        finally:
            link.release()

    def log_in_anew(self, hosts: Iterable[Host]) -> None:
        """As `Remote.log_in_anew`."""
        routes = {route[:depth] for route in map(route_to, hosts) for depth in range(1, len(route) + 1)}
        for link in [self._links[route] for route in routes if route in self._links]:
            link.renew()

    def link(self, route: Route) -> Link:
        if self.closed:
            raise problems.link_lost_once(route[-1], "the engine is closing its connections")
        found = self._links.get(route)
        if found is None:
            found = self._links[route] = Link(self, route)
        return found

    def holds(self, link: Link) -> bool:
        return self._links.get(link.route) is link

    def retire(self, link: Link) -> None:
        if self.holds(link):
            del self._links[link.route]
            self._retired.add(link)

    def forget(self, link: Link) -> None:
        self._retired.discard(link)
        if self.holds(link):
            del self._links[link.route]

    async def close(self) -> None:
        """Close everything, hosts before the jump hosts they are reached through."""
        self.closed = True
        links = sorted((*self._links.values(), *self._retired), key=lambda link: -len(link.route))
        for depth in sorted({len(link.route) for link in links}, reverse=True):
            async with asyncio.TaskGroup() as group:
                for link in links:
                    if len(link.route) == depth:
                        group.create_task(link.close())
        self._links.clear()
        self._retired.clear()
