"""Which hosts go together, and which one of each data centre goes first."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Sequence

from engine.domain.fleet import Host
from engine.domain.orders import Grouping
from engine.domain.states import HostState, Strategy


def in_plan_order(hosts: Sequence[Host]) -> list[Host]:
    """Hosts by data centre, cell and name: the order in which every list of a plan shows them."""
    return sorted(hosts, key=lambda host: (host.data_centre, host.cell, host.name))


def pick_beta(hosts: Sequence[Host], seed: int, ill: Collection[str] = ()) -> tuple[str, ...]:
    """One host from each data centre, picked at random (by `seed`) among those that are neither `ill` nor in a failed state,
    else among all."""
    chance = random.Random(seed)
    picked = []
    for centre in sorted({host.data_centre for host in hosts}):
        there = [host for host in in_plan_order(hosts) if host.data_centre == centre]
        failed = (HostState.DEPLOY_FAILED, HostState.INITIALISE_FAILED)
        healthy = [host for host in there if host.state not in failed and host.name not in ill]
        picked.append(chance.choice(healthy or there).name)
    return tuple(picked)


def groups_of(hosts: Sequence[Host], grouping: Grouping) -> tuple[tuple[str, ...], ...]:
    """The groups of one app after Beta, in order, none empty: those named by hand that have hosts of it, else by the strategy."""
    here = {host.name for host in hosts}
    named = (tuple(host for host in group if host in here) for group in grouping.by_hand)
    return tuple(filter(None, named)) or split_into_groups(hosts, grouping.strategy, grouping.groups)


def is_by_hand(hosts: Collection[str], grouping: Grouping) -> bool:
    """Whether the groups of the app with these hosts are named host by host."""
    return any(host in hosts for group in grouping.by_hand for host in group)


def split_into_groups(hosts: Sequence[Host], strategy: Strategy, groups: int) -> tuple[tuple[str, ...], ...]:
    """The groups after Beta, in order; none is empty. `groups` counts for the quick strategy only."""
    ordered = in_plan_order(hosts)
    names = [host.name for host in ordered]
    if not names:
        return ()
    if strategy is Strategy.ONE_GROUP:
        return (tuple(names),)
    if strategy is Strategy.ONE_PER_GROUP:
        return tuple((name,) for name in names)
    if strategy is Strategy.BY_CELL:
        cells = dict.fromkeys((host.data_centre, host.cell) for host in ordered)
        return tuple(tuple(h.name for h in ordered if (h.data_centre, h.cell) == cell) for cell in cells)
    return split_evenly(names, groups)


def split_evenly(names: Sequence[str], groups: int) -> tuple[tuple[str, ...], ...]:
    """`names` in `groups` parts whose sizes differ by at most one, the earlier ones being larger; fewer parts than asked for
    when there are fewer names."""
    count = max(1, min(groups, len(names)))
    size, extra = divmod(len(names), count)
    parts, start = [], 0
    for index in range(count):
        end = start + size + (1 if index < extra else 0)
        parts.append(tuple(names[start:end]))
        start = end
    return tuple(part for part in parts if part)


def default_floor(in_service: int, percent: int) -> int:
    """Hosts that must stay in service: `percent` of those in service at the start, rounded up, at least 1 unless percent is 0."""
    if percent <= 0 or in_service == 0:
        return 0
    return max(1, math.ceil(in_service * percent / 100))
