"""`cockpit order report`: what an order was and how it went, as a text to keep or to send on."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from cockpit.cli.command import command
from cockpit.cli.order import Order
from cockpit.cli.order_events import app
from cockpit.cli.output import print_json, say
from cockpit.cli.session import Session

__all__ = ["app"]


@command(app, "report", example="cockpit order report 12 --html > order-12.html")
def report(
    session: Session,
    order: Order,
    as_html: Annotated[bool, typer.Option("--html", help="One page for a browser instead of Markdown.")] = False,
) -> None:
    """What an order was, its course, weights over time, what failed and why, and who did what. At any time of its life."""
    from screens.report import html, markdown, read_report

    with session.api() as api:
        found = read_report(api, session.place(api), order, now=time.time())
    if session.json:
        print_json(found)
    else:
        say((html(found) if as_html else markdown(found)).rstrip("\n"))
