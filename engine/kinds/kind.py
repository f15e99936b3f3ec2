"""What a kind of order answers. Pure: it reads what was asked and the facts, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from engine.domain.fleet import Facts, ObjectRef, Package
from engine.domain.message import Message, message
from engine.domain.orders import AppAsked, OrderSpec, Plan
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress
from engine.plan.back import WayBack
from engine.plan.what_if_words import named


@dataclass(frozen=True, slots=True)
class Checks:
    """What is looked at in the world before the first step: `hosts` are logged in to, `objects` are asked for in OSS; of the disk
    `disk_bytes` must be free beyond what every order needs."""

    hosts: tuple[str, ...]
    objects: tuple[ObjectRef, ...] = ()
    disk_bytes: int = 0


def checks_of(hosts: Sequence[str], facts: Facts, packages: Sequence[Package] = ()) -> Checks:
    """The hosts; of each app the stack's archive and SDK; and these packages, for which the disks must have room."""
    stacks = [ref for app in facts.apps for ref in (app.stack.archive, app.stack.sdk) if ref is not None]
    objects = dict.fromkeys([*stacks, *(package.object for package in packages)])
    return Checks(tuple(hosts), tuple(objects), sum(max(0, package.object.size) for package in packages))


def left_behind(facts: Facts, plan: Plan) -> Iterator[Message]:
    """What is said of hosts that an earlier order has left at 0, and to which this plan gives back what they had before it."""
    due = {line.mount.host for line in facts.weights if facts.before_orders(line).weight > line.weight}
    hosts = [run.host for run in plan.run_of.values() if run.host in due and run.restores_traffic and run.restore_to]
    if hosts:
        yield message("left at 0 by an earlier order, get back what they had before it: {hosts}", hosts=named(hosts))


def left_alone(spec: OrderSpec, facts: Facts) -> Iterator[Message]:
    """What is said of the excluded hosts: what they keep running."""
    excluded = set(spec.grouping.excluded)
    kept = [f"{host.name} ({host.version or '-'})" for app in facts.apps for host in app.hosts if host.name in excluded]
    if kept:
        yield message("excluded, keep what they run: {hosts}", hosts=named(kept))


@dataclass(frozen=True, slots=True)
class Succeeded:
    """To be recorded when the order has succeeded: this version runs here now."""

    service_instance_id: int
    version: str


@dataclass(frozen=True, slots=True)
class Kind:
    """`apps` names the apps an order is about; `hosts` those it acts on; `forbids` everything that speaks against it, asked for the
    preview, at the creation, at the check and before the start; `checks` what is looked at first; `plan` what is done; `way_back`
    undoes it from the middle (None: nothing could be undone); `records` what its success means for the apps; `notes` what an
    operator should know before the start. `chooses_version`: the version it names is what was asked for, so it is part of
    its name."""

    name: str
    word: Message
    apps: Callable[[OrderSpec], Sequence[AppAsked]]
    hosts: Callable[[OrderSpec, Facts], Sequence[str]]
    forbids: Callable[[OrderSpec, Facts], Sequence[Problem]]
    checks: Callable[[OrderSpec, Facts], Checks]
    plan: Callable[[OrderSpec, Facts], Plan]
    way_back: WayBack | None
    records: Callable[[OrderProgress], Sequence[Succeeded]]
    notes: Callable[[OrderSpec, Facts, Plan], Sequence[Message]]
    chooses_version: bool = False
