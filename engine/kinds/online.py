"""Bringing offline hosts online: they get the app's current version, and the weight they had before they went offline.

The way back takes them offline again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from engine.domain.fleet import Facts, Host, InstanceFacts, MountWeight
from engine.domain.message import Message, message
from engine.domain.orders import HostIs, HostPlan, OrderSpec, Plan
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress
from engine.domain.states import HostState
from engine.kinds import chosen_hosts, offline, release
from engine.kinds.kind import Checks, Kind, Succeeded
from engine.plan.back import Back, WayBack, plan_rollback
from engine.plan.problems import no_version_to_choose, package_unknown

NAME = "online"
FULL_WEIGHT = 100
NEEDS = Problem(
    "host_not_offline",
    message("Only offline hosts can be brought online; these are not: {hosts}."),
    message("Leave them out; a host that failed to come up is retried in its own order, or gets a release."),
)


def takes(host: chosen_hosts.Stands) -> bool:
    return host.state is HostState.OFFLINE


def hosts(spec: OrderSpec, facts: Facts) -> Sequence[str]:
    return chosen_hosts.hosts(spec, facts, takes)


def plan(spec: OrderSpec, facts: Facts) -> Plan:
    return chosen_hosts.plan(spec, facts, takes, partial(_host_plan, facts))


def _host_plan(facts: Facts, app: InstanceFacts, host: Host, recorded: tuple[MountWeight, ...]) -> HostPlan:
    given = tuple(MountWeight(line.mount, facts.given.get(line.mount, FULL_WEIGHT)) for line in recorded)
    return HostPlan(
        host=host.name,
        app=app.app,
        steps=release.STEPS,
        undo=offline.STEPS,
        undo_untouched=(),
        before=HostIs(host.version, HostState.OFFLINE),
        after=HostIs(app.current_version, HostState.DEPLOYED),
        during=HostState.DEPLOYING,
        on_failure=HostState.DEPLOY_FAILED,
        recorded=recorded,
        restore_to=given,
    )


def forbids(spec: OrderSpec, facts: Facts) -> Sequence[Problem]:
    found = chosen_hosts.forbids(
        spec, facts, takes, partial(_host_plan, facts), scripts=("deploy", "offline"), needs=NEEDS
    )
    return [*found, *(package_unknown(app.app, app.current_version or "-") for app in _without_package(facts))]


def _without_package(facts: Facts) -> Sequence[InstanceFacts]:
    return [app for app in facts.apps if (app.app, app.current_version) not in facts.packages]


def checks(spec: OrderSpec, facts: Facts) -> Checks:
    stacks = [ref for app in facts.apps for ref in (app.stack.archive, app.stack.sdk) if ref is not None]
    packages = [package.object for package in facts.packages.values()]
    return Checks(
        tuple(hosts(spec, facts)), tuple(dict.fromkeys([*stacks, *packages])), sum(max(0, ref.size) for ref in packages)
    )


def undo(progress: OrderProgress, version: str | None, succeeded: tuple[str, ...]) -> Back:
    return Back(plan_rollback(progress), no_version_to_choose(version) if version else None, ("",))


def records(progress: OrderProgress) -> Sequence[Succeeded]:
    return ()


def notes(spec: OrderSpec, facts: Facts, plan: Plan) -> Sequence[Message]:
    return ()


KIND = Kind(
    name=NAME,
    word=message("bring online"),
    apps=chosen_hosts.apps,
    hosts=hosts,
    forbids=forbids,
    checks=checks,
    plan=plan,
    way_back=WayBack(undo),
    records=records,
    notes=notes,
)
