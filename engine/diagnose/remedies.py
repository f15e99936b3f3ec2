"""Remedies that are a step: what the cockpit can do about a failure itself, on one key, and for which failures. Data.

A remedy with a `step` runs that step of `engine.steps.registry` on the host. One without changes how the failed step is tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.diagnose.deck import CARDS
from engine.domain.message import Message, message

RESTART_AGENT, SHOW_FOLDERS, LONGER_DEADLINE = "restart_agent", "show_folders", "longer_deadline"
LONGEST_DEADLINE_S = 4 * 3600


@dataclass(frozen=True, slots=True)
class Remedy:
    """`word` is its name for operators. `means` says on {hosts} what is done, before it is asked for."""

    name: str
    word: Message
    means: Message
    step: str = ""


_ROWS = (
    Remedy(
        RESTART_AGENT,
        message("restart the agent"),
        message("restarts StarAgent (agent.sh restart) and waits until it is connected, on {hosts}"),
        step=RESTART_AGENT,
    ),
    Remedy(
        SHOW_FOLDERS,
        message("biggest folders, free space"),
        message("lists the biggest folders and the free space of {hosts}; deletes nothing"),
        step=SHOW_FOLDERS,
    ),
    Remedy(
        LONGER_DEADLINE,
        message("longer deadline"),
        message("gives the step that ran out of time a longer deadline, in this order only: {hosts}"),
    ),
)
REMEDIES: Mapping[str, Remedy] = {row.name: row for row in _ROWS}

# What the check of an order finds without a step's log, and a login without a step.
_BESIDES = {"disk_low": SHOW_FOLDERS, "health_check_timed_out": LONGER_DEADLINE}
_REMEDY_OF: Mapping[str, Remedy] = {
    code: REMEDIES[name]
    for code, name in (*((card.code, card.remedy_step) for card in CARDS), *_BESIDES.items())
    if name
}


def remedy_of(code: str) -> Remedy | None:
    """What can be done by a step about a problem of that code."""
    return _REMEDY_OF.get(code)
