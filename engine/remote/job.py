"""A job on a host: started once, followed from wherever it was left, stopped for certain.

The host decides: one atomic `mkdir` says who starts it, the epoch says who may, its log and its records say what happened. This
side only asks again, so it may be killed at any time. Never starts a step by itself and never takes a broken link for an end.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from engine.ports import Job, JobEnded, JobEvent, Look, Recall, RemoteError, Since, StopOutcome
from engine.remote import problems, program, refusals
from engine.remote.channels import Channel, answer, new_token, open_sh, refusal_of, run
from engine.remote.connections import Connections
from engine.remote.hops import Hop, route_to
from engine.remote.log_events import LastWord, LogEvents

_log = logging.getLogger(__name__)

_ANSWER_S = 30.0  # for attach.sh to answer, once our sh is there
_RECALL_LIMIT = 65_536  # bytes: a line per step
_EXIT_VANISHED = 71
_EXIT_DISK_FULL = 73
# What may pass by itself; everything else needs somebody.
_TRANSIENT = frozenset({"link_lost", "host_unreachable", "jump_host_unreachable", "one_time_password_missing"})
# What a host under load may say for a while, if its login has worked before.
_MAY_PASS = _TRANSIENT | {"login_waits", "no_shell"}


class JobRun:
    """One `follow` of one job."""

    def __init__(self, connections: Connections, job: Job, offset: int) -> None:
        self._connections = connections
        self._job = job
        self._hop: Hop = route_to(job.host)[-1]
        self._offset = offset
        self._exists = offset > 0  # seen on the host: it must not be started again
        self._asked = self._exists  # it may have been started, even if the answer was lost
        settings = connections.settings
        self._until = (
            time.monotonic() + sum(step.deadline_s for step in job.steps) + 15 * len(job.steps) + settings.job_grace_s
        )

    async def events(self) -> AsyncGenerator[JobEvent, None]:
        failures = 0
        while True:
            before = self._offset
            try:
                async with aclosing(self._attach()) as events:
                    async for event in events:
                        self._offset = event.offset
                        yield event
                        if isinstance(event, JobEnded):
                            return
            except RemoteError as error:
                failures = 0 if self._offset > before else failures + 1
                await self._bear(error, failures)

    async def _bear(self, error: RemoteError, failures: int) -> None:
        """Wait before the next attempt, or raise if there is no use in one."""
        bearable = _MAY_PASS if self._exists else _TRANSIENT
        if error.problem.code not in bearable or not self._asked or self._connections.closed:
            raise error
        settings = self._connections.settings
        wait_s = settings.reattach_backoff_s * 2 ** min(max(failures - 1, 0), 10) * random.uniform(0.7, 1.3)
        wait_s = min(wait_s, settings.reattach_backoff_max_s)
        if time.monotonic() + wait_s >= self._until:
            raise problems.link_lost(self._hop, str(error.problem.what)) from error
        _log.info("%s: attaching again in %.1f s: %s", self._hop.name, wait_s, error.problem.what)
        await asyncio.sleep(wait_s)

    async def _attach(self) -> AsyncGenerator[JobEvent, None]:
        """Attach once and yield until the end of the job or of the link."""
        job, token, nonce = self._job, new_token(), new_token()
        may_start = not self._exists
        text = program.attaching(
            job,
            token=token,
            nonce=nonce,
            offset=self._offset,
            may_start=may_start,
            keep_days=self._connections.settings.job_keep_days,
        )
        asked_at = time.monotonic()
        async with open_sh(self._connections, job.host, text, token=token) as channel:
            # A person may have been asked on the way; the host waited for nobody
            self._until += time.monotonic() - asked_at
            if may_start:
                self._asked = True
                channel.write(program.attach_input(job, token=token, nonce=nonce))
            words = await _answer(channel, token)
            try:
                nonce = self._nonce(words)
            except RemoteError as error:
                raise refusals.with_words(error, await channel.said()) from error
            self._exists = True
            log = LogEvents(nonce, self._offset)
            while True:
                for event in log.feed(await self._more(channel)):
                    if isinstance(event, LastWord):
                        yield self._ended(event)
                        return
                    yield event

    async def _more(self, channel: Channel) -> bytes:
        status = None
        try:
            async with asyncio.timeout(max(1.0, self._until - time.monotonic())):
                data = await channel.read()
                if not data:
                    status = await channel.ended()
        except TimeoutError as error:
            raise problems.remote_deadline(self._hop, sum(step.deadline_s for step in self._job.steps)) from error
        if data:
            return data
        if status == _EXIT_VANISHED:
            raise problems.job_vanished(self._hop, self._job)
        if status == _EXIT_DISK_FULL:
            raise problems.disk_full(self._hop, "~/.cockpit/jobs")
        raise problems.link_lost_once(self._hop, "the connection ended")

    def _nonce(self, words: list[str]) -> str:
        match words:
            case ["attached", nonce]:
                return nonce
            case _:
                raise _refusal(self._hop, self._job, words)

    def _ended(self, last: LastWord) -> JobEnded:
        if last.word == "full":
            raise problems.disk_full(self._hop, "~/.cockpit/jobs")
        return JobEnded(last.word == "stopped", last.offset)


async def stop(connections: Connections, job: Job) -> StopOutcome:
    """As `Remote.stop`."""
    hop, token = route_to(job.host)[-1], new_token()
    text = program.stopping(job, token=token, nonce=new_token())
    deadline_s = connections.settings.stop_deadline_s
    async with open_sh(connections, job.host, text, token=token) as channel:
        try:
            async with asyncio.timeout(deadline_s):
                words = await answer(channel, token)
        except TimeoutError as error:
            raise problems.remote_deadline(hop, deadline_s) from error
    match words:
        case ["stopped"]:
            return StopOutcome.STOPPED
        case ["already_ended"]:
            return StopOutcome.ALREADY_ENDED
        case ["never_started"]:
            return StopOutcome.NEVER_STARTED
        case ["still_running", group]:
            raise problems.still_running(hop, group)
        case other:
            raise _refusal(hop, job, other)


async def recall(connections: Connections, job: Job) -> Recall:
    """As `Remote.recall`."""
    token = new_token()
    deadline_s = sum(step.deadline_s for step in job.steps) + _ANSWER_S
    script = program.recalling(job, token=token)
    result = await run(connections, job.host, script, deadline_s=deadline_s, limit=_RECALL_LIMIT)
    mark = f"\x1e{token} "
    lines = result.output.decode("utf-8", "replace").split("\n")
    said = [line.removeprefix(mark).split(" ", 3) for line in lines if line.startswith(mark)]
    if said == [["gone"]]:
        return Recall(found=False)
    if said[-1:] != [["end"]]:
        raise problems.link_lost_once(route_to(job.host)[-1], "it did not say to its end what it knows of the job")
    since = next(words[1] for words in said if words[0] == "since")
    looks = {words[1]: Look(words[2] == "0", words[3]) for words in said if words[0] == "look"}
    done = frozenset(words[1] for words in said if words[0] == "step")
    return Recall(True, done, Since(since), looks, same_setup=["same_setup"] in said)


async def _answer(channel: Channel, token: str) -> list[str]:
    try:
        async with asyncio.timeout(_ANSWER_S):
            return await answer(channel, token)
    except TimeoutError as error:
        raise problems.link_lost_once(channel.hop, f"no answer within {_ANSWER_S:.0f} s") from error


def _refusal(hop: Hop, job: Job, words: list[str]) -> RemoteError:
    match words:
        case ["epoch_refused", seen]:
            return problems.epoch_refused(hop, job, seen)
        case ["host_busy", process, other]:
            return problems.host_busy(hop, process, other)
        case ["vanished"]:
            return problems.job_vanished(hop, job)
        case _:
            return refusal_of(hop, words)
