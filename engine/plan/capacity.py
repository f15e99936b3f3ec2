"""How many hosts of each server group stay in service while a plan runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from engine.domain.fleet import Mount, MountWeight, ServerGroup
from engine.plan.grouping import default_floor


@dataclass(frozen=True, slots=True)
class Capacity:
    """Of the server group with the least to spare: hosts in service now, the fewest while the plan runs, and its floor.

    `during` is the number in service while each group of hosts runs, in the plan's order."""

    in_service: int
    lowest: int
    floor: int
    during: tuple[int, ...]
    floors: Mapping[str, int]  # of every server group, by its name


def serving_hosts(
    weights: Sequence[MountWeight], down: Collection[Mount] = frozenset()
) -> Mapping[ServerGroup, frozenset[str]]:
    """Per server group, the hosts with a weight above 0, but for those of which every mount with one is `down`."""
    serving: dict[ServerGroup, set[str]] = defaultdict(set)
    group, hosts = None, set[str]()
    for line in weights:
        if line.mount.server_group is not group:  # most lines follow one of the same group
            group = line.mount.server_group
            hosts = serving[group]
        if line.weight > 0 and line.mount not in down:
            hosts.add(line.mount.host)
    return {group: frozenset(hosts) for group, hosts in serving.items()}


def capacity(
    weights: Sequence[MountWeight],
    groups: Sequence[Sequence[str]],
    *,
    floor: int | None,
    floor_percent: int,
    after: Sequence[MountWeight] = (),
    down: Collection[Mount] = frozenset(),
) -> Capacity:
    """Groups run one after another, and every one is back in service before the next starts: with the weights `after` names,
    else with those it had. Hosts behind a mount that is `down` are out until their group has run."""
    serving = serving_hosts(weights, down)
    returning = {**serving, **serving_hosts(after)}
    floors = {str(at): _floor(len(hosts), floor, floor_percent) for at, hosts in serving.items()}
    found = [_of_group(hosts, returning[at], groups, floors, floors[str(at)]) for at, hosts in serving.items()]
    nothing = Capacity(0, 0, 0, tuple(0 for _ in groups), floors)
    return min(found, key=lambda one: one.lowest - one.floor, default=nothing)


def _floor(in_service: int, floor: int | None, floor_percent: int) -> int:
    return default_floor(in_service, floor_percent) if floor is None else floor


def _of_group(
    serving: frozenset[str],
    returning: frozenset[str],
    groups: Sequence[Sequence[str]],
    floors: Mapping[str, int],
    floor: int,
) -> Capacity:
    during, now = [], serving
    for group in groups:
        now -= frozenset(group)
        during.append(len(now))
        now |= returning.intersection(group)
    return Capacity(len(serving), min(during, default=len(serving)), floor, tuple(during), floors)
