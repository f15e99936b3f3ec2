"""The flowchart as a graph: which layer and which lane every node has, worked out once for both painters.

Pure: nodes and their needs in, places out. It draws nothing and knows no colours, widths or words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class GraphNode(Protocol):
    @property
    def key(self) -> str: ...

    @property
    def needs(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class LaneRow:
    """One row of the git-graph: the node's lane, the lanes that join it or fork from it here, and those that pass by."""

    key: str
    lane: int
    joins: tuple[int, ...]
    forks: tuple[int, ...]
    passing: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """A place in a layer: a node, or (`key` empty) an edge on its way to a later layer."""

    key: str
    edge: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Layers:
    """`stops[layer]` from top to bottom; `links[layer]` pairs of stop indexes between that layer and the next."""

    stops: tuple[tuple[Stop, ...], ...]
    links: tuple[tuple[tuple[int, int], ...], ...]


def in_order(nodes: Sequence[GraphNode]) -> list[GraphNode]:
    """The nodes with every need before what needs it, otherwise as given. Needs outside of `nodes` do not count.

    Raises ValueError for a cycle.
    """
    known = {node.key for node in nodes}
    left = list(nodes)
    placed: set[str] = set()
    ordered: list[GraphNode] = []
    while left:
        free = next((node for node in left if all(n in placed or n not in known for n in node.needs)), None)
        if free is None:
            raise ValueError(f"the flowchart has a cycle among {', '.join(node.key for node in left)}")
        left.remove(free)
        placed.add(free.key)
        ordered.append(free)
    return ordered


def lanes(nodes: Sequence[GraphNode]) -> tuple[LaneRow, ...]:
    """One row a node, top to bottom, like `git log --graph`: a lane holds the node its line leads to."""
    ordered = in_order(nodes)
    children = _children(ordered)
    leads_to: list[str | None] = []
    rows = []
    for node in ordered:
        arriving = [at for at, key in enumerate(leads_to) if key == node.key]
        lane = arriving[0] if arriving else _free_lane(leads_to)
        for at in arriving:
            leads_to[at] = None
        leads_to[lane] = None
        passing = tuple(at for at, key in enumerate(leads_to) if key is not None)
        forks = []
        for number, child in enumerate(children[node.key]):
            at = lane if number == 0 else _free_lane(leads_to)
            leads_to[at] = child
            if number:
                forks.append(at)
        rows.append(LaneRow(node.key, lane, tuple(arriving[1:]), tuple(forks), passing))
    return tuple(rows)


def layers(nodes: Sequence[GraphNode]) -> Layers:
    """Left to right: a node stands one layer behind the last of its needs; an edge that skips layers gets a stop in each."""
    ordered = in_order(nodes)
    known = {node.key for node in ordered}
    depth: dict[str, int] = {}
    for node in ordered:
        depth[node.key] = 1 + max((depth[need] for need in node.needs if need in known), default=-1)
    count = 1 + max(depth.values(), default=-1)
    stops: list[list[Stop]] = [[] for _ in range(count)]
    at: dict[tuple[str, str] | str, dict[int, int]] = {}
    for node in ordered:
        _put(stops, at, node.key, Stop(node.key), depth[node.key])
        for child in (other for other in ordered if node.key in other.needs):
            for layer in range(depth[node.key] + 1, depth[child.key]):
                edge = (node.key, child.key)
                _put(stops, at, edge, Stop("", edge), layer)
    links: list[list[tuple[int, int]]] = [[] for _ in range(max(0, count - 1))]
    for node in ordered:
        for need in (need for need in node.needs if need in known):
            _link(links, at, need, node.key, depth[need], depth[node.key])
    return Layers(tuple(tuple(layer) for layer in stops), tuple(tuple(sorted(layer)) for layer in links))


def _children(nodes: Sequence[GraphNode]) -> dict[str, list[str]]:
    children: dict[str, list[str]] = {node.key: [] for node in nodes}
    for node in nodes:
        for need in node.needs:
            if need in children:
                children[need].append(node.key)
    return children


def _free_lane(leads_to: list[str | None]) -> int:
    for at, key in enumerate(leads_to):
        if key is None:
            return at
    leads_to.append(None)
    return len(leads_to) - 1


def _put(
    stops: list[list[Stop]],
    at: dict[tuple[str, str] | str, dict[int, int]],
    name: tuple[str, str] | str,
    stop: Stop,
    layer: int,
) -> None:
    at.setdefault(name, {})[layer] = len(stops[layer])
    stops[layer].append(stop)


def _link(
    links: list[list[tuple[int, int]]],
    at: dict[tuple[str, str] | str, dict[int, int]],
    source: str,
    target: str,
    first: int,
    last: int,
) -> None:
    here = at[source][first]
    for layer in range(first + 1, last + 1):
        there = at[target][layer] if layer == last else at[(source, target)][layer]
        links[layer - 1].append((here, there))
        here = there
