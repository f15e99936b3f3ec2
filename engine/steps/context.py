"""What the builders of steps know of one host, and the variables its scripts see.

Pure: reads snapshots, never the world. URLs are secrets: they are in no repr, no variable and no step's body.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from engine.domain.fleet import Host, Package, TechStack
from engine.domain.message import message
from engine.domain.parameters import is_port, reserved, seconds_of
from engine.domain.problem import Problem, ProblemError

DEFAULTS: Mapping[str, str] = {
    "health_port": "9500",
    "health_path": "/checkService",
    "health_deadline_s": "120",
    "health_interval_s": "2",
    "drain_s": "10",
    "staragent_home": "/home/staragent",
    "staragent_port": "8000",
}
_WAITS = ("_DEADLINE_S", "_INTERVAL_S", "DRAIN_S")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class StepContext:
    """One host and the version it is to run. A URL is empty when no step needs it (or there is no SDK)."""

    host: Host
    stack: TechStack
    app: str
    version: str
    package: Package
    archive_url: str = field(default="", repr=False)
    sdk_url: str = field(default="", repr=False)
    package_url: str = field(default="", repr=False)
    requires_staragent: bool = False


def variables(context: StepContext) -> Mapping[str, str]:
    """Name → value, exported to every step; the paths of PATH_NAMES are added by each step itself.

    Raises ProblemError: `parameter_missing`, `parameter_name_invalid`, `parameter_reserved`, `parameter_value_invalid`.
    """
    values = {name.upper(): value for name, value in DEFAULTS.items()}
    values |= _given(context)
    for wanted in context.stack.parameters:
        if wanted.required and not values.get(wanted.name.upper()):
            raise ProblemError(_parameter_missing(context, wanted.name))
    return values | {
        "APP_NAME": context.app,
        "APP_VERSION": context.version,
        "HOST_NAME": context.host.name,
        "DATA_CENTRE": context.host.data_centre,
        "CELL": context.host.cell,
        "WEB_SERVER": context.stack.web_server,
        "INSTALL_LIST": " ".join(context.stack.install_list),
    }


def setup(context: StepContext) -> str:
    """A digest of what a host is set up with: the stack and the variables, but for those that only say how long something may take.
    Raises ProblemError as `variables`."""
    stack = context.stack
    given = {name: value for name, value in variables(context).items() if not name.endswith(_WAITS)}
    text = json.dumps([stack.name, stack.version, sorted(stack.scripts.items()), sorted(given.items())])
    return hashlib.sha256(text.encode()).hexdigest()


def parameter(context: StepContext, name: str, default: str) -> str:
    """The host's variable, else the stack's default, else `default`; empty counts as not given."""
    return lookup(context.host, context.stack, name, default)


def lookup(host: Host, stack: TechStack, name: str, default: str) -> str:
    """As `parameter`, before there is a release. Names are compared without regard to case, as the scripts see them."""
    found = default
    for given, value in _pairs(host, stack):
        if given.upper() == name.upper() and value:
            found = value
    return found


def seconds(context: StepContext, name: str, default_s: float) -> float:
    """A parameter in seconds, finite and above zero. Raises ProblemError `parameter_value_invalid`."""
    text = parameter(context, name, str(default_s))
    value = seconds_of(text)
    if value is None:
        raise ProblemError(_value_invalid(context.host, name, text, "a number of seconds above 0"))
    return value


def port(host: Host, stack: TechStack, name: str, default: str) -> int:
    """A parameter that is a TCP port. Raises ProblemError `parameter_value_invalid`."""
    text = lookup(host, stack, name, default)
    if not is_port(text):
        raise ProblemError(_value_invalid(host, name, text, "a port of 1–65535"))
    return int(text)


def _given(context: StepContext) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in _pairs(context.host, context.stack):
        _check(context.host, name, value)
        if value or name.upper() not in values:
            values[name.upper()] = value
    return values


def _pairs(host: Host, stack: TechStack) -> Iterator[tuple[str, str]]:
    yield from ((wanted.name, wanted.default) for wanted in stack.parameters)
    yield from host.variables.items()


def _check(host: Host, name: str, value: str) -> None:
    if not _IDENTIFIER.match(name):
        raise ProblemError(
            Problem(
                "parameter_name_invalid",
                message("{name} cannot be the name of a variable on {host}.", name=name, host=host.name),
                message("Use letters, digits and _, not starting with a digit, in the catalogue."),
            )
        )
    if reserved(name):
        raise ProblemError(
            Problem(
                "parameter_reserved",
                message(
                    "The variable {name} on {host} would replace one that every step needs.", name=name, host=host.name
                ),
                message("Rename it in the catalogue and in the tech stack's scripts."),
            )
        )
    if "\0" in value:
        raise ProblemError(_value_invalid(host, name, value.replace("\0", "␀"), "a text without NUL"))


def _parameter_missing(context: StepContext, name: str) -> Problem:
    return Problem(
        "parameter_missing",
        message("Tech stack {stack} {version} requires the parameter {name}, and {host} has no value for it.",
                stack=context.stack.name, version=context.stack.version, name=name, host=context.host.name),
        message("Add it to the host's variables in the catalogue, then retry."),
    )  # fmt: skip


def _value_invalid(host: Host, name: str, value: str, wanted: str) -> Problem:
    return Problem(
        "parameter_value_invalid",
        message("The parameter {name} of {host} is {value}; it must be {wanted}.",
                name=name, host=host.name, value=value[:80], wanted=wanted),
        message("Correct it in the host's variables or in the tech stack, then retry."),
    )  # fmt: skip
