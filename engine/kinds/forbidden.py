"""What forbids an order of more than one kind: one sentence each, asked by the kinds that it concerns. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from engine.domain.asked_apps import circle
from engine.domain.fleet import Facts, InstanceFacts
from engine.domain.message import message
from engine.domain.orders import AppAsked, OrderSpec, Plan
from engine.domain.problem import Problem
from engine.domain.states import StackStatus, Strategy
from engine.plan.problems import floor_broken, open_order
from engine.plan.what_if_words import named


def not_here(apps: Sequence[AppAsked], facts: Facts) -> Iterator[Problem]:
    """Apps that have no place in the workspace."""
    here = {app.app for app in facts.apps}
    for app in apps:
        if app.app not in here:
            yield no_service_instance(app.app)


def no_service_instance(app: str) -> Problem:
    return Problem(
        "no_service_instance",
        message("{app} has no service instance in this workspace.", app=app),
        message("Add one with its hosts to the catalogue."),
    )


def no_app_named() -> Problem:
    return Problem("no_app_named", message("The order names no app."), message("Name an app, or hosts of one."))


def dependencies(apps: Sequence[AppAsked]) -> Iterator[Problem]:
    """An app that is named twice, one that waits for an app the order does not have, apps that wait for each other."""
    names = [app.app for app in apps]
    for app in dict.fromkeys(name for name in names if names.count(name) > 1):
        yield Problem(
            "app_twice",
            message("{app} is named twice in this order.", app=app),
            message("Name it once, with one version."),
        )
    for waiting in apps:
        strange = [need for need in waiting.needs if need not in names]
        if strange:
            yield Problem(
                "need_not_in_order",
                message(
                    "{app} needs {apps}, which this order does not have.", app=waiting.app, apps=", ".join(strange)
                ),
                message("Add it to the order, or drop the dependency of {app}.", app=waiting.app),
            )
    closed = circle({app.app: app.needs for app in apps})
    if closed:
        yield Problem(
            "needs_circle",
            message("These apps wait for each other: {apps}.", apps=" → ".join(closed)),
            message("Remove one of these dependencies: one app must go first."),
        )


def shared_hosts(facts: Facts) -> Iterator[Problem]:
    """A host is changed for one app at a time."""
    apps_of: dict[str, list[str]] = {}
    for app in facts.apps:
        for host in app.hosts:
            apps_of.setdefault(host.name, []).append(app.app)
    for name, apps in apps_of.items():
        if len(apps) > 1:
            yield Problem(
                "host_of_several_apps",
                message("{host} belongs to several apps of the order: {apps}.", host=name, apps=named(apps)),
                message("Release these apps one after the other, in orders of their own."),
            )


def open_orders(facts: Facts) -> Iterator[Problem]:
    for order_id in facts.open_orders:
        yield open_order(order_id, named([app.app for app in facts.apps]))


def stack(app: InstanceFacts, *scripts: str) -> Iterator[Problem]:
    """A stack that must not be used, or that lacks one of the scripts."""
    if app.stack_status is not StackStatus.PUBLISHED:
        yield Problem(
            "stack_not_published",
            message("Tech stack {stack} {version} is {status}.",
                    stack=app.stack.name, version=app.stack.version, status=str(app.stack_status)),
            message("Give {app} a published tech stack.", app=app.app),
        )  # fmt: skip
    for script in scripts:
        if not app.stack.scripts.get(script):
            yield Problem(
                f"stack_without_{script}",
                message("Tech stack {stack} {version} has no {script} script.",
                        stack=app.stack.name, version=app.stack.version, script=script),
                message("Publish a version of the stack that has one and give it to {app}.", app=app.app),
            )  # fmt: skip


def no_hosts(app: str) -> Problem:
    return Problem(
        "no_hosts",
        message("{app} has no host in this workspace.", app=app),
        message("Add hosts to its service instance in the catalogue."),
    )


def numbers(spec: OrderSpec, hosts: int) -> Iterator[Problem]:
    count = spec.grouping.count  # only what was typed can be wrong: the default fits any number of hosts
    if spec.grouping.strategy is Strategy.QUICK and count is not None and not 1 <= count <= max(1, hosts):
        yield Problem(
            "groups_out_of_range",
            message("{hosts} hosts can't be split into {groups} groups.", hosts=hosts, groups=count),
            message("Choose from 1 to {hosts} groups.", hosts=hosts),
        )
    if spec.parallelism < 1:
        yield Problem(
            "parallelism_out_of_range",
            message("{count} hosts at once is not possible.", count=spec.parallelism),
            message("Let at least 1 host run at a time."),
        )
    if spec.max_failures < 0 or (spec.floor is not None and spec.floor < 0):
        yield Problem(
            "number_negative",
            message("The failure budget and the floor can't be negative."),
            message("Use 0 or more."),
        )


def beta(spec: OrderSpec, hosts: Iterable[str], apps: str) -> Iterator[Problem]:
    names = set(hosts)
    strange = [host for host in spec.grouping.beta_hosts if host not in names]
    if spec.grouping.beta and strange:
        yield Problem(
            "beta_host_unknown",
            message("Not hosts of {app} in this workspace: {hosts}.", app=apps, hosts=named(strange)),
            message("Choose Beta hosts from those the order acts on."),
        )


def floor(spec: OrderSpec, plan: Plan) -> Iterator[Problem]:
    if plan.breaks_floor and not spec.override_reason.strip():
        yield floor_broken(plan.lowest_in_service, plan.in_service, plan.floor)
