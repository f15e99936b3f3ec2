"""`cockpit order events`: the history of an order, who did what, when and why, and with --all what the engine did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cockpit.cli.command import command
from cockpit.cli.order import Order
from cockpit.cli.order_acts import app
from cockpit.cli.output import at, print_json, print_table, say
from cockpit.cli.session import Session
from screens import words
from screens.report import every_event
from screens.translate import N_, _, tr

if TYPE_CHECKING:
    from engine.views.acts import EventView, HistoryView

__all__ = ["app"]
_TITLES = (N_("when"), N_("who"), N_("what"), N_("outcome"), N_("why"))


@command(app, "events", example="cockpit order events 12 --all")
def events(
    session: Session,
    order: Order,
    everything: Annotated[bool, typer.Option("--all", help="Also what the engine did, one line per event.")] = False,
) -> None:
    """Who did what to an order, when and why, refusals included. Kept after its end."""
    with session.api() as api:
        place = session.place(api)
        history = api.history(*place, order)
        done = tuple(every_event(api, order)) if everything else ()
    if session.json:
        print_json({"history": history, "events": done} if everything else history)
    elif everything:
        _show_all(history, done)
    elif history:
        print_table(_TITLES, [_row(each) for each in history])
    else:
        say(_("Nobody has done anything to this order yet."))


def _row(each: HistoryView) -> tuple[object, ...]:
    return at(each.at), words.who(each), tr(each.said), words.outcome_line(each), each.reason


def _show_all(history: tuple[HistoryView, ...], done: tuple[EventView, ...]) -> None:
    """By time. The engine's answers are among its events, so what people asked is marked."""
    asked = [each for each in history if each.operator]
    lines = [(each.at, f"* {each.operator}: {' '.join(map(str, _row(each)[2:]))}".rstrip()) for each in asked]
    lines += [(event.at, f"  {tr(event.sentence)}") for event in done]
    for time_s, line in sorted(lines, key=lambda each: each[0]):
        say(f"{at(time_s)} {line}")
