"""What a way back needs is looked at before it cuts a host: packages and archives in OSS, and each host's login, agent and disk."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from engine.domain.fleet import Facts, InstanceFacts, ObjectRef, Package
from engine.domain.message import message
from engine.domain.orders import HostPlan, Plan
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress
from engine.kinds.kind import Checks
from engine.plan.what_if_words import named
from engine.ports import Clock, Packages, Remote
from engine.run.archives import look_into_archives
from engine.run.host_checks import check_hosts
from engine.run.object_checks import check_objects
from engine.run.trial_build import build_problems
from engine.steps.registry import ARCHIVE, PACKAGE, needed


async def way_back_blocked(
    progress: OrderProgress,
    plan: Plan,
    apps: Mapping[str, InstanceFacts],
    packages_of: Mapping[tuple[str, str], Package],
    *,
    remote: Remote,
    packages: Packages,
    clock: Clock,
) -> Problem | None:
    """Why the way back can't succeed and what would make it possible; None when nothing speaks against it. A host that takes no
    traffic does not hold the others back: nothing is lost when its own way back fails."""
    runs = list(plan.run_of.values())
    fetching = [run for run in runs if needed(run.steps) & {ARCHIVE, PACKAGE}]
    serving = {line.mount.host for line in progress.weights if line.serves}
    cut = [run for run in fetching if run.host in serving]
    problems = [("", each) for each in _unknown_packages(fetching, packages_of)]
    objects, size = _objects(fetching, apps, packages_of)
    facts = Facts(tuple(apps.values()))
    (_, of_objects), of_hosts, of_archives = await asyncio.gather(
        check_objects(Checks((), objects), packages),
        check_hosts(facts, Checks(tuple(dict.fromkeys(run.host for run in cut)), (), size), remote, clock),
        asyncio.gather(*(look_into_archives(apps[app].stack, packages) for app in {run.app for run in fetching})),
    )
    problems += of_objects + of_hosts
    problems += [
        ("", each) for found, _ in of_archives for each in found if each not in [known for _, known in problems]
    ]
    problems += build_problems(cut, apps, packages_of)
    return _blocked(fetching, problems) if problems else None


async def way_back_warnings(
    plan: Plan, packages_of: Mapping[tuple[str, str], Package], packages: Packages
) -> list[Problem]:
    """Before the start: the versions that the hosts run now and that could not be brought back if the order were undone."""
    undone = [run for run in plan.run_of.values() if run.before.version and PACKAGE in needed(run.undo)]
    wanted = dict.fromkeys((run.app, run.before.version) for run in undone)
    warnings = [_no_way_back(app, version, "-", "") for app, version in wanted if (app, version) not in packages_of]
    known = [key for key in wanted if key in packages_of]
    found = await asyncio.gather(*(check_objects(Checks((), (packages_of[key].object,)), packages) for key in known))
    for key, (_, problems) in zip(known, found, strict=True):
        warnings += [_no_way_back(*key, packages_of[key].object.key, str(problem.what)) for _, problem in problems[:1]]
    return warnings


def _no_way_back(app: str, version: str, key: str, why: str) -> Problem:
    return Problem(
        "no_way_back",
        message("{app} cannot be rolled back to {version} (package {key}) now. {why}",
                app=app, version=version, key=key, why=why),
        message("Put its package back into OSS and the catalogue before the start, or go on knowing that."),
    )  # fmt: skip


def _unknown_packages(runs: list[HostPlan], known: Mapping[tuple[str, str], Package]) -> list[Problem]:
    wanted = dict.fromkeys((run.app, run.after.version) for run in runs if PACKAGE in needed(run.steps))
    return [
        Problem(
            "package_unknown",
            message("{app} {version} has no release package in the catalogue.", app=app, version=version),
            message("Upload it to OSS and add it to the catalogue, then roll back again."),
        )
        for app, version in wanted
        if (app, version) not in known
    ]


def _objects(
    runs: list[HostPlan], apps: Mapping[str, InstanceFacts], known: Mapping[tuple[str, str], Package]
) -> tuple[tuple[ObjectRef, ...], int]:
    """What is fetched, and how much of it is a host's package."""
    found: dict[ObjectRef, None] = {}
    size = 0
    for run in runs:
        package = known.get((run.app, run.after.version))
        stack = apps[run.app].stack
        for ref in (stack.archive, stack.sdk, package.object if package else None):
            if ref is not None:
                found[ref] = None
        size = max(size, package.object.size if package else 0)
    return tuple(found), size


def _blocked(runs: list[HostPlan], problems: list[tuple[str, Problem]]) -> Problem:
    versions = named(list(dict.fromkeys(f"{run.app} {run.after.version}" for run in runs)))
    first = problems[0][1]
    evidence = "\n".join(f"{host + ': ' if host else ''}{problem.what} {problem.remedy}" for host, problem in problems)
    return Problem(
        "way_back_blocked",
        message("The rollback to {versions} can't succeed now, and nothing was cut: {why}",
                versions=versions, why=str(first.what)),
        first.remedy,
        evidence,
    )  # fmt: skip
