"""A simulated world behind the engine's ports: hosts, a balancer and OSS whose state a test can read and whose faults it sets.

Fakes only: what they should show is judged by the tests, not in here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.domain import step_names
from engine.domain.archive import Member, MemberKind
from engine.domain.fleet import Host, MountWeight, ObjectRef, Region, ServerGroup
from engine.domain.message import message
from engine.domain.problem import Problem
from engine.domain.states import Health
from engine.ports import (
    BalancerBusy,
    BalancerError,
    BalancerRefused,
    BalancerThrottled,
    BalancerUnknown,
    Job,
    JobEnded,
    JobEvent,
    LogBytes,
    Look,
    ObjectFacts,
    PackagesError,
    Recall,
    RemoteError,
    RemoteResult,
    Since,
    StepEnded,
    StepStarted,
    StopOutcome,
)
from tests.support.fleet_rows import SCRIPTS

HOST_CHECK = b"""clock=1000000
os=debian
os_version=12
home=/home/admin
disk_free_kib=9000000
home_writable=yes
end=yes
"""


def problem(code: str) -> Problem:
    return Problem(code, message("simulated {code}", code=code), message("nothing to do"))


class SimClock:
    """Time that passes only by sleeping, and then almost at once: others get a moment to ask for the same thing."""

    def __init__(self) -> None:
        self.time = 1_000_000.0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(min(seconds, 0.05))


@dataclass
class SimBalancer:
    """(server id, port) → weight of every server group, with the calls it got and the answers it is told to give."""

    weights: dict[ServerGroup, dict[tuple[str, int], int]] = field(default_factory=dict)
    calls: list[tuple[ServerGroup, tuple[MountWeight, ...]]] = field(default_factory=list)
    # For the next set calls: busy, throttled, lost, done_but_lost, lie, refused, never, ok
    answers: list[str] = field(default_factory=list)
    readable: bool = True
    health: dict[tuple[str, int], Health] = field(default_factory=dict)  # what its checks say; the others are healthy
    health_unread: int = 0  # so often nobody is told what its checks say
    turns: Callable[[str], None] = field(default=lambda answer: None)  # called with each answer, when it is given

    async def read_weights(self, group: ServerGroup) -> Mapping[tuple[str, int], int]:
        await asyncio.sleep(0)
        if not self.readable:
            raise BalancerUnknown(problem("balancer_unknown"))
        return dict(self.weights[group])

    async def read_health(self, group: ServerGroup) -> Mapping[tuple[str, int], Health]:
        await asyncio.sleep(0)
        if self.health_unread:
            self.health_unread -= 1
            raise BalancerUnknown(problem("balancer_unknown"))
        return {key: self.health.get(key, Health.HEALTHY) for key in self.weights[group]}

    async def set_weights(self, group: ServerGroup, weights: Sequence[MountWeight]) -> str:
        await asyncio.sleep(0)
        assert len(weights) <= 20
        self.calls.append((group, tuple(weights)))
        answer = self.answers.pop(0) if self.answers else "ok"
        self.turns(answer)
        if answer == "never":
            await asyncio.Event().wait()
        if answer in ("ok", "done_but_lost"):
            for line in weights:
                self.weights[group][line.mount.server_id, line.mount.port] = line.weight
        errors: dict[str, type[BalancerError]] = {
            "busy": BalancerBusy,
            "throttled": BalancerThrottled,
            "lost": BalancerUnknown,
            "done_but_lost": BalancerUnknown,
            "refused": BalancerRefused,
        }
        if answer in errors:
            raise errors[answer](problem(answer), api_code=answer, request_id="R-" + answer)
        return f"R-{len(self.calls)}"


@dataclass
class SimPackages:
    etag: str = "AB" * 16
    signed: int = 0
    signs: bool = True  # whether there are credentials to sign with
    archive: tuple[Member, ...] = tuple(Member(path, MemberKind.FILE) for path in SCRIPTS.values())

    async def head(self, object: ObjectRef) -> ObjectFacts:
        return ObjectFacts(10, self.etag, "1", self.etag)

    async def contents(self, object: ObjectRef) -> tuple[Member, ...]:
        return self.archive

    def signed_url(self, object: ObjectRef, expires_s: int) -> str:
        if not self.signs:
            raise PackagesError(problem("oss_no_credentials"))
        self.signed += 1
        return f"http://oss.invalid/{object.bucket}/{object.key}?sig=secret"


@dataclass
class SimRemote:
    """Hosts on which every step succeeds at once, unless `failing` says otherwise or `hanging` keeps one running."""

    check: bytes = HOST_CHECK
    failing: set[tuple[str, str]] = field(default_factory=set)
    unreachable: set[str] = field(default_factory=set)
    unreadable: set[tuple[str, str]] = field(default_factory=set)  # (host, job) whose log lost its end
    hanging: set[tuple[str, str]] = field(default_factory=set)
    silent_health: set[str] = field(default_factory=set)  # whose health check outside of a job loses its link
    vanishing: set[tuple[str, str]] = field(default_factory=set)  # the host is restarted in the middle of that step
    vanishing_once: set[tuple[str, str]] = field(default_factory=set)
    locked: set[str] = field(default_factory=set)  # hosts whose account lets nobody do anything, for who logs in now
    logins: dict[str, bool] = field(default_factory=dict)  # those that are kept; whether the account was locked then
    scripts: list[tuple[str, str]] = field(default_factory=list)  # (host, script)
    effects: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # (host, job key, step) → times done
    records: dict[tuple[str, str], list[JobEvent]] = field(default_factory=dict)  # what the job did, kept on the host
    stopped: set[tuple[str, str]] = field(default_factory=set)
    epochs: dict[tuple[int, str], int] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)  # hosts whose folders of jobs are gone
    setups: dict[tuple[str, str], str] = field(default_factory=dict)
    since: dict[str, Since] = field(default_factory=dict)  # host → what became of it after its jobs
    changed: dict[tuple[str, str], str] = field(
        default_factory=dict
    )  # (host, step) that is not so any more → what a look says
    late: set[tuple[str, str]] = field(default_factory=set)  # (host, step) that runs into its deadline
    prints: dict[tuple[str, str], str] = field(default_factory=dict)  # what a step says besides
    deadlines: dict[tuple[str, str, str], float] = field(default_factory=dict)  # (host, job, step) → what it was given
    answers: dict[tuple[str, str], RemoteResult] = field(
        default_factory=dict
    )  # (host, a word of the script) → to a script outside of a job
    recalled: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)  # (host, job, the steps looked at)

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
        await asyncio.sleep(0)
        self._use_login(host)
        if host.name in self.unreachable:
            raise RemoteError(problem("host_unreachable"))
        self.scripts.append((host.name, script))
        if "ck_ask" in script:  # a health check outside of any job
            if host.name in self.silent_health:
                return RemoteResult(None, b"")
            failed = (host.name, step_names.CHECK_HEALTH) in self.failing
            return RemoteResult(int(failed), b"HEALTH CHECK NOT PASSED" if failed else b"health check passed")
        told = (answer for (name, word), answer in self.answers.items() if name == host.name and word in script)
        return next(told, RemoteResult(0, self.check))

    async def follow(self, job: Job, offset: int = 0) -> AsyncIterator[JobEvent]:
        self._use_login(job.host)
        self._accept_epoch(job)
        record = self.records.setdefault((job.host.name, job.key), [])
        if (job.host.name, job.key) in self.unreadable:
            raise RemoteError(problem("job_vanished"))
        for event in list(record):
            yield event
        if record and isinstance(record[-1], JobEnded):
            return
        done = {event.step for event in record if isinstance(event, StepEnded)}
        self.setups.setdefault((job.host.name, job.key), job.setup)
        for step in job.steps:
            self.deadlines[job.host.name, job.key, step.name] = step.deadline_s
            if step.name in done:
                continue
            async for event in self._do(job, step.name, record):
                yield event
            if isinstance(record[-1], StepEnded) and record[-1].exit_status:
                break
        record.append(JobEnded(False, len(record)))
        yield record[-1]

    async def _do(self, job: Job, name: str, record: list[JobEvent]) -> AsyncIterator[JobEvent]:
        if not any(isinstance(event, StepStarted) and event.step == name for event in record):
            self.effects[job.host.name, job.key, name] += 1
            record.append(StepStarted(name, 0.0, len(record)))
            yield record[-1]
        while (job.host.name, name) in self.hanging:
            await asyncio.sleep(0.001)
        if job.host.name in self.unreachable:
            raise RemoteError(problem("link_lost"))
        once = (job.host.name, name) in self.vanishing_once
        self.vanishing_once.discard((job.host.name, name))
        if once or (job.host.name, name) in self.vanishing:
            raise RemoteError(problem("job_vanished"))
        said = f"{name} on {job.host.name}\n{self.prints.get((job.host.name, name), '')}"
        record.append(LogBytes(said.encode(), len(record)))
        yield record[-1]
        late = (job.host.name, name) in self.late
        status = 1 if late or (job.host.name, name) in self.failing else 0
        record.append(StepEnded(name, status, late, 0.0, len(record)))
        yield record[-1]

    async def stop(self, job: Job) -> StopOutcome:
        self._accept_epoch(job)
        await asyncio.sleep(0)
        if job.host.name in self.unreachable:
            raise RemoteError(problem("host_unreachable"))
        record = self.records.setdefault((job.host.name, job.key), [])
        if job.host.name in self.forgotten:
            return StopOutcome.NEVER_STARTED
        if record and isinstance(record[-1], JobEnded):
            return StopOutcome.ALREADY_ENDED if len(record) > 1 else StopOutcome.NEVER_STARTED
        self.stopped.add((job.host.name, job.key))
        started = bool(record)
        record.append(JobEnded(True, len(record)))
        return StopOutcome.STOPPED if started else StopOutcome.NEVER_STARTED

    async def recall(self, job: Job) -> Recall:
        self._use_login(job.host)
        await asyncio.sleep(0)
        host = job.host.name
        if host in self.unreachable:
            raise RemoteError(problem("host_unreachable"))
        self.recalled.append((host, job.key, tuple(step.name for step in job.steps)))
        record = self.records.get((host, job.key), [])
        if not record or host in self.forgotten:
            return Recall(found=False)
        done = frozenset(event.step for event in record if isinstance(event, StepEnded) and not event.exit_status)
        looks = {step.name: self._look(host, step.name) for step in job.steps}
        same = self.setups.get((host, job.key)) == job.setup
        return Recall(True, done, self.since.get(host, Since.SAME), looks, same_setup=same)

    def _look(self, host: str, step: str) -> Look:
        fails = step == step_names.CHECK_HEALTH and (host, step) in self.failing
        said = self.changed.get((host, step), "HEALTH CHECK NOT PASSED" if fails else "")
        return Look(not said, said)

    def log_in_anew(self, hosts: Sequence[Host]) -> None:
        for host in hosts:
            self.logins.pop(host.name, None)

    def _use_login(self, host: Host) -> None:
        """A login is kept, and with it the account as it was then."""
        if self.logins.setdefault(host.name, host.name in self.locked):
            raise RemoteError(problem("no_shell"))

    async def close(self) -> None:
        """Nothing is held."""

    def _accept_epoch(self, job: Job) -> None:
        key = (job.order_id, job.host.name)
        if self.epochs.get(key, 0) > job.epoch:
            raise RemoteError(problem("job_epoch_refused"))
        self.epochs[key] = job.epoch


@dataclass
class SimCloud:
    balancer: SimBalancer
    objects: SimPackages

    def packages(self, regions: Sequence[Region]) -> SimPackages:
        return self.objects

    def balancers(self, regions: Sequence[Region]) -> SimBalancer:
        return self.balancer
