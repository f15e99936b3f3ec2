"""The flowchart for 80 columns: one node a row, its lines at the left like a git graph."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text

from engine.views import NodeView
from screens import words
from screens.flowchart import LaneRow, in_order, lanes
from screens.paint import Paint
from screens.widgets.painting import Painting, Spot, node_detail


def paint_lanes(nodes: tuple[NodeView, ...], width: int, paint: Paint, now: float) -> Painting:
    """`width` in cells. The state, the name, the hosts and what the node waits for, one row each."""
    by_key = {node.key: node for node in nodes}
    rows = lanes(in_order(nodes))
    graph = 2 * (1 + max((max(row.lane, *row.joins, *row.forks, *row.passing, 0) for row in rows), default=0))
    names = max((cell_len(words.node_word(node)) for node in nodes), default=0)
    lines, spots = [], {}
    for at, row in enumerate(rows):
        lines.append(_row(row, by_key[row.key], graph, names, width, paint, now))
        spots[row.key] = Spot(0, at, width, 1)
    return Painting(tuple(lines), spots, width)


def _row(row: LaneRow, node: NodeView, graph: int, names: int, width: int, paint: Paint, now: float) -> Text:
    line = _graph(row, node, graph, paint)
    name = Text(words.node_word(node), style=paint.strong if not node.state.complete else paint.plain)
    name.truncate(names, pad=True)
    line.append_text(name)
    detail = node_detail(node, paint, now)
    room = width - line.cell_len - detail.cell_len - 4
    hosts = Text("  ")
    if room >= 6:
        names_of_hosts = Text(" ".join(node.hosts) if node.kind.runs_hosts else "", style=paint.dim)
        names_of_hosts.truncate(room, overflow="ellipsis", pad=True)
        hosts.append_text(names_of_hosts)
    line.append_text(hosts).append("  ").append_text(detail)
    line.truncate(width, overflow="ellipsis")
    return line


def _graph(row: LaneRow, node: NodeView, width: int, paint: Paint) -> Text:
    turns = {**dict.fromkeys(row.joins, "┘"), **dict.fromkeys(row.forks, "┐")}
    turns.update(dict.fromkeys(set(row.joins) & set(row.forks), "┤"))
    last = max(turns, default=row.lane)
    line = Text()
    for lane in range(width // 2):
        between = row.lane <= lane < last
        if lane == row.lane:
            line.append_text(paint.glyph(node.state))
        elif lane in turns:
            line.append("┴┬┼"[("┘┐┤").index(turns[lane])] if lane < last else turns[lane], paint.dim)
        elif lane in row.passing:
            line.append("┼" if row.lane < lane < last else "│", paint.dim)
        else:
            line.append("─" if row.lane < lane < last else " ", paint.dim)
        line.append("─" if between else " ", paint.dim)
    return line
