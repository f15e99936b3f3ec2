"""Everything that forbids a release, named at once: what was asked for against the catalogue and the open orders. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from engine.domain.fleet import Package
from engine.domain.message import message
from engine.domain.orders import Plan, ReleaseSpec
from engine.domain.problem import Problem
from engine.domain.states import OrderKind, StackStatus, Strategy, TrafficMode
from engine.plan.what_if_words import named
from engine.store.fleets import InstanceFacts

__all__ = ["Problem", "named", "no_service_instance", "of_release", "package_unknown"]


def of_release(
    spec: ReleaseSpec, facts: InstanceFacts, package: Package | None, open_orders: Sequence[int], plan: Plan
) -> list[Problem]:
    """`plan` is what would be done as far as it can be planned."""
    found = [] if package else [package_unknown(spec.app, spec.version)]
    found += [_open_order(spec.app, order_id) for order_id in open_orders]
    if facts.stack_status is not StackStatus.PUBLISHED:
        found.append(_stack_not_published(facts))
    if not facts.hosts:
        return [*found, _no_hosts(spec.app)]
    found += _kind_problems(spec, facts)
    numbers = _number_problems(spec, len(facts.hosts))
    found += numbers
    found += _beta_problems(spec, facts)
    found += _preset_problems(spec, facts)
    # With numbers that can't be planned the plan is not what was asked for, and its capacity says nothing.
    if plan.breaks_floor and not spec.override_reason.strip() and not numbers:
        found.append(_floor_broken(plan))
    return found


def _kind_problems(spec: ReleaseSpec, facts: InstanceFacts) -> list[Problem]:
    if spec.kind is OrderKind.RELEASE:
        return []
    if spec.kind is not OrderKind.ROLLBACK:
        return [
            Problem(
                "kind_not_possible",
                message("An order of kind {kind} is not a release.", kind=str(spec.kind)),
                message("Take kind release or rollback."),
            )
        ]
    found = []
    earlier = tuple(version for version in facts.succeeded_versions if version != facts.current_version)
    if not facts.succeeded_versions:
        found.append(_never_succeeded(spec.app))
    elif spec.version not in facts.succeeded_versions:
        found.append(_version_never_succeeded(spec.app, spec.version, earlier or facts.succeeded_versions))
    if not spec.reason.strip():
        found.append(
            Problem(
                "reason_missing", message("A rollback needs a reason."), message("Say why; it is kept in the audit.")
            )
        )
    return found


def _number_problems(spec: ReleaseSpec, hosts: int) -> list[Problem]:
    found = []
    if spec.strategy is Strategy.QUICK and not 1 <= spec.groups <= hosts:
        found.append(
            Problem(
                "groups_out_of_range",
                message("{hosts} hosts can't be split into {groups} groups.", hosts=hosts, groups=spec.groups),
                message("Take a number of groups from 1 to {hosts}.", hosts=hosts),
            )
        )
    if spec.parallelism < 1:
        found.append(
            Problem(
                "parallelism_out_of_range",
                message("{count} hosts at once is not possible.", count=spec.parallelism),
                message("Let at least 1 host run at once."),
            )
        )
    if spec.max_failures < 0 or (spec.floor is not None and spec.floor < 0):
        found.append(
            Problem(
                "number_negative",
                message("The failure budget and the floor can't be negative."),
                message("Take 0 or more."),
            )
        )
    return found


def _beta_problems(spec: ReleaseSpec, facts: InstanceFacts) -> list[Problem]:
    names = {host.name for host in facts.hosts}
    strange = [host for host in spec.beta_hosts if host not in names]
    if not spec.beta or not strange:
        return []
    return [
        Problem(
            "beta_host_unknown",
            message("Not hosts of {app} in this workspace: {hosts}.", app=spec.app, hosts=named(strange)),
            message("Choose Beta hosts among those of its service instance."),
        )
    ]


def _preset_problems(spec: ReleaseSpec, facts: InstanceFacts) -> list[Problem]:
    if spec.traffic is not TrafficMode.PRESET:
        return []
    mounted = dict.fromkeys(mount.host for mount in facts.mounts)
    wrong = [host for host, weight in spec.preset_weights.items() if not 1 <= weight <= 100]
    strange = [host for host in spec.preset_weights if host not in mounted]
    missing = [host for host in mounted if host not in spec.preset_weights]
    found = []
    if wrong:
        found.append(
            Problem(
                "preset_weight_out_of_range",
                message("Preset weights must be from 1 to 100, these are not: {hosts}.", hosts=named(wrong)),
                message("Correct the weights of these hosts."),
            )
        )
    if strange:
        found.append(
            Problem(
                "preset_host_unknown",
                message(
                    "Preset weights for hosts of no balancer of {app}: {hosts}.", app=spec.app, hosts=named(strange)
                ),
                message("Leave these hosts out."),
            )
        )
    if missing:
        found.append(
            Problem(
                "preset_weight_missing",
                message("No preset weight for: {hosts}.", hosts=named(missing)),
                message("Give every mounted host a weight, or restore the recorded ones."),
            )
        )
    return found


def no_service_instance(app: str, workspace: str) -> Problem:
    return Problem(
        "no_service_instance",
        message("{app} has no service instance in workspace {workspace}.", app=app, workspace=workspace),
        message("Add one with its hosts to the catalogue."),
    )


def package_unknown(app: str, version: str) -> Problem:
    return Problem(
        "package_unknown",
        message("{app} {version} has no release package.", app=app, version=version),
        message("Upload it to OSS and add it to the catalogue, or choose another version."),
    )


def _no_hosts(app: str) -> Problem:
    return Problem(
        "no_hosts",
        message("{app} has no host in this workspace.", app=app),
        message("Add hosts to its service instance in the catalogue."),
    )


def _open_order(app: str, order_id: int) -> Problem:
    return Problem(
        "open_order",
        message("Order #{id} is still open on {app} or one of its hosts.", id=order_id, app=app),
        message("Bring order #{id} to its end or cancel it first.", id=order_id),
    )


def _stack_not_published(facts: InstanceFacts) -> Problem:
    return Problem(
        "stack_not_published",
        message(
            "Tech stack {stack} {version} is {status}.",
            stack=facts.stack.name,
            version=facts.stack.version,
            status=str(facts.stack_status),
        ),
        message("Give {app} a published tech stack.", app=facts.app),
    )


def _floor_broken(plan: Plan) -> Problem:
    return Problem(
        "floor_broken",
        message(
            "It leaves {lowest} of {in_service} hosts in service at its lowest point, below the floor of {floor}.",
            lowest=plan.lowest_in_service,
            in_service=plan.in_service,
            floor=plan.floor,
        ),
        message("Make more groups, or give a reason for going below the floor."),
    )


def _never_succeeded(app: str) -> Problem:
    return Problem(
        "rollback_never_succeeded",
        message("{app} has no version that succeeded in this workspace.", app=app),
        message("Release a version that works instead."),
    )


def _version_never_succeeded(app: str, version: str, choices: Sequence[str]) -> Problem:
    return Problem(
        "rollback_never_succeeded",
        message("{app} {version} never succeeded in this workspace.", app=app, version=version),
        message("Choose one of: {versions}.", versions=", ".join(choices)),
    )
