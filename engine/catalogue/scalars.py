"""What a plain word of a YAML file means: the core schema of YAML 1.2, and what YAML 1.1 would have made of it.

The two disagree about octal numbers, sexagesimal ones, `yes` and a few more, and most other tools still read 1.1. A word that
they read differently is never guessed at: whoever reads a file refuses it. Dates are text in both here, as versions look like them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import yaml

Scalar = str | int | float | bool | None

TAG = "tag:yaml.org,2002:"
_CORE: tuple[tuple[str, str, str, Callable[[str], Scalar]], ...] = (
    # kind, pattern, first characters, what it means
    ("null", r"~|null|Null|NULL|", "~nN", lambda _: None),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF", lambda text: text.lower() == "true"),
    ("int", r"[-+]?[0-9]+", "-+0123456789", int),
    ("int", r"0o[0-7]+", "0", lambda text: int(text[2:], 8)),
    ("int", r"0x[0-9a-fA-F]+", "0", lambda text: int(text[2:], 16)),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789", float),
    ("float", r"[-+]?\.(inf|Inf|INF)", "-+.", lambda text: float(text.replace(".", ""))),
    ("float", r"\.(nan|NaN|NAN)", ".", lambda _: float("nan")),
)
_COMPILED = tuple((kind, re.compile(pattern), means) for kind, pattern, _, means in _CORE)
_KINDS = frozenset({"str", *(kind for kind, *_ in _CORE)})
_OLD_YES_NO = {"y": True, "Y": True, "n": False, "N": False}  # in the words of 1.1, though few of its readers obey
_OLD_TEXT = frozenset({TAG + kind for kind in ("timestamp", "value", "merge")})
_old_resolver = yaml.resolver.Resolver()
_old_constructor = yaml.constructor.SafeConstructor()


class UnknownTag(ValueError):
    """A tag that is none of the core schema's."""


def core(text: str) -> Scalar:
    """What the plain word is in YAML 1.2. Raises ValueError for a number beyond all bounds."""
    return next((means(text) for _, pattern, means in _COMPILED if pattern.fullmatch(text)), text)


def tagged(tag: str, text: str) -> Scalar:
    """What the word is when its tag stands before it. Raises UnknownTag, and ValueError when the word does not fit the tag."""
    wanted = tag.removeprefix(TAG)
    if wanted not in _KINDS:
        raise UnknownTag(tag)
    if wanted == "str":
        return text
    for kind, pattern, means in _COMPILED:
        if kind == wanted and pattern.fullmatch(text):
            return means(text)
    raise ValueError(f"{text} is no {wanted}")


def as_1_1(text: str) -> Scalar:
    """What the plain word was in YAML 1.1."""
    if text in _OLD_YES_NO:
        return _OLD_YES_NO[text]
    tag = _old_resolver.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    if tag in _OLD_TEXT:
        return text
    try:
        value: Scalar = _old_constructor.construct_object(yaml.ScalarNode(tag, text))
    except ValueError:  # `0x_`, which its own pattern takes for a number
        return text
    return value


def same(one: Scalar, other: Scalar) -> bool:
    return type(one) is type(other) and repr(one) == repr(other)


def shown(value: Any) -> str:
    """As an operator would write it: text in quotes."""
    return json.dumps(value, ensure_ascii=False, default=str)


def quote_both(dumper: Any) -> None:
    """Make a YAML dumper class put quotes around each text that either version would read as something else."""
    for kind, pattern, first, _ in _CORE:
        dumper.add_implicit_resolver(TAG + kind, re.compile(rf"^(?:{pattern})$"), list(first))
    dumper.add_implicit_resolver(TAG + "bool", re.compile(r"^[yYnN]$"), list("yYnN"))
