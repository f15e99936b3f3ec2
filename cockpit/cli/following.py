"""Following an order from the command line: until it has been checked, until it ends, or until it waits for a person."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError
from engine.domain.states import OrderState

if TYPE_CHECKING:
    from engine.api import Api
    from engine.views import EventView, OrderView

CHECKED_S = 300.0  # the longest a check may take before the command gives up; the check itself goes on
LOOK_EVERY_S = 1.0
Place = tuple[str, str]


class StillWaiting(ProblemError):
    """What a command waited for did not come in time: code `still_initialising`."""


def wait_checked(api: Api, place: Place, order_id: int, *, timeout_s: float = CHECKED_S) -> OrderView:
    """The order once its check has ended, well or not. Raises StillWaiting, ApiError."""
    deadline = time.monotonic() + timeout_s
    while True:
        token = api.change_token()
        view = api.order(*place, order_id)
        if view.state is not OrderState.INITIALISING:
            return view
        if time.monotonic() >= deadline:
            raise StillWaiting(
                Problem(
                    "still_initialising",
                    message(
                        "Order #{id} is still being checked after {timeout_s} s.", id=order_id, timeout_s=timeout_s
                    ),
                    message("The check goes on; see `cockpit order show {id}`.", id=order_id),
                )
            )
        api.wait_change(token, timeout_s=LOOK_EVERY_S)


def follow(
    api: Api, place: Place, order_id: int, *, after: int = 0, keep_alive: Callable[[], None] = lambda: None
) -> Iterator[EventView | OrderView]:
    """Every event behind `after` as it comes, and last the order itself, once it has ended or waits for a person.

    `keep_alive` is called while nothing happens and the order is not waiting for anybody. Raises ApiError.
    """
    while True:
        token = api.change_token()
        view = api.order(*place, order_id)  # read before its events: nothing that led to this state is missed
        while events := api.events(order_id=order_id, after=after):
            yield from events
            after = events[-1].id
        if view.state.complete or view.state.halts:
            yield view
            return
        if not view.engine_alive:
            keep_alive()
        api.wait_change(token, timeout_s=LOOK_EVERY_S)
