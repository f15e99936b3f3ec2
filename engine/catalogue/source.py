"""A YAML file as plain data together with the line of every part, because a problem without a line is no help.

It knows YAML only, nothing of the catalogue. Twice the same key in one mapping is a problem here, not the last one wins.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from engine.catalogue.problems import CatalogueProblem
from engine.catalogue.scalars import TAG, Scalar, UnknownTag, as_1_1, core, same, shown, tagged
from engine.domain.message import Message, message

MOST_BYTES = 32 * 1024 * 1024
MOST_PARTS = 1_000_000  # aliases of aliases can make a small file endless

Place = tuple[str | int, ...]


@dataclass(slots=True)
class Source:
    """`data` is None when the file could not be read at all; then `problems` says why."""

    file: str
    data: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[CatalogueProblem] = field(default_factory=list)
    words: dict[Place, str] = field(default_factory=dict)  # each scalar as it stands in the file
    refused: set[Place] = field(default_factory=set)  # parts that are a problem already, whatever they should be

    def line(self, place: Place) -> int:
        """The line of `place` or of the nearest part around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def problem(self, place: Place, text: Message) -> CatalogueProblem:
        return CatalogueProblem(self.file, self.line(place), written(place), text)


def written(place: Place) -> str:
    """`("tenants", 0, "name")` as `tenants[0].name`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_source(path: Path) -> Source:
    source = Source(str(path))
    try:
        if path.stat().st_size > MOST_BYTES:
            _refuse(source, message("is too large"))
            return source
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        _refuse(source, message("can't be read: {reason}", reason=error.strerror or str(error)))
        return source
    except UnicodeDecodeError:
        _refuse(source, message("is not UTF-8 text"))
        return source
    return parse_source(str(path), text)


def parse_source(file: str, text: str) -> Source:
    """Read YAML that was written in `file` (a name for problems only)."""
    source = Source(file)
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        _refuse(source, message("is not YAML: {reason}", reason=error.problem or ""), 1 + mark.line if mark else 0)
        return source
    except yaml.YAMLError as error:  # a character YAML does not allow
        _refuse(source, message("is not YAML: {reason}", reason=str(error).splitlines()[0]))
        return source
    except RecursionError:
        _refuse(source, message("has too many parts, or a part that contains itself"))
        return source
    if node is None:
        _refuse(source, message("is empty"))
        return source
    try:
        source.data = _Walk(source).value(node, (), ())
    except (_TooMuch, RecursionError):
        _refuse(source, message("has too many parts, or a part that contains itself"))
    return source


def _refuse(source: Source, text: Message, line: int = 0) -> None:
    source.data = None
    source.problems.append(CatalogueProblem(source.file, line, "", text))


class _Loader(yaml.SafeLoader):
    """Composes nodes and remembers of each word whether a tag was written before it; what words mean is decided in `scalars`."""

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        tag = self.peek_event().tag  # type: ignore[no-untyped-call]
        node = super().compose_scalar_node(anchor)
        node.explicit = tag is not None  # type: ignore[attr-defined]
        if tag == "!":  # text, whatever it looks like
            node.tag = TAG + "str"
        return node


_Loader.yaml_implicit_resolvers = {}


class _TooMuch(Exception):
    pass


class _Walk:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.parts = 0

    def value(self, node: yaml.Node, place: Place, around: tuple[int, ...]) -> Any:
        self.parts += 1
        if self.parts > MOST_PARTS or id(node) in around:
            raise _TooMuch
        self.source.lines.setdefault(place, node.start_mark.line + 1)
        inside = (*around, id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place, inside)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*place, number), inside) for number, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, place)
        raise TypeError(f"YAML has no {node!r}")

    def _mapping(self, node: yaml.MappingNode, place: Place, inside: tuple[int, ...]) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, place)
            if key is None:
                continue
            here = (*place, key)
            if key in result:
                first = self.source.lines[here]
                text = message("is written twice here; the first is on line {line}", line=first)
                line = key_node.start_mark.line + 1
                self.source.problems.append(CatalogueProblem(self.source.file, line, written(here), text))
                continue
            self.source.lines[here] = key_node.start_mark.line + 1
            result[key] = self.value(value_node, here, inside)
        return result

    def _key(self, node: yaml.Node, place: Place) -> str | None:
        # Keys are names here; an unquoted number or yes/no in that position is still meant as text.
        if not isinstance(node, yaml.ScalarNode):
            self._odd(node, place, message("has a key that is not text"))
            return None
        if node.value == "<<" and node.style is None:
            self._odd(node, place, message("<< merges another mapping in YAML 1.1 only; write its keys out here"))
            return None
        return str(node.value)

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> Scalar:
        text = str(node.value)
        self.source.words[place] = text
        try:
            if node.explicit:  # type: ignore[attr-defined]
                return tagged(str(node.tag), text)
            if node.style is not None:
                return text
            value, old = core(text), as_1_1(text)
        except UnknownTag:
            self._odd(node, place, message("has a tag ({tag}) that is not known here", tag=str(node.tag)))
            return text
        except ValueError as error:
            self._odd(node, place, message("is not YAML: {reason}", reason=str(error)))
            return text
        if not same(value, old):
            self._odd(node, place, _two_meanings(text, old, value))
        return value

    def _odd(self, node: yaml.Node, place: Place, text: Message) -> None:
        line = node.start_mark.line + 1
        self.source.refused.add(place)
        self.source.problems.append(CatalogueProblem(self.source.file, line, written(place), text))


def _two_meanings(text: str, old: Scalar, new: Scalar) -> Message:
    return message(
        "{text} is {old} in YAML 1.1 and {new} in YAML 1.2; write what you mean: text in quotes, numbers in "
        "decimal digits, true or false",
        text=text,
        old=shown(old),
        new=shown(new),
    )
