"""What can be seen in a file of the values that scripts and steps will get: found here, not on a host whose weight is 0 already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.catalogue.models import Host, TechStack
from engine.catalogue.source import Place
from engine.domain.message import Message, message
from engine.domain.parameters import reserved, unusable

Found = Iterator[tuple[Place, Message]]


def of_stack(stack: TechStack) -> Found:
    for number, parameter in enumerate(stack.parameters):
        yield from _of(
            parameter.name, parameter.default, ("parameters", number, "name"), ("parameters", number, "default")
        )


def of_host(host: Host) -> Found:
    for name, value in host.variables.items():
        yield from _of(name, value, ("variables", name), ("variables", name))


def missing(host: Host, stack: TechStack) -> list[str]:
    """Parameters the stack requires and that have no value on this host."""
    given = {name.upper() for name, value in host.variables.items() if value}
    wanted: Mapping[str, str] = {one.name.upper(): one.default for one in stack.parameters if one.required}
    names = {one.name.upper(): one.name for one in stack.parameters}
    return [names[upper] for upper, default in wanted.items() if not default and upper not in given]


def _of(name: str, value: str, at_name: Place, at_value: Place) -> Found:
    if reserved(name):
        yield (
            at_name,
            message("the variable {name} would replace one that every step needs; give it another name", name=name),
        )
        return
    wrong = unusable(name, value)
    if wrong is not None:
        yield at_value, wrong
