"""What kinds share that act on chosen hosts and bring no other version: whom they mean, what speaks against it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Protocol, Unpack

from engine.domain.fleet import Facts, Host, InstanceFacts, MountWeight
from engine.domain.message import Message, message
from engine.domain.orders import AppAsked, HostIs, HostPlan, OrderSpec, Plan
from engine.domain.problem import Problem
from engine.domain.states import HostState
from engine.kinds import by_hand, forbidden
from engine.kinds.asked import Options, order_spec, pack, unpack
from engine.kinds.kind import Checks, Kind, checks_of, left_alone, left_behind
from engine.plan.back import WayBack
from engine.plan.groups import Chain, grouped_plan
from engine.plan.problems import package_unknown
from engine.plan.what_if_words import named

NOT_DEPLOYED = Problem(
    "host_not_deployed",
    message("Nothing runs there: {hosts}."),
    message("Choose hosts on which the app is deployed; offline ones are brought online first."),
)


class Stands(Protocol):
    """How a host stands: whoever has its state and version can ask whether a kind takes it."""

    @property
    def state(self) -> HostState: ...

    @property
    def version(self) -> str: ...


Takes = Callable[[Stands], bool]
PlanHost = Callable[[Facts, InstanceFacts, Host, tuple[MountWeight, ...]], HostPlan]


@dataclass(frozen=True, slots=True)
class ChosenHosts:
    """`hosts` empty: all of the apps that the kind takes."""

    apps: tuple[str, ...]
    hosts: tuple[str, ...] = ()


def kind(
    name: str,
    word: Message,
    takes: Takes,
    plan_host: PlanHost,
    *,
    needs: Problem,
    scripts: Sequence[str] = (),
    brings_package: bool = False,
    way_back: WayBack | None = None,
    notes: Sequence[Message] = (),
) -> Kind:
    """A kind that does what `plan_host` says on the hosts that it `takes`. `scripts` are those of the stack without which it can't
    be done; `needs` says what a host must be, with {hosts} filled in; `brings_package`: hosts get the app's current version."""

    def its_hosts(spec: OrderSpec, facts: Facts) -> Sequence[str]:
        return hosts(spec, facts, takes)

    def its_plan(spec: OrderSpec, facts: Facts) -> Plan:
        return plan(spec, facts, takes, plan_host)

    def forbidden_by(spec: OrderSpec, facts: Facts) -> Sequence[Problem]:
        found = forbids(spec, facts, takes, plan_host, scripts=scripts, needs=needs)
        return [*found, *_without_package(facts)] if brings_package else found

    def checks(spec: OrderSpec, facts: Facts) -> Checks:
        packages = tuple(facts.packages.values()) if brings_package else ()
        return checks_of(its_hosts(spec, facts), facts, packages)

    return Kind(
        name=name,
        word=word,
        apps=apps,
        hosts=its_hosts,
        forbids=forbidden_by,
        checks=checks,
        plan=its_plan,
        way_back=way_back,
        records=lambda progress: (),
        notes=lambda spec, facts, plan: [*notes, *left_alone(spec, facts), *left_behind(facts, plan)],
    )


def _without_package(facts: Facts) -> Iterator[Problem]:
    for app in facts.apps:
        if (app.app, app.current_version) not in facts.packages:
            yield package_unknown(app.app, app.current_version or "-")


def spec_of(kind: str, apps: Sequence[str], *, hosts: Sequence[str] = (), **options: Unpack[Options]) -> OrderSpec:
    chosen = ChosenHosts(tuple(dict.fromkeys(apps)), tuple(dict.fromkeys(hosts)))
    return order_spec(pack(kind, chosen), **options)


def asked(spec: OrderSpec) -> ChosenHosts:
    return unpack(spec.what, ChosenHosts)


def apps(spec: OrderSpec) -> Sequence[AppAsked]:
    return tuple(AppAsked(app) for app in asked(spec).apps)


def deployed(host: Stands) -> bool:
    return host.version != "" and host.state is not HostState.OFFLINE


