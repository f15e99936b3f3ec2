"""Simulated hosts behind the `Remote` port: a job goes on whoever follows it, is told from its record afterwards, and refuses an
older epoch, as `engine/remote` has it. What a host really runs is here; what should be true of it the checkers say.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from engine.domain import step_names
from engine.domain.fleet import Host
from engine.domain.message import message
from engine.domain.problem import Problem
from engine.ports import (
    Job,
    JobEnded,
    JobEvent,
    LogBytes,
    Look,
    Recall,
    RemoteError,
    RemoteResult,
    RemoteStep,
    Since,
    StepEnded,
    StepStarted,
    StopOutcome,
)
from tests.simulation.loop import ASKER, PROCESS, running_loop
from tests.simulation.trace import Trace

T = TypeVar("T")
CONNECT_S = 5.0
DEADLINE_GRACE_S = 15.0
KILL_S = 2.0
TRANSIENT = ("link_lost", "host_unreachable")


def problem(code: str, host: str) -> Problem:
    return Problem(code, message("simulated {code} of {host}", code=code, host=host), message("Wait, then retry."))


STARTS = (step_names.DEPLOY, "restart")  # end the service and start it again


@dataclass
class HostFaults:
    """Chances: of a request or an answer that is lost, of a link that drops at an event, of a step that fails, hangs or is slow."""

    request: float = 0.0
    answer: float = 0.0
    drop: float = 0.0
    fails: float = 0.0
    hangs: float = 0.0
    slow: float = 0.0
    latency_s: float = 0.01
    step_s: float = 0.6


class HostWitness(Protocol):
    """Who is told what happens on hosts, at the moment it happens."""

    def job_accepted(self, host: SimHost, job: Job, what: str) -> None: ...

    def step_started(self, host: SimHost, job: SimJob, step: str) -> None: ...

    def step_ended(self, host: SimHost, job: SimJob, step: str, status: int) -> None: ...

    def health_asked(self, host: SimHost, passes: bool | None) -> None: ...

    def recalled(self, host: SimHost, job: Job) -> None: ...


@dataclass(eq=False)
class SimJob:
    job: Job
    log: list[JobEvent] = field(default_factory=list)
    size: int = 0
    stopping: bool = False
    vanished: bool = False  # the host went down under it: no last word will come
    task: asyncio.Task[None] | None = None
    running: str | None = None
    begun_at: float = 0.0
    ended_at: float | None = None
    forgotten: bool = False  # its folder is gone
    waiting: list[asyncio.Future[None]] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return bool(self.log) and isinstance(self.log[-1], JobEnded)

    def write(self, make: Callable[[int], JobEvent], size: int) -> None:
        self.size += size
        self.log.append(make(self.size))
        self.wake()

    def wake(self) -> None:
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


@dataclass(eq=False)
class SimHost:
    name: str
    version: str
    up: bool = True
    passed: str | None = None  # the version whose health check passed since it was deployed
    away_until: float = 0.0
    dead_since: float | None = None  # its service died by itself; a deploy brings it back
    deaths: list[tuple[float, float]] = field(default_factory=list)  # earlier ones, with when it was back
    restarts: list[float] = field(default_factory=list)  # of the machine
    starts: list[float] = field(default_factory=lambda: [0.0])  # of the service
    epochs: dict[int, int] = field(default_factory=dict)  # order → newest seen
    jobs: dict[tuple[int, str], SimJob] = field(default_factory=dict)

    def die(self) -> None:
        if self.up:
            self.up, self.dead_since = False, running_loop().time()

    def revive(self) -> None:
        if self.dead_since is not None:
            self.deaths.append((self.dead_since, running_loop().time()))
            self.up, self.dead_since = True, None
            self.starts.append(running_loop().time())

    def was_dead_since(self, at: float) -> bool:
        """Whether it has been dead all the time from then to now."""
        return self.dead_since is not None and self.dead_since <= at

    def answered_since(self, at: float) -> bool:
        """Whether it has been alive all the time from then to now."""
        return self.dead_since is None and all(until <= at for _, until in self.deaths)

    @property
    def reachable(self) -> bool:
        return running_loop().time() >= self.away_until


class SimRemote:
    """`engine.ports.Remote` for every engine of a run."""

    def __init__(
        self,
        hosts: dict[str, SimHost],
        faults: HostFaults,
        chance: random.Random,
        trace: Trace,
        witness: HostWitness,
        healthy: Callable[[SimHost], bool],
        downloadable: Callable[[], bool],
        epoch_s: float,
    ) -> None:
        self.hosts, self.faults, self.chance, self.trace, self.witness = hosts, faults, chance, trace, witness
        self.healthy, self.downloadable, self.epoch_s = healthy, downloadable, epoch_s

    # ------------------------------------------------------------------------------------------------------------- the port

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
        there = self.hosts[host.name]
        asks_health = "HEALTH CHECK NOT PASSED" in script
        if asks_health:
            self.witness.health_asked(there, None)
        await self._connect(there)
        if "drain time over" in script:
            await asyncio.sleep(self.chance.random() * 1.0)
        if not there.reachable or self._hits(self.faults.answer):
            return RemoteResult(None, b"")
        if asks_health:
            return RemoteResult(int(not self._ask_health(there)), b"asked outside of a job\n")
        return RemoteResult(0, self._check())

    def _ask_health(self, host: SimHost) -> bool:
        passes = host.up and self.healthy(host)
        host.passed = host.version if passes else None
        self.trace.add(f"{host.name} is asked for its health: {'passes' if passes else 'does not pass'}")
        self.witness.health_asked(host, passes)
        return passes

    async def follow(self, job: Job, offset: int = 0) -> AsyncIterator[JobEvent]:
        host = self.hosts[job.host.name]
        until = running_loop().time() + sum(s.deadline_s for s in job.steps) + DEADLINE_GRACE_S * (len(job.steps) + 1)
        attach = _Attach(self, host, job, offset)
        failures = 0
        while True:
            before = attach.offset
            try:
                async for event in attach.events():
                    yield event
                    if isinstance(event, JobEnded):
                        return
            except RemoteError as error:
                failures = 0 if attach.offset > before else failures + 1
                wait_s = min(0.5 * 2**failures, 5.0)
                if error.problem.code not in TRANSIENT or not attach.asked:
                    raise
                if running_loop().time() + wait_s >= until:
                    raise RemoteError(problem("link_lost", host.name)) from error
                await asyncio.sleep(wait_s)

    async def stop(self, job: Job) -> StopOutcome:
        host = self.hosts[job.host.name]
        await self._connect(host)
        return await self.ask(host, lambda: self._stop(host, job))

    async def recall(self, job: Job) -> Recall:
        host = self.hosts[job.host.name]
        await self._connect(host)
        return await self.ask(host, lambda: self._recall(host, job))

    def _recall(self, host: SimHost, job: Job) -> Recall:
        there = host.jobs.get((job.order_id, job.key))
        self.trace.add(f"{host.name} is asked what it knows of {job.order_id}/{job.key}")
        self.witness.recalled(host, job)
        if there is None or there.forgotten:
            return Recall(found=False)
        done = frozenset(e.step for e in there.log if isinstance(e, StepEnded) and not e.exit_status)
        looks = {s.name: self._look(host, there, s.name) for s in job.steps}
        return Recall(True, done, _since(host, there), looks, same_setup=there.job.setup == job.setup)

    def _look(self, host: SimHost, there: SimJob, step: str) -> Look:
        if step == step_names.CHECK_HEALTH:
            return Look(self._ask_health(host), "")
        if step == "offline":
            return Look(not host.up, "")
        if step in STARTS:
            return Look(host.up and there.ended_at is not None and host.starts[-1] <= there.ended_at, "")
        return Look(not there.forgotten, "")

    def log_in_anew(self, hosts: Sequence[Host]) -> None:
        """Every call here is a login of its own."""

    async def close(self) -> None:
        """Nothing is held."""

    # ------------------------------------------------------------------------------------------------------------ the wire

    async def _connect(self, host: SimHost) -> None:
        await asyncio.sleep(self._latency())
        if not host.reachable or self._hits(self.faults.request):
            await asyncio.sleep(self.chance.random() * CONNECT_S)
            raise RemoteError(problem("host_unreachable", host.name))

    async def ask(self, host: SimHost, work: Callable[[], T | asyncio.Future[T]]) -> T:
        """Send what is to be done over an open connection. It may arrive although the asker is gone by then, and its answer may be
        lost although it was done."""
        loop = running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        asker = PROCESS.get()

        async def carry() -> None:
            ASKER.set(asker)
            await asyncio.sleep(self._latency())
            result: T | None = None
            error: RemoteError | None = None
            if host.reachable:
                try:
                    done = work()
                    result = await done if isinstance(done, asyncio.Future) else done
                except RemoteError as refused:
                    error = refused
            await asyncio.sleep(self._latency())
            if not host.reachable or self._hits(self.faults.answer):
                error = RemoteError(problem("link_lost", host.name))
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(result)  # type: ignore[arg-type]

        loop.spawn(carry())
        return await answer

    def _latency(self) -> float:
        return self.chance.random() * self.faults.latency_s

    def _hits(self, chance: float) -> bool:
        return chance > 0 and self.chance.random() < chance

    def _check(self) -> bytes:
        now = self.epoch_s + running_loop().time()
        facts = f"clock={now:.0f}\nos=debian\nos_version=12\nhome=/home/admin\ndisk_free_kib=9000000\n"
        return (facts + "home_writable=yes\nend=yes\n").encode()

    # ------------------------------------------------------------------------------------------------------- on the host

    def accept(self, host: SimHost, job: Job, what: str) -> None:
        """The host's own fence. Raises RemoteError `job_epoch_refused`."""
        if host.epochs.get(job.order_id, 0) > job.epoch:
            self.trace.add(f"{host.name} refuses {what} {job.order_id}/{job.key} of epoch {job.epoch}")
            raise RemoteError(problem("job_epoch_refused", host.name))
        host.epochs[job.order_id] = job.epoch
        self.witness.job_accepted(host, job, what)

    def start(self, host: SimHost, job: Job) -> SimJob:
        there = host.jobs[job.order_id, job.key] = SimJob(job, begun_at=running_loop().time())
        self.trace.add(f"{host.name} starts job {job.order_id}/{job.key} epoch {job.epoch}")
        there.task = running_loop().spawn(self._go(host, there))
        return there

    def _stop(self, host: SimHost, job: Job) -> asyncio.Future[StopOutcome] | StopOutcome:
        self.accept(host, job, "stop of")
        there = host.jobs.get((job.order_id, job.key))
        self.trace.add(f"{host.name} is told to stop {job.order_id}/{job.key}")
        if there is None:
            there = host.jobs[job.order_id, job.key] = SimJob(job)
            there.write(lambda at: JobEnded(True, at), 20)
        if there.task is None:
            return StopOutcome.NEVER_STARTED
        if there.ended:
            return StopOutcome.ALREADY_ENDED
        there.stopping = True
        return running_loop().spawn(self._kill(there))

    async def _kill(self, there: SimJob) -> StopOutcome:
        await asyncio.sleep(self.chance.random() * KILL_S)
        if there.ended:
            return StopOutcome.ALREADY_ENDED
        if there.task is not None:
            there.task.cancel()
        there.running = None
        there.vanished = False
        there.write(lambda at: JobEnded(True, at), 20)
        return StopOutcome.STOPPED

    def reboot(self, host: SimHost, until: float) -> None:
        """Its jobs are gone without a last word; what was deployed is started again."""
        host.away_until = until
        host.restarts.append(running_loop().time())
        host.starts.append(running_loop().time())
        for there in host.jobs.values():
            if not there.ended and there.task is not None:
                there.task.cancel()
                there.vanished, there.running = True, None
        self.drop(host)

    def forget(self, host: SimHost) -> None:
        """Somebody deletes the folders of its jobs; not that of one at work."""
        for there in host.jobs.values():
            there.forgotten = there.forgotten or there.running is None

    def drop(self, host: SimHost) -> None:
        for there in host.jobs.values():
            there.wake()

    async def _go(self, host: SimHost, there: SimJob) -> None:
        for step in there.job.steps:
            if there.stopping:
                break
            there.running = step.name
            self.witness.step_started(host, there, step.name)
            self.trace.add(f"{host.name} begins {step.name} ({there.job.order_id}/{there.job.key})")
            there.write(lambda at, name=step.name: StepStarted(name, 0.0, at), 40)  # type: ignore[misc]
            status, late = await self._do(host, there, step)
            there.running = None
            self.witness.step_ended(host, there, step.name, status)
            self.trace.add(f"{host.name} ends {step.name} with {status} ({there.job.order_id}/{there.job.key})")
            there.write(lambda at, name=step.name, status=status, late=late: StepEnded(name, status, late, 0.0, at), 40)  # type: ignore[misc]
            if status:
                break
        there.ended_at = running_loop().time()
        there.write(lambda at: JobEnded(there.stopping, at), 20)

    async def _do(self, host: SimHost, there: SimJob, step: RemoteStep) -> tuple[int, bool]:
        """(exit status, whether the deadline ended it)."""
        there.write(lambda at: LogBytes(f"{step.name} on {host.name}\n".encode(), at), 30)
        lasts_s = self.chance.random() * self.faults.step_s
        if self._hits(self.faults.slow):
            lasts_s = step.deadline_s * self.chance.uniform(0.3, 0.95)
        if self._hits(self.faults.hangs):
            lasts_s = step.deadline_s * 2
        fails = self._hits(self.faults.fails)
        if step.name in STARTS or (step.name == "offline" and not fails):
            host.up, host.passed = False, None
        late = lasts_s > step.deadline_s
        await asyncio.sleep(min(lasts_s, step.deadline_s) * 0.5)
        if step.name == step_names.DEPLOY and not late:
            host.version = there.job.variables["APP_VERSION"]
        await asyncio.sleep(min(lasts_s, step.deadline_s) * 0.5)
        if late:
            return 137, True
        if step.name in STARTS:
            if host.dead_since is not None:
                host.revive()
            host.up = not fails
            host.starts.append(running_loop().time())
        elif step.name == step_names.CHECK_HEALTH:
            passes = host.up and self.healthy(host) and not fails
            host.passed = host.version if passes else None
            return int(not passes), False
        elif step.name in (step_names.DOWNLOAD_PACKAGE, step_names.DOWNLOAD_SCRIPTS):
            fails = fails or not self.downloadable()
        return int(fails), False


