"""Orders from a file (`cockpit release create --file`) and as one (`cockpit order show --spec`)."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from cockpit.cli.output import print_json, say
from cockpit.cli.refused_file import refused_file
from cockpit.cli.session import Session
from cockpit.cli.wrong_use import HELP_OF_THE_COMMAND, WrongUse
from engine.domain.message import Message, message
from engine.domain.orders import OrderSpec
from engine.domain.problem import Problem

OrderFile = Annotated[
    Path | None,
    typer.Option(
        "--file", metavar="FILE", help="The order from a YAML file, as `cockpit order show --spec` prints it."
    ),
]


def with_file(
    session: Session, file: Path, kinds: Sequence[str], beside: Sequence[str], then: Callable[[OrderSpec], int]
) -> int:
    """What `then` makes of the order in the file, which says all of it: `beside` are options that were given as well. Raises
    WrongUse."""
    from engine.kinds.order_file import OrderFileRefused, read_file

    if beside:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in beside)
        raise _wrong(
            "wrong_use",
            message("--file names the whole order: {options} can't be given beside it.", options=named),
            HELP_OF_THE_COMMAND,
        )
    try:
        spec = read_file(file, seed=random.SystemRandom().getrandbits(31))
    except OrderFileRefused as error:
        return refused_file(session, error, error.problems)
    if spec.kind not in kinds:
        raise _wrong(
            "wrong_kind",
            message("{file} is an order of kind {kind}.", file=str(file), kind=spec.kind),
            message("`cockpit {kind} create` creates such orders.", kind=spec.kind),
        )
    return then(spec)


def print_spec(session: Session, order: int) -> None:
    """Raises NoFileForm."""
    from engine.kinds.order_file import as_data, written

    with session.api() as api:
        spec = api.order_spec(*session.place(api), order)
    if session.json:
        print_json(as_data(spec))
    else:
        say(written(spec).rstrip("\n"))


def _wrong(code: str, what: Message, remedy: Message) -> WrongUse:
    return WrongUse(Problem(code, what, remedy))
