"""The flowchart for wide terminals: layers from left to right, drawn with box characters.

Lines are kept as directions a cell is left by (up, down, left, right) and become characters last, so that edges which meet
join properly.
"""

from __future__ import annotations

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from engine.views.orders import NodeView
from screens import words
from screens.flowchart import Layers, layers
from screens.paint import Paint
from screens.widgets.painting import Painting, Spot, node_detail

UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
_LINES = " ╵╷│╴┘┐┤╶└┌├─┴┬┼"
_BOX_HEIGHT = 4
_GAP = 4  # cells between two layers


def paint_layered(nodes: tuple[NodeView, ...], paint: Paint, now: float) -> Painting:
    """As wide as it needs to be: whoever shows it scrolls."""
    by_key = {node.key: node for node in nodes}
    graph = layers(nodes)
    boxes = {node.key: _inside(node, paint, now) for node in nodes}
    canvas = _Canvas(graph.rows * _BOX_HEIGHT)
    spots: dict[str, Spot] = {}
    x = 0
    for at, stops in enumerate(graph.stops):
        width = 4 + max((line.cell_len for key in stops.values() if key for line in boxes[key]), default=0)
        for row, key in stops.items():
            y = row * _BOX_HEIGHT
            if key:
                spots[key] = Spot(x, y, width, _BOX_HEIGHT)
                canvas.box(x, y, width, boxes[key], paint.state(by_key[key].shown))
            else:
                canvas.across(y + 1, x, x + width - 1, paint.dim)
        x += width
        if at < len(graph.links):
            _draw_links(canvas, graph, at, x, paint)
            x += _GAP
    return Painting(canvas.lines(x), spots, x)


def _inside(node: NodeView, paint: Paint, now: float) -> tuple[Text, Text]:
    first = paint.glyph(node.shown).append(" ").append(words.node_word(node), paint.strong)
    return first, node_detail(node, paint, now)


def _draw_links(canvas: _Canvas, graph: Layers, layer: int, x: int, paint: Paint) -> None:
    for source, target in graph.links[layer]:
        y1, y2 = source * _BOX_HEIGHT + 1, target * _BOX_HEIGHT + 1
        canvas.across(y1, x, x + 1, paint.dim)
        canvas.down(x + 1, y1, y2, paint.dim)
        canvas.across(y2, x + 1, x + _GAP - 1, paint.dim)
        if graph.stops[layer + 1][target]:
            canvas.put(x + _GAP - 1, y2, Text("▶", style=paint.dim))


class _Canvas:
    """A grid of cells: either finished text, or the directions lines leave it by."""

    def __init__(self, height: int) -> None:
        self._arms: list[dict[int, tuple[int, Style]]] = [{} for _ in range(height)]
        self._texts: list[dict[int, Text]] = [{} for _ in range(height)]

    def put(self, x: int, y: int, text: Text) -> None:
        self._texts[y][x] = text

    def across(self, y: int, x1: int, x2: int, style: Style) -> None:
        for x in range(x1, x2 + 1):
            self._arm(x, y, (LEFT if x > x1 else 0) | (RIGHT if x < x2 else 0), style)

    def down(self, x: int, y1: int, y2: int, style: Style) -> None:
        top, bottom = sorted((y1, y2))
        for y in range(top, bottom + 1):
            self._arm(x, y, (UP if y > top else 0) | (DOWN if y < bottom else 0), style)

    def box(self, x: int, y: int, width: int, inside: tuple[Text, Text], style: Style) -> None:
        self.put(x, y, Text("╭" + "─" * (width - 2) + "╮", style=style))
        for row, text in enumerate(inside, 1):
            line = Text("│ ", style=style)
            padded = text.copy()
            padded.append(" " * (width - 4 - cell_len(text.plain)))
            self.put(x, y + row, line.append_text(padded).append(" │", style))
        self.put(x, y + _BOX_HEIGHT - 1, Text("╰" + "─" * (width - 2) + "╯", style=style))

    def lines(self, width: int) -> tuple[Text, ...]:
        return tuple(self._line(y, width) for y in range(len(self._texts)))

    def _arm(self, x: int, y: int, arms: int, style: Style) -> None:
        before = self._arms[y].get(x, (0, style))[0]
        self._arms[y][x] = (before | arms, style)

    def _line(self, y: int, width: int) -> Text:
        line, x = Text(), 0
        while x < width:
            if (text := self._texts[y].get(x)) is not None:
                line.append_text(text)
                x += text.cell_len
                continue
            arms, style = self._arms[y].get(x, (0, Style()))
            line.append(_LINES[arms], style)
            x += 1
        return line
