"""What a setting's value may be: each kind takes what TOML or the environment holds and returns the value, or says why not.

Few and plain, instead of a validation library: importing one takes longer than Textual needs for half of its first frame.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, field, fields
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Kind = Callable[[Any], T]
_YES = ("1", "true", "yes", "on", "y", "t")
_NO = ("0", "false", "no", "off", "n", "f")


class Wrong(Exception):
    """A value that does not fit: `path` leads to it from where reading began, `why` is for the operator."""

    def __init__(self, path: tuple[str, ...], why: str) -> None:
        super().__init__(why)
        self.path = path
        self.why = why


def setting(kind: Kind[T], says: str, default: Any = MISSING) -> Any:
    """A dataclass field whose value is of this kind; without a default it must be given."""
    metadata = {"kind": kind, "says": says}
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


def is_setting(of: Field[Any]) -> bool:
    return "kind" in of.metadata


def read(cls: type[T], values: Mapping[str, Any]) -> tuple[T | None, list[Wrong]]:
    """An object of the dataclass `cls`, its fields made by `setting`; None with everything that is wrong when something is."""
    known: dict[str, Field[Any]] = {each.name: each for each in fields(cls) if is_setting(each)}  # type: ignore[arg-type]
    wrong = [Wrong((key,), "there is no such setting") for key in values if key not in known]
    made: dict[str, Any] = {}
    for name, each in known.items():
        if name not in values:
            continue
        try:
            made[name] = each.metadata["kind"](values[name])
        except Wrong as error:
            wrong.append(Wrong((name, *error.path), error.why))
        except ExceptionGroup as errors:
            wrong += [Wrong((name, *error.path), error.why) for error in errors.exceptions if isinstance(error, Wrong)]
    return (None, wrong) if wrong else (cls(**made), [])


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise Wrong((), "it should be a text")
    return value


def path(value: Any) -> Path:
    if not isinstance(value, str | Path):
        raise Wrong((), "it should be a path")
    return Path(value)


def path_or_none(value: Any) -> Path | None:
    return None if value is None else path(value)


def paths(value: Any) -> tuple[Path, ...]:
    """A list; in the environment written as JSON."""
    listed = _from_json(value) if isinstance(value, str) else value
    if not isinstance(listed, list | tuple):
        raise Wrong((), "it should be a list of paths")
    return tuple(map(path, listed))


def names(value: Any) -> tuple[str, ...]:
    """A list of names; in the environment written as JSON, or with commas as ssh has them."""
    listed = value
    if isinstance(value, str):
        listed = _from_json(value) if value.lstrip().startswith("[") else [each.strip() for each in value.split(",")]
    if not isinstance(listed, list | tuple) or not all(isinstance(each, str) for each in listed):
        raise Wrong((), "it should be a list of names")
    return tuple(each for each in listed if each)


def yes_or_no(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    said = str(value).lower()
    if said not in (*_YES, *_NO):
        raise Wrong((), "it should be true or false")
    return said in _YES


def positive(value: Any) -> float:
    """A number greater than 0, finite."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise Wrong((), "it should be a number")
    if number <= 0:
        raise Wrong((), "it should be greater than 0")
    return number


def seconds(most: float) -> Kind[float]:
    """A number of seconds from 0 to `most`."""

    def kind(value: Any) -> float:
        number = positive(value) if str(value).strip() not in ("0", "0.0") else 0.0
        if number > most:
            raise Wrong((), f"it should be {most:g} at most")
        return number

    return kind


def days(value: Any) -> int:
    """A whole number of days, 0 or more."""
    said = str(value)
    if isinstance(value, bool) or not (said.isascii() and said.isdigit()):
        raise Wrong((), "it should be a whole number, 0 or more")
    return int(said)


def one_of(*choices: str) -> Kind[str]:
    def kind(value: Any) -> str:
        if value not in choices:
            raise Wrong((), "it should be one of: " + ", ".join(choices))
        return str(value)

    return kind


def group(cls: type[T]) -> Kind[T]:
    """Settings of their own under one key; in the environment also written as JSON."""

    def kind(value: Any) -> T:
        if isinstance(value, cls):
            return value
        values = _from_json(value) if isinstance(value, str) else value
        if not isinstance(values, Mapping):
            raise Wrong((), "it should be a group of settings")
        made, wrong = read(cls, values)
        if made is None:
            raise ExceptionGroup("settings", wrong)
        return made

    return kind


def _from_json(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        raise Wrong((), "it should be JSON") from None
