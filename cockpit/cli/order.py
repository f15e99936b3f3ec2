"""`cockpit order …`: looking at orders, following them, and every act on one. An act ends when the engine has answered it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cockpit.cli.command import command, group
from cockpit.cli.exit_codes import DONE, FAILED
from cockpit.cli.named import check_choice, gate_of, weights_for
from cockpit.cli.order_file import print_spec
from cockpit.cli.order_now import limits_and_responsible
from cockpit.cli.output import (
    at,
    note,
    print_json,
    print_problem,
    print_table,
    said_of,
    say,
)
from cockpit.cli.session import Session
from engine.domain.acts import AnyAct, Cancel, Confirm, Initialise, Pause, Resume, RollBack, SetWeights, Start
from engine.domain.message import message
from engine.domain.problem import Problem
from engine.domain.states import Act, CommandState, OrderState
from engine.views.acts import GATE_WITHOUT_TRAFFIC
from screens import expected_words, words
from screens.translate import N_, _, tr

if TYPE_CHECKING:
    from engine.api import Api
    from engine.views.orders import OrderView

app = group("order", "Look at orders and act on them.")

Order = Annotated[int, typer.Argument(metavar="ORDER", help="The order's number.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the audit.")]
Hosts = Annotated[list[str] | None, typer.Option("--host", metavar="NAME", help="Only this host; repeat for several.")]


# ------------------------------------------------------------------------------------------------------------ looking


@command(app, "list", example="cockpit order list --open")
def list_orders(
    session: Session,
    open_only: Annotated[bool, typer.Option("--open", help="Only those that have not ended.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most this many, newest first.")] = 50,
) -> None:
    """The orders of the workspace, newest first."""
    with session.api() as api:
        rows = api.orders(*session.place(api), open_only=open_only, limit=limit)
    if session.json:
        print_json(rows)
        return
    titles = (
        N_("order"),
        N_("kind"),
        N_("app"),
        N_("version"),
        N_("state"),
        N_("hosts"),
        N_("failed"),
        N_("by"),
        N_("created"),
    )
    print_table(
        titles,
        [
            (
                f"#{row.id}",
                row.kind,
                row.subject,
                words.versions_asked(row.kind, row.versions),
                row.shown,
                f"{row.done_hosts}/{row.hosts}",
                row.failed_hosts or "",
                row.created_by,
                at(row.created_at),
            )
            for row in rows
        ],
    )


@command(app, "show", example="cockpit order show 12")
def show(
    session: Session,
    order: Order,
    spec: Annotated[
        bool, typer.Option("--spec", help="As it was asked for, as the file that `release create --file` reads.")
    ] = False,
) -> None:
    """An order as it is now: its nodes, its hosts, and what it waits for."""
    if spec:
        print_spec(session, order)
        return
    with session.api() as api:
        view = api.order(*session.place(api), order)
    if session.json:
        print_json(view)
    else:
        _show(view)


@command(app, "log", example="cockpit order log 12 --host hz-01 --follow")
def log(
    session: Session,
    order: Order,
    host: Hosts = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow until the order ends or waits.")] = False,
    latest: Annotated[bool, typer.Option("--latest", help="Only the newest attempt of each host.")] = False,
    node: Annotated[
        list[str] | None,
        typer.Option("--group", metavar="KEY", help="The hosts of this group, merged by time; repeat for several."),
    ] = None,
) -> int:
    """The logs of an order's hosts: all attempts, rollback included; of a failed host the failed attempt first.

    With --group the lines of all its hosts stand in the order in which they were written, each with its time and host."""
    from cockpit.cli.group_logs import print_merged
    from cockpit.cli.host_logs import print_logs

    with session.api() as api:
        place = session.place(api)
        keep_alive = session.ensure_engine if follow else None
        if node:
            return print_merged(api, place, order, node, host or (), keep_alive=keep_alive, as_json=session.json)
        return print_logs(api, place, order, host or (), latest=latest, keep_alive=keep_alive, as_json=session.json)


# ------------------------------------------------------------------------------------------------------------- acting


@command(app, "initialise", example="cockpit order initialise 12")
def initialise(session: Session, order: Order) -> int:
    """Check every host and package again, after the problems have been fixed."""
    return act_on(session, order, Initialise())


@command(app, "start", example="cockpit order start 12")
def start(session: Session, order: Order) -> int:
    """Start an order; waits while it is still being checked."""
    from cockpit.cli.waiting import wait_checked

    with session.api() as api:
        place = session.place(api)
        view = wait_checked(api, place, order, session.ensure_engine)
        if view.state is OrderState.INIT_FAILED:
            return _not_ready(session, view)
        return _send(session, api, place, order, Start())


@command(app, "confirm", example="cockpit order confirm 12")
def confirm(
    session: Session,
    order: Order,
    node: Annotated[str, typer.Option("--node", metavar="KEY", help="Which gate, when several wait.")] = "",
) -> int:
    """Confirm the waiting gate, so that what comes after it starts."""
    with session.api() as api:
        place = session.place(api)
        view = api.order(*place, order)
        session.ensure_engine()
        return _send(session, api, place, order, Confirm(gate_of(view, node).key))


@command(app, "weights", example="cockpit order weights 12 --weight 50 --host hz-01")
def weights(
    session: Session,
    order: Order,
    weight: Annotated[list[str], typer.Option("--weight", metavar="N|HOST=N", help="A weight of 0–100.")],
    host: Hosts = None,
) -> int:
    """Set weights of the waiting gate's hosts: --weight 50 for all of them or those named, --weight hz-01=50 for one."""
    with session.api() as api:
        place = session.place(api)
        wanted = weights_for(api.order(*place, order), weight, host or [])
        session.ensure_engine()
        return _send(session, api, place, order, SetWeights(wanted))


