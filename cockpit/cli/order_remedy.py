"""`cockpit order failures` and `cockpit order remedy`: the failure cards of an order, and what of them can be done by a step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from cockpit.cli.command import command
from cockpit.cli.order import Hosts, Order, act_on
from cockpit.cli.order_report import app
from cockpit.cli.output import note, print_json, said_of, say
from cockpit.cli.session import Session
from engine.diagnose.remedies import LONGEST_DEADLINE_S, REMEDIES
from engine.domain.acts import Remedy
from engine.domain.problem import Problem
from engine.domain.states import OrderState
from screens import words
from screens.translate import _, tr

if TYPE_CHECKING:
    from engine.views.orders import OrderView, RemedyView

__all__ = ["app"]


@command(app, "failures", example="cockpit order failures 12")
def failures(session: Session, order: Order) -> None:
    """What stands in the way of an order: each failure with what was seen, what to do, and the command where a step does it."""
    with session.api() as api:
        view = api.order(*session.place(api), order)
    found = list(_failures(view))
    if session.json:
        print_json(
            [{"host": host, "problem": problem, "remedy": remedy, "order": order} for host, problem, remedy in found]
        )
        return
    if not found:
        say(_("Nothing failed and nothing stands in the way."))
    for host, problem, remedy in found:
        say(said_of(host, problem))
        for line in problem.evidence.splitlines():
            say(f"  │ {line}")
        if remedy is not None:
            say(f"  {tr(remedy.word)} ({words.helped(remedy)}): cockpit order remedy {order} --host {host}")
            if remedy.last is not None:
                note(said_of(host, remedy.last))


@command(app, "remedy", example="cockpit order remedy 12 --host hz-01")
def remedy(
    session: Session,
    order: Order,
    host: Hosts = None,
    name: Annotated[
        str, typer.Option("--remedy", metavar="NAME", help=f"Only this one: {', '.join(REMEDIES)}. Default: to each host its own.")
    ] = "",
    deadline: Annotated[
        int,
        typer.Option("--deadline", metavar="SECONDS", min=0, max=LONGEST_DEADLINE_S,
                     help="Of longer_deadline: which. Default: twice the present one."),
    ] = 0,
) -> int:  # fmt: skip
    """Do what the failure cards offer as a step, then try these hosts again; of an order whose check failed, check again.

    All hosts whose card offers something, or those named. What it prints is kept: `cockpit order log`."""
    return act_on(session, order, Remedy(tuple(host or ()), name, deadline))


def _failures(view: OrderView) -> Iterator[tuple[str, Problem, RemedyView | None]]:
    """(host or empty, problem, what a step does about it), each once."""
    steps = {(each.host, each.code): each for each in view.remedies}
    told = (
        view.problems
        if view.state is OrderState.INIT_FAILED
        else [(run.name, run.problem) for run in view.hosts if run.problem]
    )
    seen = [problem for _host, problem in told]
    own = [("", view.problem)] if view.problem is not None and view.problem not in seen else []
    for host, problem in (*told, *own):
        yield host, problem, steps.get((host, problem.code))
