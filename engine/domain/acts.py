"""The acts: what an operator can ask of an order, each with exactly what it needs to know. Frozen data; nothing is decided here.

An act has a class here and a row in `ACTS`, its consequence in `engine.plan.what_if`, and a file in `engine/run/acts/`.

`encode` and `decode` are for the store, where an act is its name and plain JSON. What stands there may have been written by
another version or by hand, so decoding refuses what it can't read instead of guessing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from engine.domain.message import Message, message
from engine.domain.problem import Problem, ProblemError
from engine.domain.roles import Role
from engine.domain.states import Act


class UnreadableAct(ProblemError):
    """Code `act_unreadable`: a stored act that this version does not know, or whose parts are not what they should be."""


@dataclass(frozen=True, slots=True)
class Initialise:
    """Check everything again and plan anew."""

    name: ClassVar[Act] = Act.INITIALISE


@dataclass(frozen=True, slots=True)
class Start:
    name: ClassVar[Act] = Act.START


@dataclass(frozen=True, slots=True)
class Pause:
    name: ClassVar[Act] = Act.PAUSE


@dataclass(frozen=True, slots=True)
class Resume:
    name: ClassVar[Act] = Act.RESUME


@dataclass(frozen=True, slots=True)
class Confirm:
    """`node`: the gate; empty: the one that waits."""

    name: ClassVar[Act] = Act.CONFIRM
    node: str = ""


@dataclass(frozen=True, slots=True)
class SetWeights:
    """Host → weight, 0 to 100. Empty: nothing is chosen yet, which can be asked about and not be sent."""

    name: ClassVar[Act] = Act.SET_WEIGHTS
    weights: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Retry:
    """`hosts` empty: all that failed. A host begins at the step that failed, where what was before it is still so; `from_start`:
    everything is done again."""

    name: ClassVar[Act] = Act.RETRY
    hosts: tuple[str, ...] = ()
    from_start: bool = False


@dataclass(frozen=True, slots=True)
class Remedy:
    """What the failure cards of hosts offer as a step; then these hosts are retried, or an order whose check failed is checked
    again. `hosts` empty: all whose card offers something. `remedy`: only that one; empty: each host its own. `deadline_s`: of a
    longer deadline, which; 0: twice the present one."""

    name: ClassVar[Act] = Act.REMEDY
    hosts: tuple[str, ...] = ()
    remedy: str = ""
    deadline_s: int = 0


@dataclass(frozen=True, slots=True)
class Skip:
    """The host that failed goes on behind `step`, at which it failed; `step` empty: the order goes on without the host."""

    name: ClassVar[Act] = Act.SKIP
    host: str = ""
    step: str = ""


@dataclass(frozen=True, slots=True)
class Exclude:
    """A host that has not begun, or that failed, is taken out of the order and keeps what it runs."""

    name: ClassVar[Act] = Act.EXCLUDE
    host: str = ""


@dataclass(frozen=True, slots=True)
class SetLimits:
    """How many hosts are at work at once, and how many may fail per group. None: as it is."""

    name: ClassVar[Act] = Act.SET_LIMITS
    parallelism: int | None = None
    max_failures: int | None = None


@dataclass(frozen=True, slots=True)
class PauseBefore:
    """The order pauses before this group begins; `off`: it does not any more."""

    name: ClassVar[Act] = Act.PAUSE_BEFORE
    node: str = ""
    off: bool = False


@dataclass(frozen=True, slots=True)
class HandOver:
    """`to` is responsible for the order from here on. Empty: nobody is chosen yet, which can be asked about and not be sent."""

    name: ClassVar[Act] = Act.HAND_OVER
    to: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    name: ClassVar[Act] = Act.CANCEL


@dataclass(frozen=True, slots=True)
class RollBack:
    """`version` empty: each host to the one it ran before; of an ended order: the newest that succeeded before it.
    `override_reason`: why the way back of an ended order may go below the capacity floor."""

    name: ClassVar[Act] = Act.ROLL_BACK
    version: str = ""
    override_reason: str = ""


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Weights that an ended order left behind. `hosts` empty: all of them. `force`: without a health check."""

    name: ClassVar[Act] = Act.GIVE_BACK
    hosts: tuple[str, ...] = ()
    force: bool = False


