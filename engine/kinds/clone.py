"""An order once more: the same apps, versions, groups and weights, as far as the catalogue still has them. Pure.

Hosts that have gone are left out and named. Versions that have gone stay in the order: what forbids it says so. What was decided
for that time is not repeated: why the floor might be broken, and the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from engine.domain.message import Message, message
from engine.domain.orders import Grouping, OrderSpec, What
from engine.kinds import release, rollback
from engine.kinds.asked import pack, unpack
from engine.kinds.chosen_hosts import ChosenHosts
from engine.plan.what_if_words import named

Still = Callable[[Sequence[str]], tuple[str, ...]]
BRINGS_VERSIONS = (release.NAME, rollback.NAME)


@dataclass(frozen=True, slots=True)
class CatalogueNow:
    """`packages`: app → the versions that are there; `hosts_of`: app → its hosts in the workspace."""

    packages: Mapping[str, Sequence[str]]
    hosts_of: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Clone:
    """`changed`: what is different since, a sentence each."""

    spec: OrderSpec
    changed: tuple[Message, ...]


def clone(spec: OrderSpec, order_id: int, was_on: Sequence[str], now: CatalogueNow, *, seed: int) -> Clone:
    """`was_on`: the hosts the order acted on."""
    apps = _apps(spec)
    here = [host for app in apps for host in now.hosts_of.get(app, ())]

    def still(hosts: Sequence[str]) -> tuple[str, ...]:
        return tuple(host for host in hosts if host in here)

    again = replace(spec, what=_what(spec, still), grouping=_grouping(spec.grouping, still))
    again = replace(again, seed=seed, override_reason="", reason=f"#{order_id}" if spec.reason else "")
    return Clone(again, tuple(_changed(spec, was_on, here, now)))


def _apps(spec: OrderSpec) -> list[str]:
    if spec.kind in BRINGS_VERSIONS:
        return [app.app for app in unpack(spec.what, release.Release).apps]
    return list(unpack(spec.what, ChosenHosts).apps)


def _what(spec: OrderSpec, still: Still) -> What:
    if spec.kind in BRINGS_VERSIONS:
        asked = unpack(spec.what, release.Release)
        weights = {host: weight for host, weight in asked.preset_weights.items() if still((host,))}
        return pack(spec.kind, replace(asked, preset_weights=weights))
    chosen = unpack(spec.what, ChosenHosts)
    return pack(spec.kind, replace(chosen, hosts=still(chosen.hosts)))


def _grouping(grouping: Grouping, still: Still) -> Grouping:
    """A group that has lost all of its hosts is gone; Beta hosts that have gone are picked anew."""
    groups = tuple(left for group in grouping.by_hand if (left := still(group)))
    return replace(grouping, by_hand=groups, beta_hosts=still(grouping.beta_hosts), excluded=still(grouping.excluded))


def _changed(spec: OrderSpec, was_on: Sequence[str], here: Sequence[str], now: CatalogueNow) -> Iterator[Message]:
    gone = [host for host in dict.fromkeys((*was_on, *_named_hosts(spec))) if host not in here]
    if gone:
        yield message("hosts that are gone since: {hosts}", hosts=named(gone))
    new = [host for host in here if host not in was_on and host not in _named_hosts(spec)]
    if new:
        yield message("hosts that are new since: {hosts}", hosts=named(new))
    if spec.kind in BRINGS_VERSIONS:
        for app in unpack(spec.what, release.Release).apps:
            if app.version and app.version not in now.packages.get(app.app, ()):
                yield message("the package of {app} {version} is gone", app=app.app, version=app.version)


def _named_hosts(spec: OrderSpec) -> list[str]:
    grouping = spec.grouping
    return [*grouping.beta_hosts, *(host for group in grouping.by_hand for host in group), *grouping.excluded]
