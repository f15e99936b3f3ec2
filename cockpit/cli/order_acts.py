"""`cockpit order …` on single hosts, groups and the order as a whole: retry, skip, exclude, limits, pause-before, hand-over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cockpit.cli.command import command
from cockpit.cli.named import group_of, hosts_of
from cockpit.cli.order import Hosts, Order, Reason, act_on, app
from cockpit.cli.session import Session
from cockpit.cli.wrong_use import WrongUse
from engine.domain.acts import AnyAct, Exclude, HandOver, PauseBefore, Retry, SetLimits, Skip
from engine.domain.message import message
from engine.domain.problem import Problem
from engine.domain.states import RunState

if TYPE_CHECKING:
    from engine.views.orders import OrderView

__all__ = ["app"]
Host = Annotated[str, typer.Option("--host", metavar="NAME", help="Which host.")]


@command(app, "retry", example="cockpit order retry 12 --host hz-01")
def retry(
    session: Session,
    order: Order,
    host: Hosts = None,
    group: Annotated[str, typer.Option("--group", metavar="KEY", help="Only what failed in this group.")] = "",
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Do everything again, also what is done and still so.")
    ] = False,
) -> int:
    """Try the failed hosts again: all of them, those of a group, or those named. Each begins at the step that failed, if it
    says itself that what was before is still so."""

    def asked(view: OrderView) -> AnyAct:
        named = tuple(run.name for run in hosts_of(view, host)) if host else ()
        return Retry(named or _failed_in(view, group), from_start)

    return act_on(session, order, asked)


def _failed_in(view: OrderView, group: str) -> tuple[str, ...]:
    """Nothing for no group: all that failed. Raises WrongUse."""
    if not group:
        return ()
    node = group_of(view, group)
    failed = tuple(run.name for run in view.hosts if run.node == node.key and run.state is RunState.FAILED)
    if failed:
        return failed
    what = message("No host of {group} has failed in order #{id}.", group=group, id=view.id)
    raise WrongUse(Problem("nothing_failed", what, message("There is nothing to retry.")))


@command(app, "skip", example='cockpit order skip 12 --host hz-01 --step deploy --reason "deployed by hand"')
def skip(
    session: Session,
    order: Order,
    host: Host,
    reason: Reason,
    step: Annotated[
        str,
        typer.Option("--step", metavar="KEY", help="Only this step, at which it failed; the host goes on behind it."),
    ] = "",
) -> int:
    """Skip the step at which a host failed, or go on without the host. Traffic is never skipped: it comes back behind a
    health check, or the host stays at weight 0 and is listed by `cockpit weights orphans`."""
    return act_on(session, order, lambda view: Skip(hosts_of(view, [host])[0].name, step), reason=reason)


@command(app, "exclude", example='cockpit order exclude 12 --host hz-01 --reason "disk broken"')
def exclude(session: Session, order: Order, host: Host, reason: Reason) -> int:
    """Take a host out of a running order: one that has not begun, or that failed. It keeps what it runs, gets back the weight
    it had if its health check passes, and a rollback of this order leaves it as it is."""
    return act_on(session, order, lambda view: Exclude(hosts_of(view, [host])[0].name), reason=reason)


@command(app, "limits", example="cockpit order limits 12 --parallelism 5 --max-failures 1")
def limits(
    session: Session,
    order: Order,
    parallelism: Annotated[
        int | None, typer.Option("--parallelism", min=1, metavar="N", help="How many hosts are at work at once.")
    ] = None,
    max_failures: Annotated[
        int | None, typer.Option("--max-failures", min=0, metavar="N", help="How many hosts of a group may fail.")
    ] = None,
) -> int:
    """Change how many hosts are at work at once, and how many of a group may fail, while the order runs: from the next host on."""
    if parallelism is None and max_failures is None:
        what = message("Neither --parallelism nor --max-failures was given.")
        raise WrongUse(Problem("nothing_chosen", what, message("Give one of them, or both.")))
    return act_on(session, order, SetLimits(parallelism, max_failures))


@command(app, "pause-before", example="cockpit order pause-before 12 --group group-2")
def pause_before(
    session: Session,
    order: Order,
    group: Annotated[str, typer.Option("--group", metavar="KEY", help="Which group: its key, as `order show` has it.")],
    off: Annotated[bool, typer.Option("--off", help="Do not pause before it any more.")] = False,
) -> int:
    """Pause the order when the turn of a group comes, before any of its hosts begins."""
    return act_on(session, order, lambda view: PauseBefore(group_of(view, group).key, off))


@command(app, "hand-over", example="cockpit order hand-over 12 --to bob")
def hand_over(
    session: Session,
    order: Order,
    to: Annotated[str, typer.Option("--to", metavar="OPERATOR", help="Who is responsible from here on.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the audit.")] = "",
) -> int:
    """Hand an order over to another operator, who is responsible for it from here on."""
    return act_on(session, order, HandOver(to), reason=reason)
