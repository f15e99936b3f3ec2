"""`cockpit order watch`: an order followed to its end. On a terminal a live tree with the gate's key, else a line per event."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cockpit.cli.command import command
from cockpit.cli.exit_codes import FAILED, of_order
from cockpit.cli.order import Order, say_next
from cockpit.cli.order_clone import app
from cockpit.cli.output import at, nobody_reads, print_json_line, say
from cockpit.cli.session import Session
from screens.translate import tr

if TYPE_CHECKING:
    from engine.api import Api
    from engine.views.acts import EventView
    from engine.views.orders import OrderView

__all__ = ["app"]


@command(app, "watch", example="cockpit order watch 12")
def watch(
    session: Session,
    order: Order,
    after: Annotated[
        int | None, typer.Option("--after", min=0, help="Lines, and only of events after this one.")
    ] = None,
    lines: Annotated[bool, typer.Option("--lines", help="One line per event, on a terminal too.")] = False,
) -> int:
    """Follow an order until it ends: 0 succeeded, 1 anything else.

    On a terminal it is a tree that is kept up to date, and c confirms or starts once what follows was shown; it goes on while the
    order waits. Elsewhere, and with --json, it is one line per event, and it ends with 3 when the order waits for a person."""
    with session.api() as api:
        place = session.place(api)
        if not api.order(*place, order).state.complete:
            session.ensure_engine()
        if not (session.json or lines or after is not None) and sys.stdin.isatty() and sys.stdout.isatty():
            from cockpit.cli.live_tree import LiveTree

            view = LiveTree(session, api, place, order).follow()
            say_next(view)
            return of_order(view.state)
        return _lines(session, api, place, order, after or 0)


def _lines(session: Session, api: Api, place: tuple[str, str], order: int, after: int) -> int:
    from cockpit.cli.waiting import follow
    from engine.views.orders import OrderView

    for each in follow(api, place, order, after=after, keep_alive=session.ensure_engine):
        if isinstance(each, OrderView):
            return _ended(session, each)
        _show_event(session, each)
        if nobody_reads():
            return FAILED
    return FAILED


def _show_event(session: Session, event: EventView) -> None:
    if session.json:
        print_json_line(event)
    else:
        say(f"{at(event.at)}  {tr(event.sentence)}")


def _ended(session: Session, view: OrderView) -> int:
    if session.json:
        print_json_line({"order": view.id, "state": view.state, "next": view.next})
    else:
        say_next(view)
    return of_order(view.state)
