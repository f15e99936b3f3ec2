"""Waiting for the engine from the command line: until an order is checked, until an act is answered, until it ends.

Every wait keeps an engine alive (`keep_alive` starts one when there is none) and has a deadline. What was asked for is in the store
before the wait begins, so a wait that ends without an answer never says that nothing happened.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cockpit.cli.output import tell_working
from cockpit.cli.wrong_use import Unanswered
from engine.api import DONE_WITHIN_S
from engine.domain.message import Message, message
from engine.domain.problem import Problem, ProblemError
from engine.domain.states import Act, CommandState, OrderState

if TYPE_CHECKING:
    from engine.api import Api
    from engine.views.acts import CommandView, EventView
    from engine.views.orders import OrderView

CHECKED_S = 300.0  # a check asks every host, and maybe a person for a one-time password
ANSWER_S = 30.0
TOLD_AFTER_S = 2.0  # what an act waits for is said when there is time to read it
LOOK_EVERY_S = 1.0
Place = tuple[str, str]
KeepAlive = Callable[[], None]


def wait_checked(
    api: Api, place: Place, order_id: int, keep_alive: KeepAlive, *, timeout_s: float = CHECKED_S
) -> OrderView:
    """The order once its check has ended, well or not. Raises Unanswered, and ApiError when there is no such order."""
    view = api.order(*place, order_id)
    with _in_the_store(_not_checked(order_id), order_id):
        deadline = time.monotonic() + timeout_s
        while view.state is OrderState.INITIALISING:
            if time.monotonic() >= deadline:
                what = message("Order #{id} is still being checked after {s} s.", id=order_id, s=round(timeout_s))
                raise Unanswered(Problem("still_initialising", what, _goes_on(order_id)), order_id)
            token = api.change_token()
            if not api.engine_alive():
                keep_alive()
            api.wait_change(token, timeout_s=LOOK_EVERY_S)
            view = api.order(*place, order_id)
    return view


def checked_by_an_engine(api: Api, place: Place, order_id: int, keep_alive: KeepAlive) -> OrderView:
    """The order once an engine is alive that checks it. Raises Unanswered."""
    with _in_the_store(_not_checked(order_id), order_id):
        keep_alive()
        return api.order(*place, order_id)


def answered(
    api: Api, order_id: int, act: Act, command_id: int, keep_alive: KeepAlive, *, timeout_s: float = ANSWER_S
) -> CommandView:
    """The engine's answer to an act. What one that takes its time waits for is told, and it has longer. Raises Unanswered."""
    still = message(
        "{act} of order #{id} was sent but not answered: an engine does it, or refuses it, as soon as one runs.",
        act=str(act),
        id=order_id,
    )
    with _in_the_store(still, order_id):
        begun = time.monotonic()
        deadline = begun + timeout_s
        said: Message | None = None
        while True:
            token = api.change_token()
            view = api.command(command_id)
            if view.state.answered:
                return view
            if view.state is CommandState.WORKING:
                deadline = begun + DONE_WITHIN_S
                if view.waits_for != said and time.monotonic() - begun >= TOLD_AFTER_S:
                    said = view.waits_for
                    tell_working(view)
            if time.monotonic() >= deadline:
                raise Unanswered(Problem("not_answered", still, _goes_on(order_id)), order_id)
            if not api.engine_alive():
                keep_alive()
            api.wait_change(token, timeout_s=LOOK_EVERY_S)


def follow(
    api: Api, place: Place, order_id: int, *, after: int = 0, keep_alive: KeepAlive = lambda: None
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


@contextmanager
def _in_the_store(still: Message, order_id: int) -> Iterator[None]:
    """Whatever ends the wait (no engine can be started, the store is away): what was asked for stays asked for."""
    try:
        yield
    except Unanswered:
        raise
    except ProblemError as error:
        evidence = "\n".join(filter(None, (str(error.problem.what), error.problem.evidence)))
        raise Unanswered(Problem("not_answered", still, error.problem.remedy, evidence), order_id) from error


def _not_checked(order_id: int) -> Message:
    return message("Order #{id} is stored but not checked yet; nothing has started.", id=order_id)


def _goes_on(order_id: int) -> Message:
    return message("Don't send it again; `cockpit order watch {id}` shows what becomes of it.", id=order_id)
