"""Initialisation: every host and the package are checked, the weights recorded and the plan made, before the first step.

It finds all problems, host by host, before it says no. It changes nothing on a host or a balancer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from engine.domain.clean import clean_text
from engine.domain.fleet import Facts, Host, InstanceFacts, Mount, MountWeight, ObjectRef, ServerGroup
from engine.domain.health import HealthSeen
from engine.domain.message import message
from engine.domain.orders import OrderSpec, Plan
from engine.domain.problem import Problem, ProblemError
from engine.kinds.kind import Checks
from engine.kinds.registry import kind_of, plan_of
from engine.plan.problems import FLOOR, floor_broken
from engine.ports import BalancerError, Balancers, Clock, ObjectFacts, Packages, PackagesError, Remote, RemoteError
from engine.run import health as health_of_hosts
from engine.run.archives import look_into_archives
from engine.steps.host_check import host_check_script, host_problems, parse_host_check

HOSTS_AT_ONCE = 50
CHECK_DEADLINE_S = 30.0
GROUP_S = 3600.0
# Why no job could be set up on a host → what the check's own look says of it, with figures.
_SAID_BY_THE_CHECK = {"disk_full": "disk_low", "tool_missing": "tool_missing", "folder_unwritable": "home_not_writable"}


@dataclass(frozen=True, slots=True)
class Checked:
    """The plan, or every problem that forbids it as (host or empty, problem). With a plan the problems only warn."""

    plan: Plan | None
    problems: tuple[tuple[str, Problem], ...]
    health: Mapping[Mount, HealthSeen] = field(default_factory=dict)


# Told (at most, epoch seconds) what of ours will have expired by then.
Expiring = Callable[[float], Sequence[Problem]]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is there now outside the hosts: weights and what is in OSS, the latter as a text for the plan's hash."""

    weights: tuple[MountWeight, ...]
    objects: str
    problems: tuple[tuple[str, Problem], ...]


async def initialise(
    spec: OrderSpec,
    facts: Facts,
    *,
    remote: Remote,
    packages: Packages,
    balancers: Balancers,
    clock: Clock,
    expiring: Expiring = lambda by: (),
) -> Checked:
    """Look at everything and plan. `facts` are the store's; what is `expiring` before the order can be at its end is a warning.
    Raises KindUnknown, PlanFault."""
    kind = kind_of(spec.kind)
    checks = kind.checks(spec, facts)
    recorded = await record(facts, checks, packages=packages, balancers=balancers)
    facts = with_recorded(facts, recorded)
    # what stays in service is told once it is known who answers
    problems = [("", each) for each in kind.forbids(spec, facts) if each.code != FLOOR]
    problems += recorded.problems
    stacks = {app.stack.archive: app.stack for app in facts.apps}.values()
    of_hosts, of_archives, health = await asyncio.gather(
        _check_hosts(facts, checks, remote, clock),
        asyncio.gather(*(look_into_archives(stack, packages) for stack in stacks)),
        health_of_hosts.look(facts, recorded.weights, balancers, remote),
    )
    problems += of_hosts
    told = [problem for _, problem in problems]
    problems += [("", problem) for found, _ in of_archives for problem in found if problem not in told]
    if problems:
        return Checked(None, tuple(problems))
    facts = with_health(facts, health)
    plan = plan_of(spec, facts)
    warnings = [problem for _, found in of_archives for problem in found]
    warnings += health_of_hosts.warnings(recorded.weights, health)
    if plan.breaks_floor and not spec.override_reason.strip():
        below = floor_broken(plan.lowest_in_service, plan.in_service, plan.floor)
        return Checked(None, tuple(("", each) for each in (below, *warnings)))
    warnings += expiring(clock.now() + _longest_s(plan))
    return Checked(plan, tuple(("", problem) for problem in warnings), health)


def with_recorded(facts: Facts, recorded: Recorded) -> Facts:
    return replace(facts, weights=recorded.weights, objects=recorded.objects)


def _longest_s(plan: Plan) -> float:
    """How long the order may take: its groups with their steps' deadlines, and a person at each gate."""
    return GROUP_S * max(1, sum(1 for node in plan.nodes if node.kind.runs_hosts))


