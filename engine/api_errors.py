"""Why the engine's api can't answer, one sentence each, and the one family of errors that its callers know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError
from engine.domain.states import Act
from engine.views.acts import CommandView
from engine.views.preview import OrderPreview


class ApiError(ProblemError):
    """What was asked for can't be answered: codes `store_unreachable`, `store_too_old`, `no_such_order`, `no_such_app`,
    `no_such_workspace`, `order_refused`, `no_engine`, …"""


class OrderRefused(ApiError):
    """`order_refused`: `problems` names everything that forbids the order, as the preview does."""

    def __init__(self, problem: Problem, problems: tuple[Problem, ...]) -> None:
        super().__init__(problem)
        self.problems = problems


@contextmanager
def as_api_errors() -> Iterator[None]:
    """Callers know one error family: the store's and the readers' problems leave as ApiError."""
    try:
        yield
    except ApiError:
        raise
    except ProblemError as error:
        raise ApiError(error.problem) from error


def order_refused(view: OrderPreview) -> OrderRefused:
    named = " ".join(str(problem.what) for problem in view.problems)
    remedies = " ".join(dict.fromkeys(str(problem.remedy) for problem in view.problems))
    return OrderRefused(
        Problem(
            "order_refused",
            message("The order ({kind}) is refused: {problems}", kind=view.kind, problems=named),
            message("{remedies}", remedies=remedies),
        ),
        view.problems,
    )


def order_ended(order_id: int, state: str) -> Problem:
    return Problem(
        "order_ended",
        message("Order #{id} has ended ({state}): no act can change it any more.", id=order_id, state=state),
        message("To go back to an earlier version, roll it back: that is an order of its own."),
    )


def order_open(order_id: int, state: str) -> Problem:
    return Problem(
        "order_open",
        message("Order #{id} has not ended ({state}): roll back that order itself.", id=order_id, state=state),
        message("Look at the order and roll it back as it is now."),
    )


def no_weights_given() -> Problem:
    return Problem(
        "no_weights_given", message("No host and weight were given."), message("Name a host and its weight.")
    )


def nothing_chosen(act: Act) -> Problem:
    return Problem(
        "nothing_chosen",
        message("{act}: nothing was chosen.", act=str(act)),
        message("Say for which host, group, number or operator."),
    )


def reason_missing(act: Act) -> Problem:
    return Problem(
        "reason_missing",
        message("{act} needs a reason.", act=str(act)),
        message("Say why in a few words; it is kept in the audit."),
    )


def no_answer(command_id: int, timeout_s: float) -> Problem:
    return Problem(
        "no_engine",
        message("No engine answered command {id} within {timeout_s} s.", id=command_id, timeout_s=timeout_s),
        message("Start an engine with `cockpit engine`; the command waits and is answered then."),
    )


def engine_silent(command_id: int, silent_s: float) -> Problem:
    return Problem(
        "engine_silent",
        message("An engine is alive but has not picked up command {id} for {s} s.", id=command_id, s=int(silent_s)),
        message("Read the engine's log: the store or a disk may be slow. The command waits and is answered then."),
    )


def still_working(view: CommandView, done_within_s: float) -> Problem:
    return Problem(
        "still_working",
        message("{act} is still at work after {s} s.", act=str(view.act), s=int(done_within_s)),
        view.waits_for or message("Look at the order: it shows what is being waited for."),
    )
