"""The flowchart for 80 columns: one node a row, its lines at the left like a git graph."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text

from engine.domain.states import NodeState
from engine.views.orders import NodeView
from screens import words
from screens.flowchart import Folded, LaneRow, folded, lanes
from screens.paint import Paint
from screens.translate import _
from screens.widgets.painting import Painting, Spot, node_detail

# rows: more than any flowchart has
NO_LIMIT = 1_000_000


def paint_lanes(
    nodes: tuple[NodeView, ...], width: int, paint: Paint, now: float, *, most: int = NO_LIMIT, unfolded: str = ""
) -> Painting:
    """`width` in cells. The state, the name, the hosts and what the node waits for, one row each.

    Beyond `most` rows the nodes that have ended well are folded into one row, except the node with the key `unfolded`."""
    told = folded(nodes, {node.key: str(node.state) for node in nodes if _over(node) and node.key != unfolded}, most)
    graph_rows = lanes(told)
    by_key = {row.key: row for row in told}
    graph = 2 * (1 + max((max(row.lane, *row.joins, *row.forks, *row.passing, 0) for row in graph_rows), default=0))
    names = max((cell_len(words.node_word(row.nodes[0])) for row in told if len(row.nodes) == 1), default=0)
    lines: list[Text] = []
    spots: dict[str, Spot] = {}
    for at, row in enumerate(graph_rows):
        line = _graph(row, by_key[row.key].nodes[-1], graph, paint)
        line.append_text(_told(by_key[row.key], width - line.cell_len, names, paint, now))
        line.truncate(width, overflow="ellipsis")
        lines.append(line)
        spots |= {node.key: Spot(0, at, width, 1) for node in by_key[row.key].nodes}
    return Painting(tuple(lines), spots, width)


def _over(node: NodeView) -> bool:
    return node.state.complete and not node.failed


def _told(row: Folded[NodeView], width: int, names: int, paint: Paint, now: float) -> Text:
    if len(row.nodes) > 1:
        return _several(row.nodes, paint)
    node = row.nodes[0]
    name = Text(words.node_word(node), style=paint.strong if not node.state.complete else paint.plain)
    name.truncate(names, pad=True)
    detail = node_detail(node, paint, now)
    room = width - name.cell_len - detail.cell_len - 4
    hosts = Text("  ")
    if room >= 6:
        names_of_hosts = Text(" ".join(node.hosts) if node.kind.runs_hosts else "", style=paint.dim)
        names_of_hosts.truncate(room, overflow="ellipsis", pad=True)
        hosts.append_text(names_of_hosts)
    return name.append_text(hosts).append("  ").append_text(detail)


def _several(nodes: tuple[NodeView, ...], paint: Paint) -> Text:
    """`initialise … group 2  5 stages done, 6/6 hosts`: what is over, in one row."""
    text = Text(f"{words.node_word(nodes[0])} … {words.node_word(nodes[-1])}", style=paint.plain)
    over = _("{count} stages called off") if nodes[0].state is NodeState.CANCELLED else _("{count} stages done")
    text.append("  " + over.format(count=len(nodes)), paint.dim)
    hosts = sum(len(node.hosts) for node in nodes if node.kind.runs_hosts)
    if hosts:
        done = sum(node.done for node in nodes if node.kind.runs_hosts)
        text.append(", " + _("{done}/{all} hosts").format(done=done, all=hosts), paint.dim)
    return text


def _graph(row: LaneRow, node: NodeView, width: int, paint: Paint) -> Text:
    turns = {**dict.fromkeys(row.joins, "┘"), **dict.fromkeys(row.forks, "┐")}
    turns.update(dict.fromkeys(set(row.joins) & set(row.forks), "┤"))
    last = max(turns, default=row.lane)
    line = Text()
    for lane in range(width // 2):
        between = row.lane <= lane < last
        if lane == row.lane:
            line.append_text(paint.glyph(node.shown))
        elif lane in turns:
            line.append("┴┬┼"[("┘┐┤").index(turns[lane])] if lane < last else turns[lane], paint.dim)
        elif lane in row.passing:
            line.append("┼" if row.lane < lane < last else "│", paint.dim)
        else:
            line.append("─" if row.lane < lane < last else " ", paint.dim)
        line.append("─" if between else " ", paint.dim)
    return line
