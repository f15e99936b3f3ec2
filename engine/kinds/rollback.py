"""A rollback: a release of a version that succeeded here before. It needs a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from engine.domain.fleet import Facts
from engine.domain.message import message
from engine.domain.orders import AppAsked, Grouping, OrderApp, OrderSpec
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress
from engine.domain.states import NodeKind, Strategy
from engine.kinds import release
from engine.kinds.asked import pack
from engine.plan.problems import rollback_never_succeeded

NAME = "rollback"
FEWEST_GROUPS = 2  # never all hosts at once, if there is more than one


def forbids(spec: OrderSpec, facts: Facts) -> Sequence[Problem]:
    return [*release.forbids(spec, facts), *_never_succeeded(spec, facts), *_no_reason(spec)]


def _never_succeeded(spec: OrderSpec, facts: Facts) -> Iterator[Problem]:
    wanted = {app.app: app.version for app in release.apps(spec)}
    for app in facts.apps:
        if wanted[app.app] not in app.succeeded_versions:
            earlier = tuple(version for version in app.succeeded_versions if version != app.current_version)
            yield rollback_never_succeeded(app.app, wanted[app.app], earlier or app.succeeded_versions)


def _no_reason(spec: OrderSpec) -> Iterator[Problem]:
    if not spec.reason.strip():
        yield Problem(
            "reason_missing",
            message("A rollback needs a reason."),
            message("Say why; it is kept in the audit."),
        )


def rollback_of(ended: OrderProgress, version: str, hosts: int, *, reason: str, override_reason: str = "") -> OrderSpec:
    """The rollback of an order that has ended, to `version` or, with none, each app to what it ran before; an app goes back before
    those it needs. Grouped as the order was, but never all hosts of an app at once: `hosts` is the fewest an app has. Hosts
    that were excluded stay so. No Beta and no gray traffic: it is a way back."""
    nodes = ended.plan.nodes if ended.plan else ()
    groups_of = Counter(node.runs[0].app for node in nodes if node.kind is NodeKind.GROUP)
    groups = max(groups_of.values(), default=0)
    strategy = ended.spec.grouping.strategy
    return OrderSpec(
        what=pack(NAME, release.Release(tuple(_back(app, version, ended.apps) for app in ended.apps))),
        grouping=Grouping(
            Strategy.QUICK if strategy is Strategy.ONE_GROUP else strategy,
            max(1, min(hosts, max(FEWEST_GROUPS, groups))),
            excluded=ended.spec.grouping.excluded,
        ),
        parallelism=ended.spec.parallelism,
        floor=ended.spec.floor,
        reason=reason,
        override_reason=override_reason,
    )


def _back(app: OrderApp, version: str, apps: Sequence[OrderApp]) -> AppAsked:
    """It waits for those that needed it."""
    return AppAsked(app.app, version or app.from_version, tuple(other.app for other in apps if app.app in other.needs))


def wider(spec: OrderSpec, hosts: int) -> OrderSpec | None:
    """The same with more and smaller groups, so that more hosts stay in service meanwhile; None when there is nothing smaller."""
    grouping = spec.grouping
    if grouping.strategy is Strategy.ONE_PER_GROUP or (
        grouping.strategy is Strategy.QUICK and grouping.groups >= hosts
    ):
        return None
    if grouping.strategy is not Strategy.QUICK:
        return replace(spec, grouping=replace(grouping, strategy=Strategy.ONE_PER_GROUP))
    return replace(spec, grouping=replace(grouping, count=min(hosts, grouping.groups * 2)))


KIND = replace(release.KIND, name=NAME, word=message("rollback"), forbids=forbids)
