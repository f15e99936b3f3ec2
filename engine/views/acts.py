"""What is shown of acts: what one would mean, what is at work, what was done and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from engine.domain.message import Message
from engine.domain.problem import Problem
from engine.domain.states import (
    Act,
    CommandState,
)

GATE_WITHOUT_TRAFFIC = "gate_without_traffic"


@dataclass(frozen=True, slots=True)
class Consequence:
    """What an act would do if it were asked for now: shown before it is pressed.

    `lines` say it in whole sentences (hosts, traffic, floor, expected time); `refusal` says why it can't be done now.
    `hosts` are those it would touch.
    """

    act: Act
    allowed: bool
    refusal: Problem | None
    # for the "next" line: "confirms Beta and starts group 1 (2 hosts leave the balancer, 4 of 8 stay)"
    summary: Message
    lines: tuple[Message, ...]
    hosts: tuple[str, ...]
    asks_reason: bool = False
    type_to_confirm: str = ""  # production: the name to be typed where a reason is asked for
    # versions to choose from ("": the one each host ran before), a step to skip ("": the whole host), or operators
    choices: tuple[str, ...] = ()
    chosen: str = ""  # of the choices, what all this is said of
    makes_order: bool = False  # done by an order of its own
    may_keep: bool = False  # a retry that may keep what was done: everything can be done again instead
    asks_override: bool = False  # it goes below the capacity floor: why it may is asked for as well

    @property
    def weights_first(self) -> bool:
        """A gate that is not confirmed before its hosts take traffic."""
        return self.refusal is not None and self.refusal.code == GATE_WITHOUT_TRAFFIC


@dataclass(frozen=True, slots=True)
class AtWorkView:
    """An act that waits on the world and is not answered yet: who asked, since when it is at work, and for what it waits."""

    command_id: int
    act: Act
    operator: str
    since: float
    waits_for: Message


class Outcome(StrEnum):
    """What became of what a person asked for; `by_itself`: nobody asked, the engine did it."""

    ASKED = "asked"  # and not answered yet
    AT_WORK = "working"
    DONE = "done"
    REFUSED = "refused"
    BY_ITSELF = "by_itself"


@dataclass(frozen=True, slots=True)
class HistoryView:
    """One thing that a person did to an order, or wanted to; or that the engine did by itself and a person should know: `operator`
    is empty then. `act` is an act's name or `create_release` and the like; `said` is what it meant when it was asked for;
    `problem` why it was refused, or why the engine halted."""

    at: float
    operator: str
    act: str
    said: Message
    reason: str
    outcome: Outcome
    problem: Problem | None
    answered_at: float | None


@dataclass(frozen=True, slots=True)
class EventView:
    id: int
    order_id: int
    at: float
    kind: str  # order | node | paused | host | step | weight | outside | command | engine | warning
    data: Mapping[str, Any]
    sentence: Message


@dataclass(frozen=True, slots=True)
class CommandView:
    id: int
    order_id: int
    act: Act
    state: CommandState
    problem: Problem | None
    waits_for: Message | None = None  # while it is working
