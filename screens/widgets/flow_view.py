"""The flowchart of an order, drawn by the painter that fits the width, with a node selected in it."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Region, Size, Spacing
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from engine.views.orders import NodeView
from screens.flowchart import in_order
from screens.paint import paint_of, strip_of
from screens.translate import N_
from screens.widgets.cursor import cursor_style
from screens.widgets.lanes import NO_LIMIT, paint_lanes
from screens.widgets.layered import paint_layered
from screens.widgets.painting import Painting, Spot

WIDE = 120  # cells from which the layered painter is used


class FlowView(ScrollView, can_focus=True):
    """`show` it nodes; it says `Selected` when another node is under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j,right", "step(1)", N_("next node"), show=False),
        Binding("up,k,left,h", "step(-1)", N_("previous node"), show=False),
        Binding("home", "end_of_list(-1)", N_("first node"), show=False),
        Binding("end", "end_of_list(1)", N_("last node"), show=False),
    ]

    class Selected(Message):
        def __init__(self, key: str, *, by_hand: bool) -> None:
            super().__init__()
            self.key = key
            self.by_hand = by_hand

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._chart: tuple[NodeView, ...] = ()
        self._painting = Painting((), {}, 0)
        self._now = 0.0
        self.selected = ""

    def show(self, nodes: tuple[NodeView, ...], now: float) -> None:
        """Draw these. The cursor stays on its node if that is still there."""
        self._chart = nodes
        if self.selected not in {node.key for node in nodes}:
            self.selected = nodes[0].key if nodes else ""
        self.paint_at(now)

    def paint_at(self, now: float) -> None:
        """Draw again: the clock went on."""
        self._now = now
        paint = paint_of(self.app)
        width = self.scrollable_content_region.width
        before = self._painting
        if self.app.size.width >= WIDE:
            self._painting = paint_layered(self._chart, paint, now)
        else:
            # walked through by hand it shows every node; else what has ended makes room for the hosts
            most = NO_LIMIT if self.has_focus else self._rows_to_take()
            self._painting = paint_lanes(
                self._chart, max(20, width), paint, now, most=most, unfolded="" if self.has_focus else self.selected
            )
        self.virtual_size = Size(self._painting.width, len(self._painting.lines))
        if len(before.lines) != len(self._painting.lines):
            self.refresh(layout=True)
            self.call_after_refresh(self._fit)
        if before != self._painting:
            self.refresh()

    def _rows_to_take(self) -> int:
        """On a low terminal the hosts and what to do about them come first."""
        return max(3, (self.app.size.height - 12) // 4)

    def watch_has_focus(self, has_focus: bool) -> None:
        super().watch_has_focus(has_focus)
        self.paint_at(self._now)
        self._scroll_to_selected()

    def _fit(self) -> None:
        """A scrollbar that came or went with the new height leaves another width to draw in."""
        if self._painting.width not in (0, self.scrollable_content_region.width) and self.app.size.width < WIDE:
            self.paint_at(self._now)

    def select(self, key: str, *, by_hand: bool = False) -> None:
        if key == self.selected or key not in self._painting.spots:
            return
        self.selected = key
        self.paint_at(self._now)
        self._scroll_to_selected()
        self.refresh()
        self.post_message(self.Selected(key, by_hand=by_hand))

    def action_step(self, by: int) -> None:
        order = [node.key for node in in_order(self._chart)]
        if order:
            at = order.index(self.selected) if self.selected in order else 0
            self.select(order[max(0, min(len(order) - 1, at + by))], by_hand=True)

    def action_end_of_list(self, end: int) -> None:
        self.action_step(end * len(self._chart))

    def on_resize(self, event: Resize) -> None:
        self.paint_at(self._now)
        self._scroll_to_selected()

    def on_click(self, event: Click) -> None:
        at = event.offset + self.scroll_offset
        for key, spot in self._painting.spots.items():
            if spot.x <= at.x < spot.x + spot.width and spot.y <= at.y < spot.y + spot.height:
                self.select(key, by_hand=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(1, len(self._painting.lines))

    def render_line(self, y: int) -> Strip:
        at = y + self.scroll_offset.y
        if at >= len(self._painting.lines):
            return Strip.blank(self.size.width, self.rich_style)
        text = self._painting.lines[at]
        strip = strip_of(text.copy(), self.app).extend_cell_length(max(self.size.width, self._painting.width))
        spot = self._painting.spots.get(self.selected)
        if spot is not None and spot.y <= at < spot.y + spot.height:
            strip = self._with_cursor(strip, spot, at)
        left = self.scroll_offset.x
        return strip.apply_style(self.rich_style).crop_extend(left, left + self.size.width, self.rich_style)

    def _with_cursor(self, strip: Strip, spot: Spot, y: int) -> Strip:
        """Lanes mark the whole row; in the layered picture the inside of the box is marked."""
        style = cursor_style(self)
        if spot.height == 1:
            return Strip(list(Segment.apply_style(strip, post_style=style)), strip.cell_length)
        if y in (spot.y, spot.y + spot.height - 1):
            return strip
        left, inside, right = strip.divide([spot.x + 1, spot.x + spot.width - 1, strip.cell_length])
        marked = Strip(list(Segment.apply_style(inside, post_style=style)), inside.cell_length)
        if self.has_focus and y == spot.y + 1:
            marked = Strip.join([Strip([Segment(">")]), marked.crop(1, marked.cell_length)])
        return Strip.join([left, marked, right])

    def _scroll_to_selected(self) -> None:
        spot = self._painting.spots.get(self.selected)
        if spot is not None:
            self.scroll_to_region(
                Region(spot.x, spot.y, spot.width, spot.height), animate=False, spacing=Spacing(0, 2, 0, 2), force=True
            )
