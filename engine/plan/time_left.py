"""How long the work that is left will take, by how long its steps took before. Pure; people's time is no part of it.

A step is known by its app and its key. Hosts of a group run side by side, as many as the order's parallelism, the nodes one after
another as the plan says. The capacity rule may hold hosts of a group back: that is not foreseen here. What every step takes when it
is slow (one in ten is slower) adds up to more than nine of ten orders take: the later end is on the safe side.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.domain.orders import PlanNode


@dataclass(frozen=True, slots=True)
class StepTime:
    """Of a step of an app, in seconds: half of those recorded took at most `p50_s`, nine of ten at most `p90_s`."""

    p50_s: float
    p90_s: float
    recorded: int


AppStep = tuple[str, str]  # app, key of the step
StepTimes = Mapping[AppStep, StepTime]


@dataclass(frozen=True, slots=True)
class HostWork:
    """What a host has still to do, in order. `running_s`: how long the first of the steps has been running."""

    app: str
    steps: tuple[str, ...]
    running_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """In seconds; both None: nothing is recorded of the steps in `unknown`."""

    p50_s: float | None
    p90_s: float | None
    unknown: tuple[AppStep, ...] = ()


def step_time(took_s: Sequence[float]) -> StepTime:
    """Of at least one that was recorded. Both are times that were recorded, none is made up between two."""
    ordered = sorted(took_s)
    return StepTime(ordered[(len(ordered) - 1) // 2], ordered[-(-9 * len(ordered) // 10) - 1], len(ordered))


def time_left(
    nodes: Sequence[PlanNode], work: Mapping[str, Sequence[HostWork]], times: StepTimes, parallelism: int
) -> TimeLeft:
    """`work`: node → its hosts that have something to do. A node without any takes no time."""
    asked = [(host.app, step) for hosts in work.values() for host in hosts for step in host.steps]
    unknown = tuple(dict.fromkeys(each for each in asked if each not in times))
    if unknown:
        return TimeLeft(None, None, unknown)
    typical = {step: time.p50_s for step, time in times.items()}
    slow = {step: time.p90_s for step, time in times.items()}
    return TimeLeft(_of_nodes(nodes, work, typical, parallelism), _of_nodes(nodes, work, slow, parallelism))


def _of_nodes(
    nodes: Sequence[PlanNode],
    work: Mapping[str, Sequence[HostWork]],
    takes_s: Mapping[AppStep, float],
    parallelism: int,
) -> float:
    """From the first node to the last, each behind all that it needs."""
    by_key = {node.key: node for node in nodes}
    done_s: dict[str, float] = {}
    waiting = list(by_key)
    while waiting:
        key = waiting.pop()
        if key in done_s:
            continue
        missing = [need for need in by_key[key].needs if need in by_key and need not in done_s]
        if missing:
            waiting += [key, *missing]
            continue
        begins_s = max((done_s[need] for need in by_key[key].needs if need in done_s), default=0.0)
        done_s[key] = begins_s + _side_by_side([_of_host(host, takes_s) for host in work.get(key, ())], parallelism)
    return max(done_s.values(), default=0.0)


def _of_host(host: HostWork, takes_s: Mapping[AppStep, float]) -> float:
    each_s = [takes_s[host.app, step] for step in host.steps]
    return max(0.0, each_s[0] - host.running_s) + sum(each_s[1:]) if each_s else 0.0


def _side_by_side(hosts_s: Sequence[float], parallelism: int) -> float:
    """Each begins as soon as one before it is done."""
    free_s = [0.0] * min(max(1, parallelism), len(hosts_s))
    for host_s in hosts_s:
        heapq.heapreplace(free_s, free_s[0] + host_s)
    return max(free_s, default=0.0)
