"""A simulated balancer and OSS behind their ports, with busy, throttled, lost, lying and late answers and changes from outside."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.domain.archive import Member, MemberKind
from engine.domain.fleet import MountWeight, ObjectRef, Region, ServerGroup
from engine.domain.message import message
from engine.domain.problem import Problem
from engine.domain.states import Health
from engine.ports import (
    BalancerBusy,
    BalancerError,
    BalancerRefused,
    BalancerThrottled,
    BalancerUnknown,
    ObjectFacts,
    PackagesError,
)
from tests.simulation.loop import PROCESS, Process, running_loop
from tests.simulation.trace import Trace

NO_ANSWER_S = 15.0
CHANGES_A_MINUTE = 90
SCRIPTS = ("bin/install.sh", "bin/configure.sh", "bin/deploy.sh")
Key = tuple[str, int]


def problem(code: str) -> Problem:
    return Problem(code, message("simulated {code}", code=code), message("Wait, then retry."))


@dataclass
class BalancerFaults:
    """Chances a call. `unread`: a reading that fails; `late`: done some time after the answer; `silent`: no answer at all."""

    busy: float = 0.0
    throttled: float = 0.0
    lost: float = 0.0  # 5xx, not done
    done_but_lost: float = 0.0  # 5xx, done
    silent: float = 0.0
    lie: float = 0.0
    late: float = 0.0
    refused: float = 0.0
    unread: float = 0.0
    latency_s: float = 0.05
    late_s: float = 1.5


class WeightWitness(Protocol):
    def weights_sent(self, process: Process | None, group: ServerGroup, lines: Sequence[MountWeight]) -> None: ...

    def weight_set(self, group: ServerGroup, key: Key, before: int, after: int, *, ours: bool) -> None: ...


class SimBalancer:
    """`engine.ports.Balancers` for every engine of a run. `weights` is the truth."""

    def __init__(
        self, weights: dict[ServerGroup, dict[Key, int]], faults: BalancerFaults, chance: random.Random, trace: Trace,
        witness: WeightWitness,
    ) -> None:  # fmt: skip
        self.weights, self.faults, self.chance, self.trace, self.witness = weights, faults, chance, trace, witness
        self.pending: dict[ServerGroup, int] = dict.fromkeys(weights, 0)  # changes accepted and not yet made
        self.changes: deque[float] = deque()
        self.answers: Callable[[str], bool] = lambda _host: True  # whether a host's service can be reached
        self.checks = True  # whether it has a health check at all
        self.away_until = 0.0  # its API, on the loop's clock
        self.away_answers_after_s = 0.0

    def go_away(self, until: float, answers_after_s: float) -> None:
        """Its API says 503 to everything, at once or after a while; the traffic goes on as it is."""
        self.away_until, self.away_answers_after_s = until, answers_after_s

    async def _be_there(self) -> None:
        if running_loop().time() < self.away_until:
            await asyncio.sleep(self.chance.random() * self.away_answers_after_s)
            raise BalancerUnknown(problem("balancer_unknown"), brief="503 ServiceUnavailable")

    async def read_weights(self, group: ServerGroup) -> Mapping[Key, int]:
        await self._be_there()
        await asyncio.sleep(self.chance.random() * self.faults.latency_s)
        seen = dict(self.weights[group])
        await asyncio.sleep(self.chance.random() * self.faults.latency_s)
        if self._hits(self.faults.unread):
            raise self.chance.choice((BalancerUnknown, BalancerThrottled))(problem("balancer_unknown"))
        return seen

    async def read_health(self, group: ServerGroup) -> Mapping[Key, Health]:
        await self._be_there()
        await asyncio.sleep(self.chance.random() * self.faults.latency_s)
        if self._hits(self.faults.unread):
            raise self.chance.choice((BalancerUnknown, BalancerThrottled))(problem("balancer_unknown"))
        if not self.checks:
            return {}
        return {key: self._health(key[0].removeprefix("i-")) for key in self.weights[group]}

    def _health(self, host: str) -> Health:
        return Health.HEALTHY if self.answers(host) else Health.UNHEALTHY

    async def set_weights(self, group: ServerGroup, weights: Sequence[MountWeight]) -> str:
        assert 1 <= len(weights) <= 20, "more servers than a call can take"
        self.witness.weights_sent(PROCESS.get(), group, weights)
        await self._be_there()
        asked = ", ".join(f"{line.mount.host}={line.weight}" for line in weights)
        self.trace.add(f"asks {group}: {asked}")
        loop = running_loop()
        answer: asyncio.Future[str] = loop.create_future()
        loop.spawn(self._serve(group, tuple(weights), answer))
        return await answer

    async def _serve(self, group: ServerGroup, weights: tuple[MountWeight, ...], answer: asyncio.Future[str]) -> None:
        await asyncio.sleep(self.chance.random() * self.faults.latency_s)
        error = self._refusal(group)
        if error is None:
            error = await self._change(group, weights)
        await asyncio.sleep(self.chance.random() * self.faults.latency_s)
        if answer.done():
            return
        if error is not None:
            self.trace.add(f"{group} answers {error.problem.code}")
            answer.set_exception(error)
        else:
            answer.set_result("R")

    def _refusal(self, group: ServerGroup) -> BalancerError | None:
        now, faults = running_loop().time(), self.faults
        while self.changes and self.changes[0] <= now - 60:
            self.changes.popleft()
        if len(self.changes) >= CHANGES_A_MINUTE or self._hits(faults.throttled):
            return BalancerThrottled(problem("balancer_throttled"))
        self.changes.append(now)
        if self.pending[group] or self._hits(faults.busy):
            return BalancerBusy(problem("balancer_busy"))
        if self._hits(faults.refused):
            return BalancerRefused(problem("balancer_refused"))
        return BalancerUnknown(problem("balancer_unknown")) if self._hits(faults.lost) else None

    async def _change(self, group: ServerGroup, weights: tuple[MountWeight, ...]) -> BalancerError | None:
        faults = self.faults
        if self._hits(faults.lie):
            self.trace.add(f"{group} lies: nothing was changed")
            return None
        if self._hits(faults.late):
            self.pending[group] += 1
            running_loop().spawn(self._make_late(group, weights, self.chance.random() * faults.late_s))
        else:
            self._make(group, weights)
        if self._hits(faults.silent):
            await asyncio.sleep(NO_ANSWER_S)
            return BalancerUnknown(problem("balancer_unknown"))
        return BalancerUnknown(problem("balancer_unknown")) if self._hits(faults.done_but_lost) else None

    async def _make_late(self, group: ServerGroup, weights: tuple[MountWeight, ...], after_s: float) -> None:
        await asyncio.sleep(after_s)
        self.pending[group] -= 1
        self._make(group, weights)

    def _make(self, group: ServerGroup, weights: tuple[MountWeight, ...]) -> None:
        for line in weights:
            self.put(group, (line.mount.server_id, line.mount.port), line.weight, ours=True)

    def put(self, group: ServerGroup, key: Key, weight: int, *, ours: bool) -> None:
        before = self.weights[group].get(key)
        if before is None or before == weight:
            return
        self.weights[group][key] = weight
        self.trace.add(f"{group} {key[0]}:{key[1]} {before} → {weight}" + ("" if ours else " (from outside)"))
        self.witness.weight_set(group, key, before, weight, ours=ours)

    def _hits(self, chance: float) -> bool:
        return chance > 0 and self.chance.random() < chance


@dataclass
class PackageFaults:
    away: float = 0.0  # 503
    download: float = 0.0  # a host's download that ends with an error
    unsigned: float = 0.0  # no credentials to sign an address with


class SimPackages:
    """`engine.ports.Packages`; `missing` are keys whose object was deleted."""

    def __init__(self, faults: PackageFaults, chance: random.Random, signing: random.Random, etag: str) -> None:
        self.faults, self.chance, self.signing, self.etag = faults, chance, signing, etag
        self.missing: set[str] = set()

    async def head(self, object: ObjectRef) -> ObjectFacts:
        await asyncio.sleep(self.chance.random() * 0.05)
        if self.chance.random() < self.faults.away:
            raise PackagesError(problem("oss_unreachable"))
        if object.key in self.missing:
            raise PackagesError(problem("package_missing"))
        return ObjectFacts(10, self.etag, "1", self.etag)

    async def contents(self, object: ObjectRef) -> tuple[Member, ...]:
        return tuple(Member(path, MemberKind.FILE) for path in SCRIPTS)

    def signed_url(self, object: ObjectRef, expires_s: int) -> str:
        if self.signing.random() < self.faults.unsigned:
            raise PackagesError(problem("oss_no_credentials"))
        return f"http://oss.invalid/{object.bucket}/{object.key}?sig=secret"

    def downloadable(self) -> bool:
        return self.chance.random() >= self.faults.download


@dataclass
class SimCloud:
    balancer: SimBalancer
    objects: SimPackages

    def packages(self, regions: Sequence[Region]) -> SimPackages:
        return self.objects

    def balancers(self, regions: Sequence[Region]) -> SimBalancer:
        return self.balancer