def stands(host: Host) -> HostIs:
    """What a deployed host is. One whose deployment broke off stays so: nothing but another deployment makes known what it runs."""
    failed = host.state is HostState.DEPLOY_FAILED
    return HostIs(host.version, HostState.DEPLOY_FAILED if failed else HostState.DEPLOYED)


def hosts_of(spec: OrderSpec, app: InstanceFacts, takes: Takes) -> tuple[Host, ...]:
    """The app's hosts that are meant and can be taken."""
    return tuple(host for host in _could_be(spec, app, takes) if host.name not in spec.grouping.excluded)


def _could_be(spec: OrderSpec, app: InstanceFacts, takes: Takes) -> tuple[Host, ...]:
    """Excluded ones as well."""
    chosen = asked(spec).hosts
    return tuple(host for host in app.hosts if takes(host) and (not chosen or host.name in chosen))


def hosts(spec: OrderSpec, facts: Facts, takes: Takes) -> tuple[str, ...]:
    return tuple(dict.fromkeys(host.name for app in facts.apps for host in hosts_of(spec, app, takes)))


def plan(spec: OrderSpec, facts: Facts, takes: Takes, plan_host: PlanHost) -> Plan:
    """A chain per app; apps without a host of theirs have none."""
    chains = []
    for app in facts.apps:
        chosen = hosts_of(spec, app, takes)
        plans = {host.name: plan_host(facts, app, host, recorded(facts, host)) for host in chosen}
        chains += [Chain(app.app, chosen, plans)] if chosen else []
    return grouped_plan(chains, spec, facts)


def recorded(facts: Facts, host: Host) -> tuple[MountWeight, ...]:
    return tuple(facts.before_orders(line) for line in facts.weights if line.mount.host == host.name)


def forbids(
    spec: OrderSpec, facts: Facts, takes: Takes, plan_host: PlanHost, *, scripts: Sequence[str], needs: Problem
) -> list[Problem]:
    found = [*forbidden.not_here(apps(spec), facts), *forbidden.open_orders(facts)]
    for app in facts.apps:
        found += forbidden.stack(app, *scripts)
    found += _strange_hosts(spec, facts)
    found += _not_taken(spec, facts, takes, needs)
    could_be = {app.app: [host.name for host in _could_be(spec, app, takes)] for app in facts.apps}
    found += by_hand.forbids(spec.grouping, could_be)
    meant = hosts(spec, facts, takes)
    if not meant:
        every = [host.name for app in facts.apps for host in app.hosts]
        bare = [forbidden.no_hosts(app.app) for app in facts.apps if not app.hosts]
        return found or bare or [_filled(needs, asked(spec).hosts or every)]
    wrong = list(forbidden.numbers(spec, len(meant)))
    found += [*wrong, *forbidden.beta(spec, chain.from_iterable(could_be.values()), named(asked(spec).apps))]
    return found if wrong else [*found, *forbidden.floor(spec, plan(spec, facts, takes, plan_host))]


def _strange_hosts(spec: OrderSpec, facts: Facts) -> Iterator[Problem]:
    here = {host.name for app in facts.apps for host in app.hosts}
    strange = [host or "-" for host in asked(spec).hosts if host not in here]
    if strange and facts.apps:
        yield Problem(
            "host_not_of_app",
            message(
                "Not hosts of {app} in this workspace: {hosts}.", app=named(asked(spec).apps), hosts=named(strange)
            ),
            message("Leave them out, or name their app."),
        )


def _not_taken(spec: OrderSpec, facts: Facts, takes: Takes, needs: Problem) -> Iterator[Problem]:
    chosen = set(asked(spec).hosts)
    wrong = [host.name for app in facts.apps for host in app.hosts if host.name in chosen and not takes(host)]
    if wrong:
        yield _filled(needs, wrong)


def _filled(needs: Problem, hosts: Sequence[str]) -> Problem:
    return replace(needs, what=Message(needs.what.text, {"hosts": named(list(hosts))}))
