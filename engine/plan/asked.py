"""An act as it was asked, and the two answers there are: what it would do, or why it can't be done. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from engine.domain.acts import ACTS, AnyAct
from engine.domain.message import Message
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress
from engine.domain.states import RunState
from engine.plan import what_if_words as words
from engine.plan.back import SucceededVersions, WayBack
from engine.views.acts import Consequence

A = TypeVar("A", bound=AnyAct)


@dataclass(frozen=True, slots=True)
class Asked(Generic[A]):
    """An act as it was asked, with everything its consequence depends on."""

    progress: OrderProgress
    act: A
    succeeded_versions: SucceededVersions
    production: bool
    now: float
    way_back: WayBack | None

    @property
    def app(self) -> str:
        return self.progress.named


def allows(asked: Asked[Any], summary: Message, lines: Sequence[Message], hosts: tuple[str, ...]) -> Consequence:
    asks_reason = ACTS[asked.act.name].asks_reason
    typed = asked.app if asks_reason and asked.production else ""
    return Consequence(asked.act.name, True, None, summary, tuple(lines), hosts, asks_reason, typed)


def refuses(asked: Asked[Any], summary: Message, problem: Problem, hosts: tuple[str, ...] = ()) -> Consequence:
    return Consequence(asked.act.name, False, problem, summary, (), hosts)


def time_line(asked: Asked[Any], hosts: int, waves: int = 1) -> list[Message]:
    """The expected time from the hosts this order is done with; nothing when there are none yet."""
    took = [
        run.ended_at - run.started_at
        for run in asked.progress.runs.values()
        if run.state is RunState.SUCCEEDED and run.started_at is not None and run.ended_at is not None
    ]
    if not took or not hosts:
        return []
    waves = max(waves, -(-hosts // max(1, asked.progress.parallelism)))
    return [words.expected_time(sum(took) / len(took) * waves, len(took))]