async def record(facts: Facts, checks: Checks, *, packages: Packages, balancers: Balancers) -> Recorded:
    """The weights of all mounts as the balancers show them, and the objects as OSS has them."""
    (weights, weight_problems), (objects, object_problems) = await asyncio.gather(
        _weights(facts, balancers), _objects(checks, packages)
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
    problem: Problem | None = None
    for _ in range(3):
        try:
            return dict(await balancers.read_weights(group)), None
        except BalancerError as error:
            problem = error.problem
    return {}, problem


def _mount_missing(host: str, group: ServerGroup) -> Problem:
    return Problem(
        "mount_missing",
        message("The catalogue mounts {host} in {group}, but the balancer does not have it there.",
                host=host, group=str(group)),
        message("Add the server to the group or correct the catalogue, then initialise again."),
    )  # fmt: skip


async def _objects(checks: Checks, packages: Packages) -> tuple[str, list[tuple[str, Problem]]]:
    """Packages, stack archives and SDKs as OSS has them now."""
    found = await asyncio.gather(*(_head(ref, packages) for ref in checks.objects))
    text = ",".join(
        f"{ref.key}:{head.size}:{head.etag}:{head.crc64}" for ref, (head, _) in zip(checks.objects, found, strict=True)
    )
    return text, [("", problem) for _, problems in found for problem in problems]


async def _head(ref: ObjectRef, packages: Packages) -> tuple[ObjectFacts, list[Problem]]:
    try:
        head = await packages.head(ref)
    except PackagesError as error:
        return ObjectFacts(-1, "", "", ""), [error.problem]
    problems = []
    for name, recorded, now in (
        ("size", ref.size if ref.size >= 0 else "", head.size),
        ("ETag", ref.etag.strip('"').upper(), head.etag.upper()),
        ("CRC-64", ref.crc64, head.crc64),
    ):
        if recorded != "" and now != "" and str(recorded) != str(now):
            problems.append(
                Problem(
                    "package_changed",
                    message("{key} in bucket {bucket} has {name} {now}, the catalogue says {recorded}.",
                            key=ref.key, bucket=ref.bucket, name=name, now=str(now), recorded=str(recorded)),
                    message("Upload the right object, or correct the catalogue, then initialise again."),
                )
            )  # fmt: skip
    if not ref.sha256 and not head.md5:
        problems.append(
            Problem(
                "package_unverifiable",
                message(
                    "{key} in bucket {bucket} has no checksum that a host can verify.", key=ref.key, bucket=ref.bucket
                ),
                message("Give its sha256 in the catalogue (a multipart upload's ETag is no MD5)."),
            )
        )
    return head, problems


async def _check_hosts(facts: Facts, checks: Checks, remote: Remote, clock: Clock) -> list[tuple[str, Problem]]:
    slots = asyncio.Semaphore(HOSTS_AT_ONCE)
    named = set(checks.hosts)
    wanted = {host.name: (app, host) for app in facts.apps for host in app.hosts if host.name in named}
    # an account may have been repaired since the last check
    remote.log_in_anew([host for _, host in wanted.values()])

    async def check(app: InstanceFacts, host: Host) -> list[tuple[str, Problem]]:
        async with slots:
            found = await _check_host(app, host, remote, checks.disk_bytes, clock)
            return [(host.name, problem) for problem in found]

    found = await asyncio.gather(*(check(app, host) for app, host in wanted.values()))
    return [problem for problems in found for problem in problems]


async def _check_host(facts: InstanceFacts, host: Host, remote: Remote, disk_bytes: int, clock: Clock) -> list[Problem]:
    script = host_check_script(host, facts.stack, requires_staragent=facts.requires_staragent)
    refused: Problem | None = None
    try:
        try:
            result = await remote.run(host, script, deadline_s=CHECK_DEADLINE_S, for_job=True)
        except RemoteError as error:
            if error.problem.code not in _SAID_BY_THE_CHECK:
                raise
            refused = error.problem  # what else is wrong there is told as well
            result = await remote.run(host, script, deadline_s=CHECK_DEADLINE_S)
    except ProblemError as error:
        return [error.problem]
    if result.exit_status != 0 and refused is not None:
        return [refused]
    if result.exit_status != 0:
        return [
            Problem(
                "host_check_failed",
                message("The check on {host} did not run to its end (exit status {status}).",
                        host=host.name, status="unknown" if result.exit_status is None else result.exit_status),
                message("Log in to the host and look at its shell and disk, then initialise again."),
                clean_text(result.output[-2000:]).strip(),
            )
        ]  # fmt: skip
    found = host_problems(
        parse_host_check(result.output),
        host,
        facts.stack,
        region=facts.host_regions.get(host.name, ""),
        package_size=disk_bytes,
        now=clock.now(),  # each host's answer against the moment it arrived
        requires_staragent=facts.requires_staragent,
    )
    said = refused is None or _SAID_BY_THE_CHECK[refused.code] in [problem.code for problem in found]
    return found if said or refused is None else [refused, *found]
