"""What a command's exit code says: one table for all commands. Scripts depend on these numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.domain.problem import Problem
from engine.domain.states import OrderState

DONE: Final = 0
FAILED: Final = 1
WRONG_USE: Final = 2
WAITING: Final = 3
UNANSWERED: Final = 4
INTERRUPTED: Final = 130
MEANINGS: Mapping[int, str] = {
    DONE: "done; when following an order: it succeeded",
    FAILED: "failed, or refused as things are now; stderr says why and what to do next",
    WRONG_USE: "wrong use: options that make no sense, or an unknown name or number",
    WAITING: "the order waits for a person",
    UNANSWERED: "sent and stored, but not answered in time; stderr says what will become of it",
    INTERRUPTED: "Ctrl+C; stderr says what goes on",
}
_OTHER_WRONG_NAMES: Final = frozenset(
    {"package_unknown", "beta_host_unknown", "preset_host_unknown", "group_host_unknown", "no_workspace"}
)


def of_problem(problem: Problem) -> int:
    """A name that nothing has is wrong use, whichever part of the cockpit finds it out."""
    named_wrongly = problem.code.startswith("no_such_") or problem.code in _OTHER_WRONG_NAMES
    return WRONG_USE if named_wrongly else FAILED


def of_problems(*problems: Problem) -> int:
    """Of several at once: wrong use when any name is wrong, as nothing else counts before that is put right."""
    return max(map(of_problem, problems), default=FAILED)


def of_order(state: OrderState) -> int:
    """Of following an order until it ends or waits: done is only what it was made for."""
    if state is OrderState.SUCCEEDED:
        return DONE
    if state.halts and state is not OrderState.INIT_FAILED:
        return WAITING
    return FAILED
