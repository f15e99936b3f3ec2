"""The flowchart as a graph: which layer and which lane every node has, worked out once for both painters.

Pure: nodes and their needs in, places out. It draws nothing and knows no colours, widths or words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class GraphNode(Protocol):
    @property
    def key(self) -> str: ...

    @property
    def needs(self) -> tuple[str, ...]: ...


NodeT = TypeVar("NodeT", bound=GraphNode)


@dataclass(frozen=True, slots=True)
class Folded(Generic[NodeT]):
    """A row of a flowchart: one node, or several that follow each other and are told in one row."""

    key: str
    needs: tuple[str, ...]
    nodes: tuple[NodeT, ...]


@dataclass(frozen=True, slots=True)
class LaneRow:
    """One row of the git-graph: the node's lane, the lanes that join it or fork from it here, and those that pass by."""

    key: str
    lane: int
    joins: tuple[int, ...]
    forks: tuple[int, ...]
    passing: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layers:
    """`stops[layer]` maps a row to the node there, or to "" where an edge passes on its way to a later layer;
    `links[layer]` holds pairs of rows between that layer and the next; `rows` is how many there are in all."""

    stops: tuple[Mapping[int, str], ...]
    links: tuple[tuple[tuple[int, int], ...], ...]
    rows: int


def in_order(nodes: Sequence[NodeT]) -> list[NodeT]:
    """The nodes with every need before what needs it, otherwise as given. Needs outside of `nodes` do not count.

    Raises ValueError for a cycle.
    """
    known = {node.key for node in nodes}
    left = list(nodes)
    placed: set[str] = set()
    ordered: list[NodeT] = []
    while left:
        free = next((node for node in left if all(n in placed or n not in known for n in node.needs)), None)
        if free is None:
            raise ValueError(f"the flowchart has a cycle among {', '.join(node.key for node in left)}")
        left.remove(free)
        placed.add(free.key)
        ordered.append(free)
    return ordered


def folded(nodes: Sequence[NodeT], may_fold: Mapping[str, str], most: int) -> tuple[Folded[NodeT], ...]:
    """Rows for the nodes: one each where there are at most `most`, else one for every run of nodes that may be folded.

    `may_fold` are keys and what became of the node: only nodes of the same end are told together. What needed a node that is
    folded needs the row it is told in."""
    ordered = in_order(nodes)
    runs: list[list[NodeT]] = []
    for node in ordered:
        before = runs[-1][-1].key if runs else ""
        joins = len(ordered) > most and node.key in may_fold and may_fold.get(before) == may_fold[node.key]
        runs[-1].append(node) if joins else runs.append([node])
    row_of = {node.key: run[0].key for run in runs for node in run}
    return tuple(Folded(run[0].key, _needs_of(run, row_of), tuple(run)) for run in runs)


def _needs_of(run: Sequence[GraphNode], row_of: Mapping[str, str]) -> tuple[str, ...]:
    outside = (row_of[need] for node in run for need in node.needs if need in row_of)
    return tuple(dict.fromkeys(key for key in outside if key != run[0].key))


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
    """Left to right: a node stands one layer behind the last of its needs, in the row of the first of them if that is free;
    an edge that skips layers gets a place in each. What is not connected stands in rows of its own."""
    ordered = in_order(nodes)
    children = _children(ordered)
    grid = _Grid()
    for node in ordered:
        needs = [need for need in node.needs if need in grid.depth]
        grid.place(node.key, needs)
    for node in ordered:
        for child in children[node.key]:
            grid.connect(node.key, child)
    return grid.layers()


class _Grid:
    """Places while they are being given out."""

    def __init__(self) -> None:
        self.depth: dict[str, int] = {}
        self._row: dict[str, int] = {}
        self._stops: list[dict[int, str]] = []
        self._links: list[list[tuple[int, int]]] = []

    def place(self, key: str, needs: Sequence[str]) -> None:
        layer = 1 + max((self.depth[need] for need in needs), default=-1)
        wanted = self._row[needs[0]] if needs else self._rows()
        self.depth[key] = layer
        self._row[key] = self._take(layer, wanted, key)

    def connect(self, source: str, target: str) -> None:
        here, last = self._row[source], self.depth[target]
        for layer in range(self.depth[source] + 1, last + 1):
            there = self._row[target] if layer == last else self._take(layer, here, "")
            self._links[layer - 1].append((here, there))
            here = there

    def layers(self) -> Layers:
        count = max(0, len(self._stops) - 1)
        return Layers(tuple(self._stops), tuple(tuple(sorted(links)) for links in self._links[:count]), self._rows())

    def _rows(self) -> int:
        return 1 + max((row for layer in self._stops for row in layer), default=-1)

    def _take(self, layer: int, wanted: int, key: str) -> int:
        while len(self._stops) <= layer:
            self._stops.append({})
            self._links.append([])
        row = wanted
        while row in self._stops[layer]:
            row += 1
        self._stops[layer][row] = key
        return row


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
