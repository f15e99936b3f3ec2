"""How a host is reached, told before and while it is tried: the hops, the keys they must show, the keys that are offered.

The same settings and connections as a release uses, so that what works here works there. Changes nothing on a host.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import asyncssh
from asyncssh.public_key import decode_ssh_certificate, decode_ssh_public_key

from engine.domain.fleet import Host
from engine.domain.message import Message
from engine.domain.problem import Problem
from engine.ports import RemoteError
from engine.remote import channels, refusals
from engine.remote.agent import Agents
from engine.remote.connections import Connections
from engine.remote.hops import Hop, route_to
from engine.remote.identities import expiries_of, label
from engine.remote.login import Logins
from engine.remote.settings import SshSettings
from engine.remote.skipped import SkippedFile
from engine.remote.ssh_config import FoundOption, SshConfig

_RUN_S = 15.0
_PROBE = """
# As a job has it: several lines, quotes of both kinds.
true 'it is' "here"
"""


@dataclass(frozen=True, slots=True)
class OfferedKey:
    """`source` is `file` or `agent`; `expires_at` is the end of its certificate in UTC, empty without one."""

    source: str
    name: str
    algorithm: str
    fingerprint: str
    expires_at: str = ""


@dataclass(frozen=True, slots=True)
class OfferedKeys:
    """`skipped` are identity files that are not used, `troubles` what is wrong with the agent."""

    keys: tuple[OfferedKey, ...] = ()
    skipped: tuple[SkippedFile, ...] = ()
    troubles: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentInUse:
    """`socket` empty: no agent is used; `troubles` says of each that was tried why."""

    socket: str
    keys: tuple[OfferedKey, ...]
    troubles: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class HopFacts:
    """`keys` are the host keys it may show, as (algorithm, fingerprint); `vouched_by` is who says so. `options` are the lines of
    the operator's ssh_config that are meant for it; those not honoured are ignored. `skipped` are files of known host keys."""

    name: str
    login: str
    is_jump: bool
    vouched_by: Literal["catalogue", "known_hosts", "nobody"]
    keys: tuple[tuple[str, str], ...]
    options: tuple[FoundOption, ...]
    skipped: tuple[SkippedFile, ...] = ()
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """`seconds` for its login (the last one: for a command). `problem`: where the way ends."""

    hop: str
    seconds: float
    problem: Problem | None = None


def describe(host: Host, settings: SshSettings, config: Path) -> tuple[HopFacts, ...]:
    """The hops to `host`, outermost first. `config` is the ssh_config to tell about, honoured or not. Tries nothing."""
    logins = Logins(settings, None)
    return tuple(
        _facts(hop, logins, SshConfig.load(config), honours=settings.config is not None) for hop in route_to(host)
    )


def _facts(hop: Hop, logins: Logins, config: SshConfig, *, honours: bool) -> HopFacts:
    login = f"{hop.user}@{hop.address}:{hop.port}"
    try:
        trusted = logins.trusted(hop)
        found = config.found(hop)
    except RemoteError as error:
        return HopFacts(hop.name, login, hop.is_jump, "nobody", (), (), problem=error.problem)
    vouched_by: Literal["catalogue", "known_hosts", "nobody"] = "known_hosts" if trusted else "nobody"
    options = tuple(FoundOption(o.keyword, o.value, o.file, o.line, honoured=o.honoured and honours) for o in found)
    return HopFacts(
        name=hop.name,
        login=login,
        is_jump=hop.is_jump,
        vouched_by="catalogue" if hop.host_key else vouched_by,
        keys=tuple((key.get_algorithm(), key.get_fingerprint()) for key in trusted.every),
        options=options,
        skipped=trusted.skipped,
    )


async def offered_keys(host: Host, settings: SshSettings) -> OfferedKeys:
    """What is offered at the last hop, in order, and what is not."""
    logins = Logins(settings, None)
    keys = await logins.keys(route_to(host)[-1])
    try:
        held = keys.agent.keys if keys.agent else ()
        offered = tuple(_offered("agent" if pair in held else "file", pair) for pair in keys.pairs)
        return OfferedKeys(offered, keys.skipped, tuple(trouble.words for trouble in keys.troubles))
    finally:
        await keys.close()


async def agent_in_use(agents: Agents) -> AgentInUse:
    """As `SshRemote.agent_in_use`."""
    agent, troubles = await agents.open()
    try:
        keys = tuple(_offered("agent", pair) for pair in agent.keys) if agent is not None else ()
        return AgentInUse(agent.socket if agent is not None else "", keys, tuple(trouble.words for trouble in troubles))
    finally:
        if agent is not None:
            await agent.end()


def _offered(source: str, pair: asyncssh.SSHKeyPair) -> OfferedKey:
    expiry = next(iter(expiries_of([pair])), None)
    decode = decode_ssh_certificate if pair.has_cert else decode_ssh_public_key
    try:
        key = getattr(decode(pair.public_data), "key", None) or decode_ssh_public_key(pair.public_data)
        fingerprint = key.get_fingerprint()
    except (asyncssh.KeyImportError, ValueError):  # an agent may show anything
        fingerprint = "?"
    return OfferedKey(source, label(pair), pair.algorithm.decode(), fingerprint, expiry.text if expiry else "")


async def reach(connections: Connections, host: Host) -> AsyncGenerator[Reached, None]:
    """As `SshRemote.reach`."""
    route = route_to(host)
    for number, hop in enumerate(route, start=1):
        began = time.monotonic()
        link = connections.link(route[:number])
        link.take()
        try:
            await link.connection()
        except RemoteError as error:
            yield Reached(hop.name, time.monotonic() - began, error.problem)
            return
        finally:
            link.release()
        yield Reached(hop.name, time.monotonic() - began)
    began = time.monotonic()
    problem = None
    try:
        result = await channels.run(connections, host, _PROBE, deadline_s=_RUN_S, limit=1024, for_job=True)
        if result.exit_status != 0:
            problem = refusals.not_set_up(
                route[-1], result.output.decode("utf-8", "replace"), result.exit_status
            ).problem
    except RemoteError as error:
        problem = error.problem
    yield Reached("sh", time.monotonic() - began, problem)
