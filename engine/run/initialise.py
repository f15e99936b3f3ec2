"""Initialisation: every host and the package are checked, the weights recorded and the plan made, before the first step.

It finds all problems, host by host, before it says no. It changes nothing on a host or a balancer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.domain.fleet import Fleet, Host, Mount, MountWeight, ObjectRef, Package, ServerGroup
from engine.domain.health import HealthSeen
from engine.domain.message import message
from engine.domain.orders import Plan, ReleaseSpec
from engine.domain.problem import Problem, ProblemError
from engine.domain.states import StackStatus
from engine.plan.release import plan_release
from engine.ports import BalancerError, Balancers, Clock, ObjectFacts, Packages, PackagesError, Remote, RemoteError
from engine.run import health as health_of_hosts
from engine.run.archives import look_into_archives
from engine.steps.host_check import host_check_script, host_problems, parse_host_check
from engine.store.fleets import InstanceFacts

HOSTS_AT_ONCE = 50
CHECK_DEADLINE_S = 30.0
GROUP_S = 3600.0


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
    """What is there now outside the hosts: weights and the package, with a text of the package's facts for the plan's hash."""

    weights: tuple[MountWeight, ...]
    package_facts: str
    problems: tuple[tuple[str, Problem], ...]


async def initialise(
    facts: InstanceFacts,
    spec: ReleaseSpec,
    package: Package | None,
    *,
    others: Sequence[int],
    remote: Remote,
    packages: Packages,
    balancers: Balancers,
    clock: Clock,
    expiring: Expiring = lambda by: (),
) -> Checked:
    """Check everything and plan. `others` are open orders on the same service instance or hosts; what is `expiring` before
    the order can be at its end is a warning."""
    problems = [("", problem) for problem in _order_problems(facts, spec, package, others)]
    recorded = await record(facts, package, packages=packages, balancers=balancers)
    problems += recorded.problems
    size = max(0, package.object.size) if package else 0
    of_hosts, (of_archives, warnings), health = await asyncio.gather(
        _check_hosts(facts, remote, size, clock),
        look_into_archives(facts.stack, packages),
        health_of_hosts.look(facts, recorded.weights, balancers, remote),
    )
    problems += of_hosts
    told = [problem for _, problem in problems]
    problems += [("", problem) for problem in of_archives if problem not in told]
    if problems:
        return Checked(None, tuple(problems))
    plan = plan_release(spec, fleet_of(facts, recorded.weights, clock.now(), health), recorded.package_facts)
    warnings += health_of_hosts.warnings(recorded.weights, health)
    if plan.breaks_floor and not spec.override_reason:
        return Checked(None, tuple(("", problem) for problem in (floor_broken(plan), *warnings)))
    warnings += expiring(clock.now() + _longest_s(plan))
    return Checked(plan, tuple(("", problem) for problem in warnings), health)


def _longest_s(plan: Plan) -> float:
    """How long the order may take: its groups with their steps' deadlines, and a person at each gate."""
    return GROUP_S * max(1, sum(1 for node in plan.nodes if node.kind.runs_hosts))


async def record(
    facts: InstanceFacts, package: Package | None, *, packages: Packages, balancers: Balancers
) -> Recorded:
    """The weights of all mounts as the balancers show them, and the package as OSS has it."""
    (weights, weight_problems), (package_facts, package_problems) = await asyncio.gather(
        _weights(facts, balancers), _package(facts, package, packages)
    )
    return Recorded(weights, package_facts, tuple(weight_problems + package_problems))


def fleet_of(
    facts: InstanceFacts, weights: tuple[MountWeight, ...], now: float, health: Mapping[Mount, HealthSeen]
) -> Fleet:
    known = {mount: seen.health for mount, seen in health.items()}
    return Fleet(
        app=facts.app,
        current_version=facts.current_version,
        succeeded_versions=facts.succeeded_versions,
        hosts=facts.hosts,
        weights=weights,
        default_floor_percent=facts.floor_percent,
        recorded_at=now,
        health={mount: health for mount, health in known.items() if health is not None},
    )


