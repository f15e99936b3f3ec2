"""`cockpit order clone`: an order once more, with the same apps, groups and weights, and what is different since."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from cockpit.cli.command import command
from cockpit.cli.order import Order
from cockpit.cli.order_remedy import app
from cockpit.cli.output import note
from cockpit.cli.release import Override, create_order, preview_order
from cockpit.cli.session import Session
from screens.translate import tr

__all__ = ["app"]


@command(app, "clone", example="cockpit order clone 12 --wait")
def clone(
    session: Session,
    order: Order,
    preview: Annotated[bool, typer.Option("--preview", help="Show what it would be and create nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has been checked.")] = False,
    override_reason: Override = "",
    reason: Annotated[str, typer.Option("--reason", help="Why; empty: the number of the order that is cloned.")] = "",
) -> int:
    """Create an order with the same apps, versions, groups and weights as an earlier one, and print its number; nothing starts.

    What has changed since is said on stderr: hosts that are gone are left out, a version that is gone is refused."""
    from screens.cloning import read_clone

    with session.api() as api:
        found = read_clone(api, session.place(api), order)
    spec = replace(found.spec, override_reason=override_reason, reason=reason or found.spec.reason)
    for line in found.changed:
        note(tr(line))
    return preview_order(session, spec) if preview else create_order(session, spec, wait=wait)
