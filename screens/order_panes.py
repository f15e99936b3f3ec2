"""What stands beside the hosts of the order screen, or in their place on a narrow one: the log of a host, or the history.

It decides which of them is seen and where the keyboard is; what stands in them is their own matter.
"""

from __future__ import annotations

from typing import Any

from textual.screen import Screen

from engine.domain.problem import ProblemError
from engine.domain.states import Direction
from engine.views.orders import AttemptView, HostRunView, OrderView
from screens.asking import ask, in_worker
from screens.cockpit import cockpit_of
from screens.group_log import GroupLog
from screens.order_places import present_attempt
from screens.widgets.history_pane import HistoryPane
from screens.widgets.host_table import HostTable
from screens.widgets.log_pane import LogPane
from screens.widgets.weight_slider import WeightSlider


class Panes:
    def __init__(self, screen: Screen[Any], order_id: int) -> None:
        self._screen = screen
        self._order_id = order_id
        self.of_group = GroupLog(screen, order_id)
        # the attempts before the present one, and whose they are: (host, direction, present attempt)
        self._earlier: tuple[tuple[str, Direction, int] | None, tuple[AttemptView, ...]] = (None, ())

    # ---- which of them is seen

    def to_the_hosts(self) -> None:
        """Or to the slider, while it stands in their place."""
        slider = self._screen.query_one(WeightSlider)
        (slider if slider.display else self._screen.query_one(HostTable)).focus()

    def leave(self) -> None:
        """The hosts, or the slider in their place, are seen again."""
        self.of_group.close()
        self._screen.remove_class("-log", "-history")

    def left_by_back(self) -> bool:
        """Whether there was one in front of the hosts, which now is gone."""
        in_front = self._has("-history") or (self._has("-log") and self._has("-narrow"))
        if in_front:
            self.of_group.close()
            self._screen.remove_class("-history" if self._has("-history") else "-log")
            self.to_the_hosts()
        return in_front

    def toggle_history(self) -> None:
        """In the place of the log, on a narrow screen of everything below the head. The same key leaves it."""
        if self._has("-history"):
            self._screen.remove_class("-history")
            self.to_the_hosts()
            return
        self._screen.remove_class("-log")
        self._screen.add_class("-history")
        self.refresh_history()
        self._screen.query_one(HistoryPane).focus()

    def toggle_log(self) -> None:
        """Wide: the log is always there, the key goes into it. Narrow: the log takes the place of everything below the head."""
        log = self._screen.query_one(LogPane)
        if log.view.has_focus or (self._has("-narrow") and self._has("-log")):
            self.leave()
            self.to_the_hosts()
            return
        self._open_log()
        self._screen.call_after_refresh(log.view.focus)

    def toggle_group_log(self, order: OrderView, key: str) -> bool:
        """The lines of all hosts of that node in one, or again those of one host. False: the node has no hosts."""
        if self.of_group.is_open:
            self.of_group.close()
            return True
        if not self.of_group.open(order, key):
            return False
        self._open_log()
        self._screen.call_after_refresh(self._screen.query_one(LogPane).view.focus)
        return True

    def search_log(self) -> None:
        """Into the log, wherever the cursor is, and what follows is what to look for."""
        self._open_log()
        self._screen.query_one(LogPane).action_search()

    def _open_log(self) -> None:
        self._screen.remove_class("-history")
        if self._has("-narrow"):
            self._screen.add_class("-log")

    def _has(self, name: str) -> bool:
        return self._screen.has_class(name)

    # ---- the history

    def refresh_history(self) -> None:
        """If it is seen."""
        if self._has("-history"):
            in_worker(self._screen, self._read_history, group="history", exclusive=True)

    async def _read_history(self) -> None:
        here, pane = cockpit_of(self._screen).here(), self._screen.query_one(HistoryPane)
        try:
            pane.show(await ask(self._screen, lambda api: api.history(*here, self._order_id)))
        except ProblemError as error:
            pane.tell(error.problem)

    # ---- the log

    def show_log_of(self, host: HostRunView) -> None:
        """The present attempt at once; those before it are asked of the store, once per attempt."""
        if self.of_group.is_open:
            return
        present = present_attempt(host)
        asked, earlier = self._earlier
        if asked == (host.name, host.direction, host.attempt):
            self._screen.query_one(LogPane).show((*earlier, present))
            return
        self._screen.query_one(LogPane).show((present,))
        if host.attempt > 1 or host.direction is not Direction.FORWARD:
            in_worker(self._screen, self._look_up_earlier, host, group="attempts", exclusive=True)

    async def _look_up_earlier(self, host: HostRunView) -> None:
        here = cockpit_of(self._screen).here()
        try:
            found = await ask(self._screen, lambda api: api.attempts(*here, self._order_id, host=host.name))
        except ProblemError:
            # the watch says that the store can't be read; the next change asks again
            return
        others = tuple(attempt for attempt in found if attempt.log_path != host.log_path)
        self._earlier = (host.name, host.direction, host.attempt), others
        if self._screen.query_one(HostTable).chosen_key == host.name and not self.of_group.is_open:
            self._screen.query_one(LogPane).show((*others, present_attempt(host)))