def _order_problems(
    facts: InstanceFacts, spec: ReleaseSpec, package: Package | None, others: Sequence[int]
) -> list[Problem]:
    found = []
    if not facts.hosts:
        found.append(
            Problem(
                "no_hosts",
                message("{app} has no host in this workspace.", app=facts.app),
                message("Add hosts to its service instance in the catalogue, then initialise again."),
            )
        )
    if package is None:
        found.append(
            Problem(
                "package_unknown",
                message("{app} {version} has no release package.", app=facts.app, version=spec.version),
                message("Upload it to OSS, add it to the catalogue, then initialise again."),
            )
        )
    if facts.stack_status is not StackStatus.PUBLISHED:
        found.append(
            Problem(
                "stack_not_published",
                message("Tech stack {stack} {version} is {status}.",
                        stack=facts.stack.name, version=facts.stack.version, status=str(facts.stack_status)),
                message("Give the app a published tech stack, then initialise again."),
            )
        )  # fmt: skip
    if not facts.stack.scripts.get("deploy"):
        found.append(
            Problem(
                "stack_without_deploy",
                message("Tech stack {stack} {version} has no deploy script.",
                        stack=facts.stack.name, version=facts.stack.version),
                message("Publish a version of the stack that has one and give it to the app, then initialise again."),
            )
        )  # fmt: skip
    for order_id in others:
        found.append(
            Problem(
                "open_order",
                message("Order #{id} is still open on {app} or one of its hosts.", id=order_id, app=facts.app),
                message("Bring it to its end or cancel it, then initialise again."),
            )
        )
    return found


def floor_broken(plan: Plan) -> Problem:
    return Problem(
        "floor_broken",
        message("This plan leaves {lowest} of {in_service} hosts in service, below the floor of {floor}.",
                lowest=plan.lowest_in_service, in_service=plan.in_service, floor=plan.floor),
        message("Make smaller groups, or create the release with a reason for breaking the floor."),
    )  # fmt: skip


async def _weights(
    facts: InstanceFacts, balancers: Balancers
) -> tuple[tuple[MountWeight, ...], list[tuple[str, Problem]]]:
    groups = list(dict.fromkeys(mount.server_group for mount in facts.mounts))
    read = await asyncio.gather(*(_read_group(group, balancers) for group in groups))
    weights: list[MountWeight] = []
    problems: list[tuple[str, Problem]] = []
    for group, (found, problem) in zip(groups, read, strict=True):
        if problem is not None:
            problems.append(("", problem))
            continue
        for mount in facts.mounts:
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


async def _package(
    facts: InstanceFacts, package: Package | None, packages: Packages
) -> tuple[str, list[tuple[str, Problem]]]:
    """Package, stack archive and SDK as OSS has them now."""
    refs = [facts.stack.archive] + ([facts.stack.sdk] if facts.stack.sdk else [])
    refs += [package.object] if package else []
    found = await asyncio.gather(*(_head(ref, packages) for ref in refs))
    text = ",".join(
        f"{ref.key}:{head.size}:{head.etag}:{head.crc64}" for ref, (head, _) in zip(refs, found, strict=True)
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


async def _check_hosts(
    facts: InstanceFacts, remote: Remote, package_size: int, clock: Clock
) -> list[tuple[str, Problem]]:
    slots = asyncio.Semaphore(HOSTS_AT_ONCE)
    remote.log_in_anew(facts.hosts)  # an account may have been repaired since the last check

    async def check(host: Host) -> list[tuple[str, Problem]]:
        async with slots:
            return [(host.name, problem) for problem in await _check_host(facts, host, remote, package_size, clock)]

    found = await asyncio.gather(*(check(host) for host in facts.hosts))
    return [problem for problems in found for problem in problems]


async def _check_host(
    facts: InstanceFacts, host: Host, remote: Remote, package_size: int, clock: Clock
) -> list[Problem]:
    script = host_check_script(host, facts.stack, requires_staragent=facts.requires_staragent)
    try:
        result = await remote.run(host, script, deadline_s=CHECK_DEADLINE_S, for_job=True)
    except RemoteError as error:
        return [error.problem]
    except ProblemError as error:
        return [error.problem]
    if result.exit_status != 0:
        return [
            Problem(
                "host_check_failed",
                message("The check on {host} did not run to its end (exit status {status}).",
                        host=host.name, status="unknown" if result.exit_status is None else result.exit_status),
                message("Log in to the host and look at its shell and disk, then initialise again."),
            )
        ]  # fmt: skip
    return host_problems(
        parse_host_check(result.output),
        host,
        facts.stack,
        region=facts.host_regions.get(host.name, ""),
        package_size=package_size,
        now=clock.now(),  # each host's answer against the moment it arrived
        requires_staragent=facts.requires_staragent,
    )