AnyAct = (
    Initialise
    | Start
    | Pause
    | Resume
    | Confirm
    | SetWeights
    | Retry
    | Remedy
    | Skip
    | Exclude
    | SetLimits
    | PauseBefore
    | HandOver
    | Cancel
    | RollBack
    | GiveBack
)


@dataclass(frozen=True, slots=True)
class ActRow:
    """`key` asks for it on the order screen, `word` is its name for operators, `least` the role it needs. `asks_reason`:
    it takes an order's way away, so it asks why, in whatever state; in production it asks for the app's name as well."""

    type: type[AnyAct]
    key: str
    word: Message
    least: Role
    asks_reason: bool = False


_ROWS = (
    ActRow(Initialise, "i", message("initialise again"), Role.OPERATOR),
    ActRow(Start, "c", message("start"), Role.OPERATOR),
    ActRow(Pause, "p", message("pause"), Role.OPERATOR),
    ActRow(Resume, "p", message("resume"), Role.OPERATOR),
    ActRow(Confirm, "c", message("confirm"), Role.APPROVER),
    ActRow(SetWeights, "g", message("gray weights"), Role.OPERATOR),
    ActRow(Retry, "t", message("retry"), Role.OPERATOR),
    ActRow(Remedy, "r", message("remedy"), Role.OPERATOR),
    ActRow(Skip, "s", message("skip"), Role.OPERATOR, asks_reason=True),
    ActRow(Exclude, "e", message("exclude"), Role.OPERATOR, asks_reason=True),
    ActRow(SetLimits, "b", message("parallelism and failure budget"), Role.OPERATOR),
    ActRow(PauseBefore, "P", message("pause before a group"), Role.OPERATOR),
    ActRow(HandOver, "H", message("hand over"), Role.OPERATOR),
    ActRow(Cancel, "x", message("cancel"), Role.OPERATOR, asks_reason=True),
    ActRow(RollBack, "R", message("roll back"), Role.APPROVER, asks_reason=True),
    ActRow(GiveBack, "z", message("give weights back"), Role.OPERATOR, asks_reason=True),
)
ACTS: Mapping[Act, ActRow] = {row.type.name: row for row in _ROWS}


def encode(act: AnyAct) -> dict[str, Any]:
    """The parts of an act as plain JSON, without what is left as it is by default."""
    values = [(each, getattr(act, each.name)) for each in fields(act)]
    # a 0 says something only where it is not what is left out
    return {each.name: _plain(value) for each, value in values if value or (value == 0 and value != each.default)}


def decode(name: str, parts: Any) -> AnyAct:
    """The act of that name. Raises UnreadableAct."""
    if name not in ACTS or not isinstance(parts, Mapping):
        raise _unreadable(name)
    kind = ACTS[Act(name)].type
    known = {each.name: _READERS[str(each.type)] for each in fields(kind)}
    if not set(parts) <= set(known):
        raise _unreadable(name)
    try:
        act: AnyAct = kind(**{part: known[part](value) for part, value in parts.items()})
    except ValueError:
        raise _unreadable(name) from None
    return act


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("not a list")
    return tuple(_text(each) for each in value)


def _count(value: object) -> int | None:
    if value is not None and type(value) is not int:
        raise ValueError("not a whole number")
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("neither true nor false")
    return value


def _number(value: object) -> int:
    if type(value) is not int:
        raise ValueError("not a whole number")
    return value


def _numbers(value: object) -> Mapping[str, int]:
    """Host → weight; whether the weight is one that a balancer takes is `what_if`'s to say."""
    if not isinstance(value, Mapping) or any(type(number) is not int for number in value.values()):
        raise ValueError("not a table of whole numbers")
    return {_text(host): number for host, number in value.items()}


_READERS: Mapping[str, Callable[[object], Any]] = {
    "str": _text,
    "tuple[str, ...]": _texts,
    "bool": _truth,
    "int": _number,
    "int | None": _count,
    "Mapping[str, int]": _numbers,
}


def _unreadable(name: str) -> UnreadableAct:
    return UnreadableAct(
        Problem(
            "act_unreadable",
            message("This version does not know the act {act}.", act=name),
            message("Another version of the cockpit may have written it: do it again with this one."),
        )
    )
