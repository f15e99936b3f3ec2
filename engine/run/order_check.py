"""Initialisation: every host and the package are checked, the weights recorded and the plan made, before the first step.

It finds all problems, host by host, before it says no. It changes nothing on a host or a balancer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from engine.domain.fleet import Facts, Mount, MountWeight, ServerGroup
from engine.domain.health import HealthSeen
from engine.domain.message import message
from engine.domain.orders import OrderSpec, Plan
from engine.domain.problem import Problem
from engine.kinds.kind import Checks
from engine.kinds.registry import kind_of, plan_of
from engine.plan.problems import FLOOR, floor_broken
from engine.ports import BalancerError, Balancers, Clock, Packages, Remote
from engine.run import health as health_of_hosts
from engine.run.archives import look_into_archives
from engine.run.host_checks import PassedHosts, check_hosts
from engine.run.object_checks import check_objects
from engine.run.trial_build import build_problems
from engine.run.way_back_check import way_back_warnings

GROUP_S = 3600.0


@dataclass(frozen=True, slots=True)
class Checked:
    """The plan, or every problem that forbids it as (host or empty, problem). With a plan the problems only warn."""

    plan: Plan | None
    problems: tuple[tuple[str, Problem], ...]
    health: Mapping[Mount, HealthSeen] = field(default_factory=dict)
    weights: tuple[MountWeight, ...] = ()


# Told (at most, epoch seconds) what of ours will have expired by then.
Expiring = Callable[[float], Sequence[Problem]]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is there now outside the hosts: weights and what is in OSS, the latter as a text for the plan's hash."""

    weights: tuple[MountWeight, ...]
    objects: str
    problems: tuple[tuple[str, Problem], ...]


async def check_order(
    spec: OrderSpec,
    facts: Facts,
    *,
    remote: Remote,
    packages: Packages,
    balancers: Balancers,
    clock: Clock,
    expiring: Expiring = lambda by: (),
    passed: PassedHosts | None = None,
) -> Checked:
    """Look at everything at once and plan. `facts` are the store's; what is `expiring` before the order can be at its end is a
    warning; hosts that `passed` a moment ago are not asked again. Raises KindUnknown, PlanFault."""
    kind = kind_of(spec.kind)
    checks = kind.checks(spec, facts)
    stacks = {app.stack.archive: app.stack for app in facts.apps}.values()
    (recorded, health), of_hosts, of_archives = await asyncio.gather(
        _record_with_health(facts, checks, remote=remote, packages=packages, balancers=balancers),
        check_hosts(facts, checks, remote, clock, passed),
        asyncio.gather(*(look_into_archives(stack, packages) for stack in stacks)),
    )
    facts = with_recorded(facts, recorded)
    # what stays in service is told once it is known who answers
    forbidden = [("", each) for each in kind.forbids(spec, facts) if each.code != FLOOR]
    problems = [*forbidden, *recorded.problems, *of_hosts]
    told = [problem for _, problem in problems]
    problems += [("", problem) for found, _ in of_archives for problem in found if problem not in told]
    if forbidden or recorded.problems:
        return Checked(None, tuple(problems))  # of these no plan could be made
    facts = with_health(facts, health)
    plan = plan_of(spec, facts)
    problems += build_problems(plan.run_of.values(), {app.app: app for app in facts.apps}, facts.packages)
    if problems:
        return Checked(None, tuple(problems))
    warnings = [problem for _, found in of_archives for problem in found]
    warnings += health_of_hosts.warnings(recorded.weights, health)
    if plan.breaks_floor and not spec.override_reason.strip():
        below = floor_broken(plan.lowest_in_service, plan.in_service, plan.floor)
        return Checked(None, tuple(("", each) for each in (below, *warnings)))
    warnings += await way_back_warnings(plan, facts.packages, packages)
    warnings += expiring(clock.now() + _longest_s(plan))
    return Checked(plan, tuple(("", problem) for problem in warnings), health, recorded.weights)


async def _record_with_health(
    facts: Facts, checks: Checks, *, remote: Remote, packages: Packages, balancers: Balancers
) -> tuple[Recorded, Mapping[Mount, HealthSeen]]:
    recorded = await record(facts, checks, packages=packages, balancers=balancers)
    return recorded, await health_of_hosts.look(with_recorded(facts, recorded), recorded.weights, balancers, remote)


def with_recorded(facts: Facts, recorded: Recorded) -> Facts:
    return replace(facts, weights=recorded.weights, objects=recorded.objects)


def _longest_s(plan: Plan) -> float:
    """How long the order may take: its groups with their steps' deadlines, and a person at each gate."""
    return GROUP_S * max(1, sum(1 for node in plan.nodes if node.kind.runs_hosts))


async def record(facts: Facts, checks: Checks, *, packages: Packages, balancers: Balancers) -> Recorded:
    """The weights of all mounts as the balancers show them, and the objects as OSS has them."""
    (weights, weight_problems), (objects, object_problems) = await asyncio.gather(
        _weights(facts, balancers), check_objects(checks, packages)
    )
    return Recorded(weights, objects, tuple(weight_problems + object_problems))


def with_health(facts: Facts, health: Mapping[Mount, HealthSeen]) -> Facts:
    known = {mount: seen.health for mount, seen in health.items()}
    return replace(facts, health={mount: says for mount, says in known.items() if says is not None})


async def _weights(facts: Facts, balancers: Balancers) -> tuple[tuple[MountWeight, ...], list[tuple[str, Problem]]]:
    mounts = list(dict.fromkeys(mount for app in facts.apps for mount in app.mounts))
    groups = list(dict.fromkeys(mount.server_group for mount in mounts))
    read = await asyncio.gather(*(_read_group(group, balancers) for group in groups))
    weights: list[MountWeight] = []
    problems: list[tuple[str, Problem]] = []
    for group, (found, problem) in zip(groups, read, strict=True):
        if problem is not None:
            problems.append(("", problem))
            continue
        for mount in mounts:
            if mount.server_group != group:
                continue
            if (mount.server_id, mount.port) in found:
                weights.append(MountWeight(mount, found[mount.server_id, mount.port]))
            else:
                problems.append((mount.host, _mount_missing(mount.host, group)))
    return tuple(weights), problems


async def _read_group(group: ServerGroup, balancers: Balancers) -> tuple[dict[tuple[str, int], int], Problem | None]:
    try:
        return dict(await balancers.read_weights(group)), None
    except BalancerError as error:
        return {}, error.problem


def _mount_missing(host: str, group: ServerGroup) -> Problem:
    return Problem(
        "mount_missing",
        message("The catalogue mounts {host} in {group}, but the balancer does not have it there.",
                host=host, group=str(group)),
        message("Add the server to the group or correct the catalogue, then initialise again."),
    )  # fmt: skip
