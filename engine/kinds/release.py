"""A release: the hosts of one or more apps get another version, and their traffic back once they are healthy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Unpack

from engine.domain import step_names as names
from engine.domain.fleet import Facts, Host, InstanceFacts, MountWeight
from engine.domain.message import Message, message
from engine.domain.orders import AppAsked, HostIs, HostPlan, OrderSpec, Plan
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress
from engine.domain.states import HostState, NodeKind, TrafficMode
from engine.kinds import by_hand, forbidden
from engine.kinds.asked import Options, order_spec, pack, unpack
from engine.kinds.kind import Checks, Kind, Succeeded, checks_of, left_alone, left_behind
from engine.plan.back import Back, SucceededVersions, WayBack, never_succeeded, other_versions, plan_rollback
from engine.plan.groups import Chain, grouped_plan
from engine.plan.problems import no_version_for_several_apps, package_unknown, rollback_never_succeeded
from engine.plan.what_if_words import named
from engine.plan.which_hosts import may_be_touched
from engine.steps.registry import steps

NAME = "release"
STEPS = steps(
    names.CUT_TRAFFIC,
    names.CHECK_AGENT,
    names.DOWNLOAD_SCRIPTS,
    names.INSTALL_SOFTWARE,
    names.CONFIGURE_ENVIRONMENT,
    names.DOWNLOAD_PACKAGE,
    names.DEPLOY,
    names.CHECK_HEALTH,
    names.RESTORE_TRAFFIC,
)
RESTORE = steps(names.CHECK_HEALTH, names.RESTORE_TRAFFIC)


@dataclass(frozen=True, slots=True)
class Release:
    """`preset_weights` maps a host to its weight of 1–100 (mode preset only)."""

    apps: tuple[AppAsked, ...]
    traffic: TrafficMode = TrafficMode.SNAPSHOT
    preset_weights: Mapping[str, int] = field(default_factory=dict)


def release_spec(
    app: str,
    version: str,
    *,
    kind: str = NAME,
    needs: tuple[str, ...] = (),
    also: tuple[AppAsked, ...] = (),
    traffic: TrafficMode = TrafficMode.SNAPSHOT,
    preset_weights: Mapping[str, int] | None = None,
    **options: Unpack[Options],
) -> OrderSpec:
    """A release of an app, or with `kind` its rollback; with `also` of these apps as well. `needs` are those of `also` that must be
    done before this one."""
    release = Release((AppAsked(app, version, needs), *also), traffic, dict(preset_weights or {}))
    return order_spec(pack(kind, release), **options)


def asked(spec: OrderSpec) -> Release:
    return unpack(spec.what, Release)


def apps(spec: OrderSpec) -> Sequence[AppAsked]:
    return asked(spec).apps


def takes(host: Host) -> bool:
    """An offline host stays as it is until it is brought online."""
    return host.state is not HostState.OFFLINE


def hosts_of(spec: OrderSpec, app: InstanceFacts) -> tuple[Host, ...]:
    return tuple(host for host in app.hosts if takes(host) and host.name not in spec.grouping.excluded)


def hosts(spec: OrderSpec, facts: Facts) -> Sequence[str]:
    return tuple(dict.fromkeys(host.name for app in facts.apps for host in hosts_of(spec, app)))


def plan(spec: OrderSpec, facts: Facts) -> Plan:
    release, here = asked(spec), {app.app for app in facts.apps}
    chains = [_chain(spec, facts, facts.app(app.app), app) for app in release.apps if app.app in here]
    return grouped_plan(chains, spec, facts)


def _chain(spec: OrderSpec, facts: Facts, app: InstanceFacts, wanted: AppAsked) -> Chain:
    weights: dict[str, list[MountWeight]] = {}
    for line in facts.weights:
        weights.setdefault(line.mount.host, []).append(facts.before_orders(line))
    release = asked(spec)
    taken = hosts_of(spec, app)
    plans = {host.name: _host_plan(release, app, host, wanted, tuple(weights.get(host.name, ()))) for host in taken}
    return Chain(app.app, taken, plans, wanted.needs, by_hand=release.traffic is TrafficMode.GRAY)


def _host_plan(
    release: Release, app: InstanceFacts, host: Host, wanted: AppAsked, recorded: tuple[MountWeight, ...]
) -> HostPlan:
    bare = HostState.DEPLOY_FAILED if host.state is HostState.DEPLOY_FAILED else HostState.READY
    before = HostIs(host.version, HostState.DEPLOYED if host.version else bare)
    return HostPlan(
        host=host.name,
        app=app.app,
        steps=STEPS,
        undo=STEPS,
        undo_untouched=RESTORE,
        before=before,
        after=HostIs(wanted.version, HostState.DEPLOYED),
        during=HostState.DEPLOYING,
        on_failure=HostState.DEPLOY_FAILED,
        recorded=recorded,
        restore_to=_restore_to(release, host.name, recorded),
    )


def _restore_to(release: Release, host: str, recorded: tuple[MountWeight, ...]) -> tuple[MountWeight, ...]:
    if release.traffic is TrafficMode.GRAY:
        return ()
    if release.traffic is TrafficMode.PRESET:
        return tuple(MountWeight(line.mount, release.preset_weights.get(host, line.weight)) for line in recorded)
    return recorded


# ---------------------------------------------------------------------------------------------------- what forbids it


def forbids(spec: OrderSpec, facts: Facts) -> Sequence[Problem]:
    found = [*forbidden.not_here(apps(spec), facts), *forbidden.dependencies(apps(spec))]
    found += forbidden.shared_hosts(facts)
    found += [*_packages(spec, facts), *forbidden.open_orders(facts)]
    for app in facts.apps:
        found += forbidden.stack(app, "deploy")
        found += [] if app.hosts else [forbidden.no_hosts(app.app)]
        found += _all_offline(app)
    could_be = {app.app: [host.name for host in app.hosts if takes(host)] for app in facts.apps}
    found += by_hand.forbids(spec.grouping, could_be)
    if not hosts(spec, facts):
        return found
    wrong = list(forbidden.numbers(spec, by_hand.fewest(spec.grouping, could_be)))
    found += wrong
    found += forbidden.beta(spec, chain.from_iterable(could_be.values()), named([app.app for app in facts.apps]))
    found += _preset(spec, facts)
    # With numbers that can't be planned the plan is not what was asked for, and its capacity says nothing.
    return found if wrong else [*found, *forbidden.floor(spec, plan(spec, facts))]


def _packages(spec: OrderSpec, facts: Facts) -> Iterator[Problem]:
    here = {app.app for app in facts.apps}
    for app in apps(spec):
        if app.app in here and (app.app, app.version) not in facts.packages:
            yield package_unknown(app.app, app.version)


def _all_offline(app: InstanceFacts) -> Iterator[Problem]:
    if app.hosts and not any(map(takes, app.hosts)):
        yield Problem(
            "all_hosts_offline",
            message("All hosts of {app} are offline.", app=app.app),
            message("Bring hosts online first: they get the current version."),
        )


def _preset(spec: OrderSpec, facts: Facts) -> Iterator[Problem]:
    release = asked(spec)
    if release.traffic is not TrafficMode.PRESET:
        return
    taken = set(hosts(spec, facts))
    mounted = dict.fromkeys(mount.host for app in facts.apps for mount in app.mounts if mount.host in taken)
    wrong = [host for host, weight in release.preset_weights.items() if not 1 <= weight <= 100]
    strange = [host for host in release.preset_weights if host not in mounted]
    missing = [host for host in mounted if host not in release.preset_weights]
    if wrong:
        yield Problem(
            "preset_weight_out_of_range",
            message("Preset weights must be from 1 to 100; these are not: {hosts}.", hosts=named(wrong)),
            message("Correct the weights of these hosts."),
        )
    if strange:
        yield Problem(
            "preset_host_unknown",
            message("Preset weights for hosts on no balancer of {app}: {hosts}.",
                    app=named([app.app for app in facts.apps]), hosts=named(strange)),
            message("Leave these hosts out."),
        )  # fmt: skip
    if missing:
        yield Problem(
            "preset_weight_missing",
            message("No preset weight for: {hosts}.", hosts=named(missing)),
            message("Give every mounted host a weight, or restore the recorded ones."),
        )


# ------------------------------------------------------------------------------------ what is checked, undone, recorded


def checks(spec: OrderSpec, facts: Facts) -> Checks:
    packages = [facts.packages[key] for app in apps(spec) if (key := (app.app, app.version)) in facts.packages]
    return checks_of(hosts(spec, facts), facts, packages)


def undo(progress: OrderProgress, version: str | None, succeeded: SucceededVersions) -> Back:
    """To `version`, or each host to the one it ran: only to versions that succeeded here and whose package is still there. Of
    several apps each goes back to what it ran."""
    back = plan_rollback(progress, version)
    may_be = set(may_be_touched(progress))
    # what the touched hosts ran before; one that runs counts as touched: what it has done by then is not known
    never = never_succeeded(plan_rollback(progress), may_be, succeeded)
    others = other_versions(progress, succeeded)
    choices = others if never else ("", *others)
    if version is not None and len(progress.apps) > 1:
        return Back(back, no_version_for_several_apps(version), choices)
    # A version that is named is looked at even when no host is touched yet: one may turn out to be while it is stopped.
    if version is not None:
        app = progress.apps[0].app
        never = None if version in succeeded.get(app, ()) else (app, version)
    if never is None:
        return Back(back, None, choices)
    return Back(back, rollback_never_succeeded(*never, [choice for choice in choices if choice]), choices)


def records(progress: OrderProgress) -> Sequence[Succeeded]:
    return [Succeeded(app.service_instance_id, app.to_version) for app in progress.apps]


def notes(spec: OrderSpec, facts: Facts, plan: Plan) -> Sequence[Message]:
    said = [
        message("{app} already runs {version} here: it is deployed again", app=app.app, version=app.version)
        for app in apps(spec)
        if any(app.version == here.current_version for here in facts.apps if here.app == app.app)
    ]
    offline = [host.name for app in facts.apps for host in app.hosts if not takes(host)]
    if offline:
        said.append(message("offline, left as they are: {hosts}", hosts=named(offline)))
    said += left_alone(spec, facts)
    said += [_way_back_note(app, facts) for app in apps(spec)]
    said += left_behind(facts, plan)
    said += _only_beta(plan)
    return said


def _only_beta(plan: Plan) -> Iterator[Message]:
    """Apps of which Beta takes every host."""
    grouped = {node.runs[0].app for node in plan.nodes if node.kind is NodeKind.GROUP}
    alone = [node.runs[0].app for node in plan.nodes if node.kind is NodeKind.BETA and node.runs[0].app not in grouped]
    if alone and not grouped:
        yield message("Beta takes all hosts: the release ends with it")
    elif alone:
        yield message("Beta takes all hosts of {apps}: for them the release ends with it", apps=named(alone))


def _way_back_note(wanted: AppAsked, facts: Facts) -> Message:
    """To which versions there is a way back as the catalogue has it; the order's check asks OSS as well."""
    app = next((each for each in facts.apps if each.app == wanted.app), None)
    earlier = [
        version
        for version in (app.succeeded_versions if app else ())
        if version != wanted.version and (wanted.app, version) in facts.packages
    ]
    if not earlier:
        return message("{app}: no rollback, no other version that succeeded here still has its package", app=wanted.app)
    return message("{app}: can be rolled back to {versions}", app=wanted.app, versions=named(earlier))


KIND = Kind(
    name=NAME,
    word=message("release"),
    apps=apps,
    hosts=hosts,
    forbids=forbids,
    checks=checks,
    plan=plan,
    way_back=WayBack(undo, afterwards=True),
    records=records,
    notes=notes,
    chooses_version=True,
)
