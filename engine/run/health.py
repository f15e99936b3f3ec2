"""Which hosts answer, before an order begins: the balancers' own checks, and ours where those can't tell. Changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from engine.domain.fleet import Facts, Host, InstanceFacts, Mount, MountWeight, ObjectRef, Package, ServerGroup
from engine.domain.health import HealthSeen, answers
from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError
from engine.domain.states import Health
from engine.plan.what_if_words import named
from engine.ports import BalancerError, Balancers, Remote
from engine.steps.context import StepContext
from engine.steps.health_now import health_now

HOSTS_AT_ONCE = 50


async def look(
    facts: Facts, weights: Sequence[MountWeight], balancers: Balancers, remote: Remote
) -> Mapping[Mount, HealthSeen]:
    """Of every mount. Ours is asked only of hosts that have a weight and of which their balancer can't tell."""
    told = await of_balancers((line.mount for line in weights), balancers)
    unsure = {line.mount.host for line in weights if line.weight > 0 and told[line.mount] is Health.UNKNOWN}
    ours = await _ours([(app, host) for app in facts.apps for host in app.hosts if host.name in unsure], remote)
    return {mount: HealthSeen(said, ours.get(mount.host)) for mount, said in told.items()}


async def of_balancers(mounts: Iterable[Mount], balancers: Balancers) -> Mapping[Mount, Health]:
    """A mount whose balancer checks nothing, or can't be asked, is UNKNOWN."""
    wanted = list(mounts)
    groups = list(dict.fromkeys(mount.server_group for mount in wanted))
    found = dict(zip(groups, await asyncio.gather(*(_of_group(group, balancers) for group in groups)), strict=True))
    return {mount: found[mount.server_group].get((mount.server_id, mount.port), Health.UNKNOWN) for mount in wanted}


def warnings(weights: Sequence[MountWeight], seen: Mapping[Mount, HealthSeen]) -> list[Problem]:
    """What the operator is told of hosts that have a weight and do not count as in service."""
    out: dict[Health | None, dict[str, None]] = {}
    for line in weights:
        health = seen[line.mount].health if line.mount in seen else None
        if line.weight > 0 and not answers(health):
            out.setdefault(health, {})[line.mount.host] = None
    found = []
    if Health.UNHEALTHY in out:
        found.append(
            Problem(
                "hosts_do_not_answer",
                message(
                    "These hosts have a weight but do not answer: {hosts}.", hosts=named(list(out[Health.UNHEALTHY]))
                ),
                message("They count as out of service and go first in their group."),
            )
        )
    if Health.UNKNOWN in out:
        found.append(
            Problem(
                "health_cannot_tell",
                message("Cannot tell whether these hosts answer: {hosts}.", hosts=named(list(out[Health.UNKNOWN]))),
                message("They count as out of service. Turn on the listener's health check, or look at the hosts."),
            )
        )
    return found


async def _of_group(group: ServerGroup, balancers: Balancers) -> Mapping[tuple[str, int], Health]:
    try:
        return await balancers.read_health(group)
    except BalancerError:
        return {}


async def _ours(hosts: Sequence[tuple[InstanceFacts, Host]], remote: Remote) -> Mapping[str, Health]:
    slots = asyncio.Semaphore(HOSTS_AT_ONCE)

    async def ask(app: InstanceFacts, host: Host) -> Health:
        nothing = Package(app.app, host.version, ObjectRef("", "", ""))
        async with slots:
            try:
                script, deadline_s = health_now(StepContext(host, app.stack, app.app, host.version, nothing))
                result = await remote.run(host, script, deadline_s=deadline_s)
            except ProblemError:
                return Health.UNKNOWN
        if result.exit_status is None:
            return Health.UNKNOWN
        return Health.HEALTHY if result.exit_status == 0 else Health.UNHEALTHY

    found = await asyncio.gather(*(ask(app, host) for app, host in hosts))
    return {host.name: health for (_, host), health in zip(hosts, found, strict=True)}
