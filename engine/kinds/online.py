"""Bringing offline hosts online: they get the app's current version, and the weight they had before they went offline.

The way back takes them offline again.
"""

from __future__ import annotations

from engine.domain.fleet import Facts, Host, InstanceFacts, MountWeight
from engine.domain.message import message
from engine.domain.orders import HostIs, HostPlan
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress
from engine.domain.states import HostState
from engine.kinds import chosen_hosts, offline, release
from engine.plan.back import Back, SucceededVersions, WayBack, plan_rollback
from engine.plan.problems import no_version_to_choose

NAME = "online"
FULL_WEIGHT = 100
NEEDS = Problem(
    "host_not_offline",
    message("Only offline hosts can be brought online; these are not: {hosts}."),
    message("Leave them out; a host that failed to come up is retried in its own order, or gets a release."),
)


def takes(host: chosen_hosts.Stands) -> bool:
    return host.state is HostState.OFFLINE


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


def undo(progress: OrderProgress, version: str | None, succeeded: SucceededVersions) -> Back:
    return Back(plan_rollback(progress), no_version_to_choose(version) if version else None, ("",))


KIND = chosen_hosts.kind(
    NAME,
    message("bring online"),
    takes,
    _host_plan,
    scripts=("deploy", "offline"),
    needs=NEEDS,
    brings_package=True,
    way_back=WayBack(undo),
)
