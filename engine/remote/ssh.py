"""The real `Remote`: hosts over SSH, through jump chains, by asyncssh.

Puts together connections, channels and jobs; decides nothing itself.
"""

from __future__ import annotations

import resource
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress

from engine.domain.fleet import Host
from engine.domain.problem import Problem
from engine.ports import Asker, Job, JobEvent, Recall, RemoteResult, StopOutcome
from engine.remote import channels, identity_problems
from engine.remote import job as jobs
from engine.remote.connections import Connections
from engine.remote.reach import AgentInUse, Reached, agent_in_use, reach
from engine.remote.settings import SshSettings

__all__ = ["SshRemote", "SshSettings"]

_DESCRIPTORS = 65_536


class SshRemote:
    """`engine.ports.Remote` over SSH. Make it inside the event loop that uses it; `close` it there."""

    def __init__(
        self,
        settings: SshSettings | None = None,
        *,
        asker: Asker | None = None,
        lent: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        """Without an `asker` a server that asks for a one-time password is refused its answer. `lent` are the sockets of agents
        that are lent at the moment."""
        _raise_descriptor_limit()
        self._connections = Connections(settings or SshSettings(), asker, lent)

    async def run(
        self,
        host: Host,
        script: str,
        *,
        stdin: bytes = b"",
        deadline_s: float = 30.0,
        limit: int = 1_048_576,
        for_job: bool = False,
    ) -> RemoteResult:
        return await channels.run(
            self._connections, host, script, stdin=stdin, deadline_s=deadline_s, limit=limit, for_job=for_job
        )

    async def follow(self, job: Job, offset: int = 0) -> AsyncGenerator[JobEvent, None]:
        async with aclosing(jobs.JobRun(self._connections, job, offset).events()) as events:
            async for event in events:
                yield event

    async def stop(self, job: Job) -> StopOutcome:
        return await jobs.stop(self._connections, job)

    async def recall(self, job: Job) -> Recall:
        return await jobs.recall(self._connections, job)

    def log_in_anew(self, hosts: Sequence[Host]) -> None:
        self._connections.log_in_anew(hosts)

    def expiring(self, by: float) -> tuple[Problem, ...]:
        """The user certificates in use that will have expired by then (epoch seconds)."""
        expiries = self._connections.logins.identities.expiries()
        return tuple(identity_problems.certificate_expires(expiry) for expiry in expiries if expiry.at < by)

    async def reach(self, host: Host) -> AsyncGenerator[Reached, None]:
        """Log in hop by hop, as for a release, and run a piece of sh on the host as a job would: what became of each, up to the
        first failure."""
        async with aclosing(reach(self._connections, host)) as reached:
            async for each in reached:
                yield each

    async def agent_in_use(self) -> AgentInUse:
        """The agent that a login would ask now, with its keys. Within its deadline."""
        return await agent_in_use(self._connections.logins.agents)

    async def close(self) -> None:
        await self._connections.close()


def _raise_descriptor_limit() -> None:
    """One descriptor per direct connection; the usual soft limit of 1,024 is less than a fleet."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(
            ValueError, OSError
        ):  # a container may forbid it; then connections fail one by one, with a message
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
