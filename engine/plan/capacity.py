"""How many hosts of each server group stay in service while a plan runs, whichever of its nodes run at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from engine.domain.fleet import Mount, MountWeight, ServerGroup
from engine.domain.orders import PlanNode
from engine.plan.grouping import default_floor


@dataclass(frozen=True, slots=True)
class Capacity:
    """Of the server group with the least to spare: hosts in service now, the fewest while the plan runs, and its floor.

    `during` is the number in service while each node runs, by its key; at one that runs no hosts, when all before it are done."""

    in_service: int
    lowest: int
    floor: int
    during: Mapping[str, int]
    # of every server group, by its name
    floors: Mapping[str, int]


def serving_hosts(
    weights: Sequence[MountWeight], down: Collection[Mount] = frozenset()
) -> Mapping[ServerGroup, frozenset[str]]:
    """Per server group, the hosts with a weight above 0, but for those of which every mount with one is `down`."""
    serving: dict[ServerGroup, set[str]] = defaultdict(set)
    group, hosts = None, set[str]()
    for line in weights:
        # most lines follow one of the same group
        if line.mount.server_group is not group:
            group = line.mount.server_group
            hosts = serving[group]
        if line.weight > 0 and line.mount not in down:
            hosts.add(line.mount.host)
    return {group: frozenset(hosts) for group, hosts in serving.items()}


def capacity(
    weights: Sequence[MountWeight],
    nodes: Sequence[PlanNode],
    *,
    floor: int | None,
    floor_percent: int,
    down: Collection[Mount] = frozenset(),
) -> Capacity:
    """A node runs when all it needs are done, beside every node that is neither before nor behind it. Its hosts are back in
    service when it is done, with the weights their plan names; where a person gives them, with those they had. Hosts behind a
    mount that is `down` are out until their node has run."""
    serving = serving_hosts(weights, down)
    floors = {str(at): _floor(len(hosts), floor, floor_percent) for at, hosts in serving.items()}
    order = _order(nodes)
    found = [_of_group(group, hosts, order, floors) for group, hosts in serving.items()]
    nothing = Capacity(0, 0, 0, {node.key: 0 for node in nodes}, floors)
    return min(found, key=lambda one: one.lowest - one.floor, default=nothing)


def _floor(in_service: int, floor: int | None, floor_percent: int) -> int:
    return default_floor(in_service, floor_percent) if floor is None else floor


@dataclass(frozen=True, slots=True)
class _Place:
    """A node, those with hosts that are done before it, and those that may run beside it in chains: of each chain one."""

    node: PlanNode
    before: tuple[PlanNode, ...]
    beside: tuple[tuple[PlanNode, ...], ...]


def _order(nodes: Sequence[PlanNode]) -> list[_Place]:
    before: dict[str, set[str]] = {}
    for node in nodes:
        needs = [need for need in node.needs if need in before]
        before[node.key] = set(needs).union(*(before[need] for need in needs))
    running = [node for node in nodes if node.runs]
    in_line = all(one.key in before[other.key] for one, other in pairwise(running))
    at = {node.key: number for number, node in enumerate(running)}
    return [
        _Place(
            node,
            tuple(running[: at[node.key]])
            if in_line and node.runs
            else tuple(other for other in running if other.key in before[node.key]),
            () if in_line else _chains([o for o in running if o is not node and _apart(o, node, before)], before),
        )
        for node in nodes
    ]


def _apart(one: PlanNode, other: PlanNode, before: Mapping[str, set[str]]) -> bool:
    return one.key not in before[other.key] and other.key not in before[one.key]


def _chains(nodes: Sequence[PlanNode], before: Mapping[str, set[str]]) -> tuple[tuple[PlanNode, ...], ...]:
    """As few lists as can be found quickly in which each node comes after the one before it: of each list one runs at a time."""
    chains: list[list[PlanNode]] = []
    for node in nodes:
        chain = next((chain for chain in chains if chain[-1].key in before[node.key]), None)
        if chain is None:
            chains.append([node])
        else:
            chain.append(node)
    return tuple(tuple(chain) for chain in chains)


def _of_group(
    group: ServerGroup, serving: frozenset[str], order: Sequence[_Place], floors: Mapping[str, int]
) -> Capacity:
    during: dict[str, int] = {}
    comes_back = {place.node.key: _comes_back(place.node, group) for place in order}
    now, done = set(serving), set[str]()
    for place in order:
        if not done.issubset(node.key for node in place.before):
            now, done = set(serving), set()
        for node in place.before:
            if node.key not in done:
                _pass(now, node, serving, comes_back[node.key])
                done.add(node.key)
        leaving = now & _leaving(place.node)
        beside = sum(max(len((now - leaving) & _leaving(node)) for node in chain) for chain in place.beside)
        during[place.node.key] = max(0, len(now) - len(leaving) - beside)
    floor = floors[str(group)]
    lowest = min((during[place.node.key] for place in order if place.node.runs), default=len(serving))
    return Capacity(len(serving), lowest, floor, during, floors)


def _pass(now: set[str], node: PlanNode, serving: frozenset[str], comes_back: Mapping[str, bool]) -> None:
    for run in node.runs:
        if not run.leaves:
            continue
        now.discard(run.host)
        if comes_back.get(run.host, run.host in serving):
            now.add(run.host)


def _leaving(node: PlanNode) -> set[str]:
    return {run.host for run in node.runs if run.leaves}


def _comes_back(node: PlanNode, group: ServerGroup) -> Mapping[str, bool]:
    """Host → whether its plan gives it a weight in this server group; those of which it says nothing get what they had."""
    found: dict[str, bool] = {}
    for run in node.runs:
        for line in run.restore_to:
            if line.mount.server_group == group:
                found[run.host] = found.get(run.host, False) or line.weight > 0
    return found
