"""The merged log of a node's hosts on the order screen: made in worker threads while it is looked at, and gone with the screen."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.screen import Screen
from textual.timer import Timer

from engine.domain.problem import ProblemError
from engine.domain.states import Direction
from engine.views.orders import AttemptView, OrderView
from screens import words
from screens.asking import ask, in_worker
from screens.cockpit import cockpit_of
from screens.merged_log import MergedLog
from screens.translate import _, ngettext
from screens.widgets.log_pane import LogPane
from screens.widgets.notice import Notice

MERGE_EVERY_S = 0.5
# bytes of all the hosts' logs that are merged; of bigger ones the ends
MOST = 64_000_000


@dataclass(slots=True, eq=False)
class _Opened:
    direction: Direction
    node: str
    hosts: frozenset[str]
    what: str
    target: Path
    log: MergedLog | None = None
    busy: bool = False


class GroupLog:
    def __init__(self, screen: Screen[Any], order_id: int) -> None:
        self._screen = screen
        self._order_id = order_id
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._opened: _Opened | None = None
        self._timer: Timer | None = None
        self._over = False

    @property
    def is_open(self) -> bool:
        return self._opened is not None

    def open(self, order: OrderView, key: str) -> bool:
        """Whether that node has hosts whose logs there could be."""
        node = next((node for node in order.nodes if node.key == key and node.hosts), None)
        if node is None:
            return False
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="cockpit-", ignore_cleanup_errors=True)
        label = ngettext("{what}, {count} host", "{what}, {count} hosts", len(node.hosts))
        what = label.format(what=words.node_word(node), count=len(node.hosts))
        target = Path(self._folder.name) / str(self._order_id) / f"{node.direction}-{node.key}.log"
        self._opened = _Opened(node.direction, node.key, frozenset(node.hosts), what, target)
        self.show(order)
        self._timer = self._screen.set_interval(MERGE_EVERY_S, self._look)
        self._look()
        return True

    def show(self, order: OrderView) -> None:
        """The order as it is now: when it is over, nothing more is coming."""
        self._over = order.state.complete

    def close(self) -> None:
        self._opened = None
        if self._timer is not None:
            self._timer.stop()

    def remove(self) -> None:
        self.close()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _look(self) -> None:
        if self._opened is not None and not self._opened.busy:
            self._opened.busy = True
            in_worker(self._screen, self._merge, self._opened, group="group log")

    async def _merge(self, opened: _Opened) -> None:
        notice = self._screen.query_one(Notice)
        try:
            attempts = await self._attempts(opened)
            await asyncio.to_thread(self._write, opened, attempts)
        except ProblemError as error:
            notice.refuse(error.problem)
        except OSError as error:
            notice.tell(_("The logs could not be merged: {error}.").format(error=error), good=False)
            self.close()
        else:
            if self._opened is opened:
                self._screen.query_one(LogPane).show_group(str(opened.target), opened.what)
        finally:
            opened.busy = False

    def _write(self, opened: _Opened, attempts: list[AttemptView]) -> None:
        if opened.log is None:
            note = _("only the ends of these logs: they are long")
            opened.log = MergedLog(opened.target, attempts, most=MOST, note=f"── {note}")
        opened.log.more(attempts, last=self._over)

    async def _attempts(self, opened: _Opened) -> list[AttemptView]:
        """Those at this node; behind a gate, which runs nothing itself, those of its hosts in that direction."""
        here = cockpit_of(self._screen).here()
        found = await ask(self._screen, lambda api: api.attempts(*here, self._order_id))
        same_way = [each for each in found if each.direction is opened.direction and each.host in opened.hosts]
        return [each for each in same_way if each.node == opened.node] or same_way
