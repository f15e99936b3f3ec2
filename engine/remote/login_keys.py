"""The keys that are offered at one login, one after another, in the order of `ssh`: the agent's that belong to a named file, the
agent's others, then those of files by themselves. Remembers what was offered and what was skipped: it is said when the login fails.
"""

from __future__ import annotations

from collections.abc import Sequence

import asyncssh
from asyncssh.public_key import decode_ssh_certificate

from engine.domain.clean import clean_text
from engine.remote.agent import Agent, Agents, AgentTrouble
from engine.remote.identities import Identities, label, skipped_of
from engine.remote.identity_files import Identity
from engine.remote.skipped import SkippedFile
from engine.remote.ssh_config import HopOptions

_MOST_NAMED = 12  # keys in the evidence of a login that failed


class LoginKeys:
    """Made by `prepare`; `close` it when the login is over."""

    def __init__(
        self,
        pairs: Sequence[asyncssh.SSHKeyPair],
        agent: Agent | None,
        troubles: Sequence[AgentTrouble],
        skipped: Sequence[SkippedFile],
    ) -> None:
        self.pairs = tuple(pairs)
        self.skipped = tuple(skipped)
        self.agent = agent
        self._troubles = tuple(troubles)
        self._left = list(pairs)

    @property
    def troubles(self) -> tuple[AgentTrouble, ...]:
        """What is wrong with the agent, as far as it has shown."""
        return (*self._troubles, *(self.agent.troubles if self.agent else ()))

    @property
    def patience_s(self) -> float:
        """How long the key that comes next may take to sign, beyond what a login takes."""
        if self.agent is None or not self._left or self._left[0] not in self.agent.keys:
            return 0.0
        return self.agent.sign_deadline_s(self._left[0])

    def next(self) -> asyncssh.SSHKeyPair | None:
        return self._left.pop(0) if self._left else None

    @property
    def evidence(self) -> str:
        """What was tried and what was not, a line each."""
        tried = self.pairs[: len(self.pairs) - len(self._left)]
        lines = [f"offered: {label(pair)} ({pair.get_algorithm()})" for pair in tried[:_MOST_NAMED]]
        lines += [f"and {len(tried) - _MOST_NAMED} more"] if len(tried) > _MOST_NAMED else []
        lines += ["no key was offered"] if not tried else []
        lines += [f"not used: {file}" for file in self.skipped]
        lines += [str(trouble.words) for trouble in self.troubles]
        return clean_text("\n".join(lines))

    async def close(self) -> None:
        if self.agent is not None:
            await self.agent.end()


async def prepare(identities: Identities, agents: Agents, own: HopOptions) -> LoginKeys:
    """What a hop with the options `own` is offered. Raises nothing: what cannot be used is skipped and named."""
    files = identities.read(own.identity_files, usual=own.usual_identities)
    agent, troubles = await agents.open(own.identity_agent)
    if agent is not None:
        identities.note_agent(agent.keys)
    pairs = in_order(files, agent.keys if agent else (), only_files=own.identities_only)
    held = {_plain(pair) for pair in agent.keys} if agent else set()
    skipped = skipped_of(
        each for each in files if each.pairs or each.public is None or each.public.public_data not in held
    )
    return LoginKeys(pairs, agent, troubles, skipped)


def in_order(
    files: Sequence[Identity], held: Sequence[asyncssh.SSHKeyPair], *, only_files: bool
) -> list[asyncssh.SSHKeyPair]:
    """`held` are the agent's; with `only_files` those of them that belong to no file are left out."""
    publics = {identity.public.public_data for identity in files if identity.public is not None}
    named = [pair for pair in held if _plain(pair) in publics]
    others = [] if only_files else [pair for pair in held if _plain(pair) not in publics]
    offered = {pair.public_data for pair in (*named, *others)}
    return [*named, *others, *(p for identity in files for p in identity.pairs if p.public_data not in offered)]


def _plain(pair: asyncssh.SSHKeyPair) -> bytes:
    """The public key itself, also of one with a certificate."""
    if not pair.has_cert:
        return pair.public_data
    try:
        return decode_ssh_certificate(pair.public_data).key.public_data
    except (asyncssh.KeyImportError, ValueError):  # an agent may show anything
        return pair.public_data