@command(app, "pause", example="cockpit order pause 12")
def pause(session: Session, order: Order) -> int:
    """Start no more hosts. Those at work stop before their next step on the balancer, perhaps at weight 0, until the order
    is resumed; a job on a host finishes first."""
    return act_on(session, order, Pause())


@command(app, "resume", example="cockpit order resume 12")
def resume(session: Session, order: Order) -> int:
    """Go on after a pause."""
    return act_on(session, order, Resume())


@command(app, "cancel", example='cockpit order cancel 12 --reason "wrong package"')
def cancel(session: Session, order: Order, reason: Reason) -> int:
    """End the order without going on; weights go back where health allows."""
    return act_on(session, order, Cancel(), reason=reason)


@command(app, "rollback", example='cockpit order rollback 12 --reason "errors on hz-01"')
def rollback(
    session: Session,
    order: Order,
    reason: Reason,
    version: Annotated[
        str,
        typer.Option("--version", metavar="V", help="Which version that succeeded here; needed when it is not clear."),
    ] = "",
    override_reason: Annotated[
        str, typer.Option("--override-reason", help="Why the capacity floor may be broken.")
    ] = "",
) -> int:
    """Return the hosts to the version they ran before.

    If the order has ended, this creates, checks and starts a new order and prints its number."""
    with session.api() as api:
        place = session.place(api)
        view = api.order(*place, order)
        act = RollBack(version, override_reason)
        check_choice(order, api.consequence(*place, order, act))
        session.ensure_engine()
        if not view.state.complete:
            return _send(session, api, place, order, act, reason=reason)
        rollback_id = api.create_rollback(*place, order, act, reason=reason)
        return _start_rollback(session, api, place, rollback_id)


def act_on(session: Session, order: int, act: AnyAct | Callable[[OrderView], AnyAct], *, reason: str = "") -> int:
    """`act` may be made of the order as it is. Raises WrongUse for what the order lacks."""
    with session.api() as api:
        place = session.place(api)
        view = api.order(*place, order)  # what is not here is said to be so before an engine is started for nothing
        asked = act(view) if callable(act) else act
        session.ensure_engine()
        return _send(session, api, place, order, asked, reason=reason)


def _send(
    session: Session,
    api: Api,
    place: tuple[str, str],
    order: int,
    act: AnyAct,
    *,
    reason: str = "",
) -> int:
    """Send the command and wait for the engine's answer: 0 accepted, 1 refused, with the reason. Raises Unanswered."""
    from cockpit.cli.waiting import answered

    session.say_standing(api, place)
    answer = answered(api, order, act.name, api.send(*place, order, act, reason=reason), session.ensure_engine)
    if answer.problem:
        answer = replace(answer, problem=for_the_command_line(answer.problem, order))
    if session.json:
        print_json({"error": answer.problem, **_as_dict(answer)} if answer.problem else answer)
    elif answer.problem:
        print_problem(answer.problem, as_json=False)
    else:
        note(_("#{order} {act}: accepted").format(order=order, act=act.name))
    return DONE if answer.state is CommandState.ACCEPTED else FAILED


def _as_dict(answer: object) -> dict[str, Any]:
    from engine.views.values import to_json

    found: dict[str, Any] = to_json(answer)
    return {name: value for name, value in found.items() if name != "problem"}


