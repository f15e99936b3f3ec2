"""What carrying out an act consists of, and what it may reach."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from engine.domain.message import Message
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress
from engine.run.ports import Ports
from engine.store.store import Transaction


@dataclass(frozen=True, slots=True)
class By:
    """Who asks, why, and by which command."""

    operator: str
    reason: str
    command_id: int = 0


@dataclass(frozen=True, slots=True)
class World:
    """One order and what it reaches the world through. `say` tells the operator what is being waited for now; `command_id` is the
    command's that asks."""

    order_id: int
    epoch: int
    ports: Ports
    say: Callable[[Message], None]
    command_id: int = 0


Write = Callable[[Transaction, OrderProgress, Any, By, float], None]
Effect = Callable[[World, Any], Awaitable[Problem | None]]


@dataclass(frozen=True, slots=True)
class Doing:
    """`write`: its rows, in the transaction of the answer. `effect` waits on the world before that and may end with a problem;
    `waits_for` is said when it begins, and `begins` is written then. `asked_again`: after the effect it is asked once more whether
    the act is acceptable, because its rows need the order as it was. `refused`: what a refusal then says besides. `withdraws`:
    weights still being set by hand are given up for it; `ends_waits`: only those that wait for a balancer whose API is away."""

    write: Write
    effect: Effect | None = None
    waits_for: Callable[[OrderProgress, Any], Message] | None = None
    begins: Write | None = None
    asked_again: bool = False
    refused: Callable[[OrderProgress, Problem], Problem] = lambda progress, problem: problem
    withdraws: bool = False
    ends_waits: bool = False