def _since(host: SimHost, there: SimJob) -> Since:
    ended = there.ended_at
    if ended is None:
        return Since.UNKNOWN  # it was cut off
    if any(at > ended for at in host.restarts):
        return Since.RESTARTED
    others = (other for (order, _), other in host.jobs.items() if order != there.job.order_id)
    return Since.ANOTHER if any(other.begun_at > ended for other in others) else Since.SAME


class _Attach:
    """One follower of one job, over as many connections as it takes."""

    def __init__(self, remote: SimRemote, host: SimHost, job: Job, offset: int) -> None:
        self.remote, self.host, self.job, self.offset = remote, host, job, offset
        self.exists = self.asked = offset > 0

    async def events(self) -> AsyncIterator[JobEvent]:
        await self.remote._connect(self.host)
        self.asked = True
        there = await self.remote.ask(self.host, self._attach)
        self.exists = True
        faults, chance = self.remote.faults, self.remote.chance
        at = 0
        while True:
            if not self.host.reachable or (faults.drop > 0 and chance.random() < faults.drop):
                raise RemoteError(problem("link_lost", self.host.name))
            if at < len(there.log):
                event = there.log[at]
                at += 1
                if event.offset > self.offset:
                    await asyncio.sleep(self.remote._latency())
                    self.offset = event.offset
                    yield event
            elif there.vanished:
                raise RemoteError(problem("job_vanished", self.host.name))
            else:
                change: asyncio.Future[None] = running_loop().create_future()
                there.waiting.append(change)
                await change

    def _attach(self) -> SimJob:
        self.remote.accept(self.host, self.job, "attach to")
        there = self.host.jobs.get((self.job.order_id, self.job.key))
        if there is None:
            if self.exists:
                raise RemoteError(problem("job_vanished", self.host.name))
            others = (job for (order, _), job in self.host.jobs.items() if order != self.job.order_id)
            if any(other.task is not None and not other.task.done() for other in others):
                raise RemoteError(problem("host_busy", self.host.name))
            return self.remote.start(self.host, self.job)
        return there