def _not_ready(session: Session, view: OrderView) -> int:
    problem = Problem(
        "init_failed",
        message("Order #{id} can't be started: its check found problems.", id=view.id),
        message("Fix them, then run `cockpit order initialise {id}`.", id=view.id),
        "\n".join(said_of(host, found) for host, found in view.problems),
    )
    print_problem(problem, as_json=session.json)
    return FAILED


def _start_rollback(session: Session, api: Api, place: tuple[str, str], order_id: int) -> int:
    from cockpit.cli.waiting import wait_checked

    if not session.json:
        say(str(order_id))
    view = wait_checked(api, place, order_id, session.ensure_engine)
    if view.state is OrderState.INIT_FAILED:
        return _not_ready(session, view)
    return _send(session, api, place, order_id, Start())


# ------------------------------------------------------------------------------------------------------------- saying


def _show(view: OrderView) -> None:
    title = _("order #{id} {what}").format(id=view.id, what=words.order_words(view.kind, view.versions))
    say(f"{view.tenant} / {view.workspace} / {view.subject} / {title}  {view.shown}")
    say(_("created {at} by {operator}").format(at=at(view.created_at), operator=view.created_by))
    if view.expected is not None:
        for line in expected_words.lines(view.expected, time.time()):
            say(line)
    for line in limits_and_responsible(view):
        say(line)
    nodes = [
        (node.key, node.shown, f"{node.done}/{len(node.hosts)}" if node.kind.runs_hosts else "", " ".join(node.hosts))
        for node in view.nodes
        if node.direction is view.direction
    ]
    print_table((N_("node"), N_("state"), N_("done"), N_("hosts")), nodes)
    say()
    several = len(view.apps) > 1
    hosts = [
        (
            *((run.app,) if several else ()),
            run.name,
            run.shown,
            run.step,
            words.version_word(run),
            " ".join(str(line.recorded if line.confirmed is None else line.confirmed) for line in run.weights),
            tr(run.problem.what) if run.problem else tr(run.waits_for) if run.waits_for else "",
        )
        for run in view.hosts
    ]
    about = (N_("app"), N_("host")) if several else (N_("host"),)
    print_table((*about, N_("state"), N_("step"), N_("version"), N_("weight"), N_("problem")), hosts)
    for changed in (line.note for run in view.hosts for line in run.weights if line.note):
        note(f"{tr(changed.what)} {tr(changed.remedy)}")
    say()
    for balancer in view.balancers:
        say(
            _("{group}: {now} of {hosts} in service, floor {floor}").format(
                group=f"{balancer.balancer}/{balancer.server_group}",
                now=balancer.in_service,
                hosts=balancer.hosts,
                floor=balancer.floor,
            )
        )
        if balancer.silent:
            note(_("These have a weight but do not answer: {hosts}.").format(hosts=", ".join(balancer.silent)))
        if balancer.cannot_tell:
            hosts_unsure = ", ".join(balancer.cannot_tell)
            note(_("Cannot tell whether these answer; they count as out: {hosts}.").format(hosts=hosts_unsure))
    for host, problem in view.problems:
        note(said_of(host, problem))
    if view.problem:
        print_problem(view.problem, as_json=False)
    for act in view.at_work:
        what = {"since": at(act.since), "operator": act.operator, "act": act.act}
        say(_("{operator}: {act}, at work since {since}: {waits_for}").format(**what, waits_for=tr(act.waits_for)))
    say_next(view)


# what is typed for the act that an order waits for
_COMMANDS = {
    Act.INITIALISE: "cockpit order initialise {id}",
    Act.START: "cockpit order start {id}",
    Act.CONFIRM: "cockpit order confirm {id}",
    Act.SET_WEIGHTS: "cockpit order weights {id} --weight 10",
    Act.RETRY: "cockpit order retry {id}",
    Act.RESUME: "cockpit order resume {id}",
}


def say_next(view: OrderView) -> None:
    """What it waits for, and the command for it."""
    say(tr(view.next))
    expected = next((act.act for act in view.acts if act.allowed), None)
    if view.state.halts and expected in _COMMANDS:
        say(f"  {_COMMANDS[expected].format(id=view.id)}")


def for_the_command_line(problem: Problem, order: int) -> Problem:
    """What leads on is a command here."""
    if problem.code != GATE_WITHOUT_TRAFFIC:
        return problem
    remedy = message("`cockpit order weights {id} --weight 10` first, then `cockpit order confirm {id}`.", id=order)
    return replace(problem, remedy=remedy)
