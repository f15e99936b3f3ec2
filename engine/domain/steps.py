"""A step as data: what is done on one host, stored in the plan. The executor reads nothing else about it.

What a step *does* is the name of a builder in `engine.steps.registry`; the same builder may stand several times in one list
under different keys. Naming a step here adds it to no plan.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

HEALTH = "health"
RERUNS = 2  # attempts of a host that may be followed by another one without a person

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}\Z")


class Where(StrEnum):
    BALANCER = "balancer"
    HOST = "host"


class InDoubt(StrEnum):
    """What becomes of a step of which nobody can say whether it was done.

    A step is in doubt when its *running* row is there and its outcome is not. On a host the job's own record is asked first, and
    nearly always knows. Only when that record has no end and nothing runs any more (the host was restarted, its runner killed)
    the policy decides. A step on the balancer is always read before and after, so it may be repeated.
    """

    # doing it again does no harm: the host is tried again by itself, from its first step
    RERUN = "rerun"
    # the world is asked: what it says is the step's outcome
    PROBE = "probe"
    # a person looks at the host and decides
    ASK = "ask"


class Holds(StrEnum):
    """Who says, when a host is tried again, whether what a step did in an earlier attempt is still so."""

    # nobody can: it is done again, and everything behind it
    UNKNOWN = ""
    # the host's own record of the job: it ended well, the host was not restarted since, and no other order has worked there
    RECORD = "record"
    # a look at the host itself (how, says the step's row in `engine.steps.registry`)
    LOOK = "look"
    RECORD_AND_LOOK = "record_and_look"
    # the balancers: they show the weights that the step asks for
    SHOWN = "shown"


class Traffic(StrEnum):
    """What a step does to the traffic of its host."""

    STAYS = ""
    OUT = "out"
    BACK = "back"
    # weight 0 is wanted from here on: nobody owns it, and nobody gives it back
    STAYS_OUT = "stays_out"


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step of one host. `key` is unique in its list and is what rows, logs and records call it; `does` names its builder.

    `sets` are the facts of `HostPlan.after` (`version`, `state`) that its success writes about the host; a step that sets
    any of them touches the host, so a way back returns it. One that sets `health` says whether the host answers. `title` is shown
    in place of the builder's own word. `deadline_s` 0: the builder's own. It is tried `retries` times more, `interval_s` apart,
    before it counts as failed. `holds`: who says later whether it is still done. One that `prepares` only makes ready for steps on
    the host behind it: while none of these is to be done, it need not be so any more.
    """

    key: str
    does: str
    runs: Where
    in_doubt: InDoubt
    sets: tuple[str, ...] = ()
    traffic: Traffic = Traffic.STAYS
    skippable: bool = False
    title: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    deadline_s: float = 0.0
    retries: int = 0
    interval_s: float = 0.0
    holds: Holds = Holds.UNKNOWN
    prepares: bool = False

    @property
    def touches(self) -> bool:
        return any(fact != HEALTH for fact in self.sets)

    @property
    def on_balancer(self) -> bool:
        return self.runs is Where.BALANCER


def cuts(steps: Sequence[StepPlan]) -> bool:
    """Whether the steps take their host out of its balancers."""
    return any(step.traffic is Traffic.OUT for step in steps)


def touches(steps: Sequence[StepPlan]) -> bool:
    return any(step.touches for step in steps)


def is_key(text: str) -> bool:
    """Keys stand in records, file names and messages: short words without spaces."""
    return _KEY.match(text) is not None
