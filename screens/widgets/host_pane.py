"""The hosts of the selected node and, under them, what stands in the way: hosts stay in sight however long that is."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical

from screens.translate import N_
from screens.widgets.host_table import HostTable
from screens.widgets.trouble import Problems
from screens.widgets.weight_slider import WeightSlider

# rows that the hosts keep: the heading and five of them
HOST_ROWS = 6
# on a terminal with fewer rows than LOW the hosts keep these
LOW, LOW_HOST_ROWS = 16, 4


class HostPane(Vertical):
    def __init__(self) -> None:
        super().__init__(id="left")

    def compose(self) -> ComposeResult:
        yield HostTable()
        slider = WeightSlider()
        slider.display = False
        yield slider
        yield Problems(id="problems", evidence_lines=4, more=N_("(l: its log)"))

    def on_resize(self) -> None:
        self.fit()

    def fit(self) -> None:
        """Give the problems what the hosts leave; all of it where there is no host to show yet."""
        rows, hosts = self.content_size.height, self.query_one(HostTable)
        kept = min(HOST_ROWS, 1 + len(hosts.rows)) if hosts.styles.display != "none" else 0
        low = self.app.size.height < LOW
        self.query_one(Problems).fit(max(0, rows - LOW_HOST_ROWS) if low else max(3, rows - kept))
