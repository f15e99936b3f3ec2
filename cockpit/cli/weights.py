"""`cockpit weights …`: what orders that have ended left behind at the balancers, and giving it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cockpit.cli.command import command, group
from cockpit.cli.exit_codes import DONE, FAILED
from cockpit.cli.output import at, note, print_json, print_problem, print_table, say
from cockpit.cli.session import Session
from engine.domain.acts import GiveBack
from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError
from screens.translate import N_, _

if TYPE_CHECKING:
    from engine.api import Api
    from engine.views.acts import CommandView
    from engine.views.orders import OrphanView

app = group("weights", "Weights that no living order owns.")

_TITLES = (
    N_("order"),
    N_("app"),
    N_("ended"),
    N_("host"),
    N_("server group"),
    N_("recorded"),
    N_("gets back"),
    N_("now"),
)


@command(app, "orphans", example="cockpit weights orphans")
def orphans(session: Session) -> int:
    """List the weights that ended orders left behind. Exits with 0 when there are none, 1 when there are."""
    with session.api() as api:
        found = api.orphans(*session.place(api))
    if session.json:
        print_json(found)
    elif not found:
        say(_("Every weight that an order moved was given back."))
    else:
        print_table(_TITLES, [_row(each) for each in found])
    return FAILED if found else DONE


@command(app, "give-back", example='cockpit weights give-back --host hz-01 --reason "repaired"')
def give_back(
    session: Session,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")],
    order: Annotated[int | None, typer.Option("--order", metavar="ORDER", help="Only what this order left.")] = None,
    host: Annotated[
        list[str] | None, typer.Option("--host", metavar="NAME", help="Only this host; repeat for several.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Without a health check.")] = False,
) -> int:
    """Give back weights that were left behind, each if a health check on its host passes.

    Exits with 1 when one was left as it is, and says why."""
    with session.api() as api:
        place = session.place(api)
        wanted = _wanted(api.orphans(*place), order, host or [])
        session.ensure_engine()
        answers = [
            _send(session, api, place, each, GiveBack(tuple(hosts), force), reason) for each, hosts in wanted.items()
        ]
    if session.json:
        print_json(answers)
    for answer in answers:
        if session.json:
            continue
        if answer.problem:
            print_problem(answer.problem, as_json=False)
        else:
            note(
                _("#{order}: given back: {hosts}").format(
                    order=answer.order_id, hosts=" ".join(wanted[answer.order_id])
                )
            )
    return FAILED if any(answer.problem for answer in answers) else DONE


def _wanted(found: tuple[OrphanView, ...], order: int | None, hosts: list[str]) -> dict[int, list[str]]:
    """Order → the hosts it is to give back. Raises ProblemError `nothing_left_behind`."""
    wanted: dict[int, list[str]] = {}
    for each in found:
        if order in (None, each.order) and (not hosts or each.host in hosts):
            of_order = wanted.setdefault(each.order, [])
            of_order += [each.host] if each.host not in of_order else []
    missing = [host for host in hosts if not any(host in given for given in wanted.values())]
    if not wanted or missing:
        raise ProblemError(
            Problem(
                "nothing_left_behind",
                message("No weight was left behind there: {what}.", what=", ".join(missing) or "-"),
                message("`cockpit weights orphans` lists what is left."),
            )
        )
    return wanted


def _send(session: Session, api: Api, place: tuple[str, str], order: int, act: GiveBack, reason: str) -> CommandView:
    from cockpit.cli.waiting import answered

    session.say_standing(api, place)
    return answered(api, order, act.name, api.send(*place, order, act, reason=reason), session.ensure_engine)


def _row(each: OrphanView) -> tuple[object, ...]:
    group = f"{each.balancer}/{each.server_group or 'default'}" + (f":{each.port}" if each.port else "")
    now = "?" if each.now is None else str(each.now)
    return f"#{each.order}", ", ".join(each.apps), at(each.ended_at), each.host, group, each.recorded, each.due, now
