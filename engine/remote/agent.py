"""An SSH agent with a deadline: it is asked for its keys and for signatures, and what is wrong with it is named.

An agent runs in somebody's session: it may have gone with its terminal, hang, wait for a touch or a PIN, or be locked. None of
that is the host's fault. Holds no key; never waits longer than its deadlines.
"""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

import asyncssh

from engine.domain.message import Message, message
from engine.remote.settings import SshSettings

_SILENT_FOR_S = 15.0  # an agent that did not answer is not asked again for so long: each host would wait for it
_SECURITY_KEYS = (b"sk-ssh-", b"sk-ecdsa-", b"webauthn-sk-")


class Ailment(StrEnum):
    DEAD = "dead"  # nothing listens at its socket
    STRANGE = "strange"  # the socket is another user's
    SILENT = "silent"  # it takes the question and does not answer
    WAITS = "waits"  # it did not sign in time
    TOUCH = "touch"  # it did not sign in time, with a key on a device
    REFUSES = "refuses"  # it does not sign


@dataclass(frozen=True, slots=True)
class AgentTrouble:
    """What is wrong with the agent at `socket`; `key` is the one it was to sign with, `seconds` how long it was waited for."""

    ailment: Ailment
    socket: str
    key: str = ""
    seconds: float = 0.0

    @property
    def words(self) -> Message:
        return message(_WORDS[self.ailment].text, socket=self.socket, key=self.key, seconds=self.seconds)


_WORDS = {
    Ailment.DEAD: message("the SSH agent at {socket} is dead: nothing answers there"),
    Ailment.STRANGE: message("the SSH agent at {socket} belongs to another user and is not asked"),
    Ailment.SILENT: message("the SSH agent at {socket} did not answer within {seconds:.0f} s"),
    Ailment.WAITS: message(
        "the SSH agent at {socket} did not sign with {key} within {seconds:.0f} s; it may wait for a confirmation or a PIN"
    ),
    Ailment.TOUCH: message(
        "{key} in the SSH agent at {socket} needs a touch or a PIN on its device, and got neither within "
        "{seconds:.0f} s"
    ),
    Ailment.REFUSES: message("the SSH agent at {socket} refuses to sign with {key}; it may be locked or want a PIN"),
}


class AgentError(Exception):
    def __init__(self, trouble: AgentTrouble) -> None:
        super().__init__(str(trouble.words))
        self.trouble = trouble


class Agents:
    """Which agent is used, `lent` before one's own, and which one is known not to answer."""

    def __init__(self, settings: SshSettings, lent: Callable[[], Sequence[str]] = tuple) -> None:
        self._settings = settings
        self._lent = lent
        self._silent: dict[str, tuple[float, AgentTrouble]] = {}

    def sockets(self, named: str = "") -> tuple[str, ...]:
        """Those to try, in order. `named` is what a configuration says (IdentityAgent): `none`, a path or a variable."""
        if not self._settings.agent or named == "none":
            return ()
        if named and named != "SSH_AUTH_SOCK":
            return (named,)
        own = os.environ.get("SSH_AUTH_SOCK", "")
        return tuple(dict.fromkeys(path for path in (*self._lent(), own) if path))

    async def open(self, named: str = "") -> tuple[Agent | None, tuple[AgentTrouble, ...]]:
        """The first agent that has answered, with its keys read, and what is wrong with those before it."""
        troubles = []
        for socket in self.sockets(named):
            until, trouble = self._silent.get(socket, (0.0, None))
            if trouble is not None and time.monotonic() < until:
                troubles.append(trouble)
                continue
            agent = Agent(socket, self._settings.agent_deadline_s, self._settings.touch_deadline_s)
            try:
                await agent.read()
            except AgentError as error:
                await agent.end()
                troubles.append(error.trouble)
                if error.trouble.ailment is Ailment.SILENT:
                    self._silent[socket] = (time.monotonic() + _SILENT_FOR_S, error.trouble)
                continue
            return agent, tuple(troubles)
        return None, tuple(troubles)


class Agent(asyncssh.SSHAgentClient):
    """One conversation with the agent at `socket`, for one login. `end` it."""

    def __init__(self, socket: str, deadline_s: float, touch_deadline_s: float) -> None:
        super().__init__(socket)
        self.socket = socket
        self.keys: tuple[asyncssh.SSHKeyPair, ...] = ()
        self.troubles: list[AgentTrouble] = []
        self._deadline_s = deadline_s
        self._touch_deadline_s = touch_deadline_s

    async def read(self) -> None:
        """Ask it for its keys. Raises AgentError."""
        self._check_owner()
        try:
            async with asyncio.timeout(self._deadline_s):
                await self.connect()
                self.keys = tuple(await self.get_keys())
        except TimeoutError as error:
            raise AgentError(AgentTrouble(Ailment.SILENT, self.socket, seconds=self._deadline_s)) from error
        except (OSError, ValueError, asyncssh.Error) as error:
            raise AgentError(AgentTrouble(Ailment.DEAD, self.socket)) from error

    def _check_owner(self) -> None:
        try:
            facts = os.stat(self.socket)
        except (OSError, ValueError) as error:
            raise AgentError(AgentTrouble(Ailment.DEAD, self.socket)) from error
        if not stat.S_ISSOCK(facts.st_mode):
            raise AgentError(AgentTrouble(Ailment.DEAD, self.socket))
        if facts.st_uid not in (os.getuid(), 0):
            raise AgentError(AgentTrouble(Ailment.STRANGE, self.socket))

    def sign_deadline_s(self, pair: asyncssh.SSHKeyPair) -> float:
        return self._touch_deadline_s if needs_touch(pair.public_data) else self._deadline_s

    async def sign(self, key_blob: bytes, data: bytes, flags: int = 0) -> bytes:
        """As asyncssh's; ValueError makes it offer the next key. What was wrong is in `troubles`."""
        touch = needs_touch(key_blob)
        deadline_s = self._touch_deadline_s if touch else self._deadline_s
        key = next((_named(pair) for pair in self.keys if pair.public_data == key_blob), "?")
        try:
            async with asyncio.timeout(deadline_s):
                return await super().sign(key_blob, data, flags)
        except TimeoutError as error:
            await self.end()  # its late answer must not be taken for that to another question
            self.troubles.append(AgentTrouble(Ailment.TOUCH if touch else Ailment.WAITS, self.socket, key, deadline_s))
            raise ValueError("the agent did not sign in time") from error
        except ValueError:
            self.troubles.append(AgentTrouble(Ailment.REFUSES, self.socket, key))
            raise

    async def end(self) -> None:
        self.close()
        with suppress(OSError, TimeoutError):  # it has gone: nothing is left to end
            async with asyncio.timeout(self._deadline_s):
                await self.wait_closed()


def needs_touch(public_data: bytes) -> bool:
    return public_data[4:].startswith(_SECURITY_KEYS)


def _named(pair: asyncssh.SSHKeyPair) -> str:
    return pair.get_comment() or pair.get_algorithm()
