"""Sentences that can be translated after they were stored: a template and its parameters, never a finished string.

The template is the gettext msgid (English, `str.format` fields by name). The engine and the command line's JSON read
`str(message)`; screens translate the template first and fill it in afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Message:
    """One translatable sentence. `params` holds str, int, float, None or another `Message`, so that it survives JSON."""

    text: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text.format(**self.params)

    def to_json(self) -> dict[str, Any]:
        values = {name: value.to_json() if isinstance(value, Message) else value for name, value in self.params.items()}
        return {"text": self.text, "params": values}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Message:
        values = {
            name: Message.from_json(value) if isinstance(value, Mapping) else value
            for name, value in data["params"].items()
        }
        return Message(str(data["text"]), values)


def message(text: str, /, **params: Any) -> Message:
    """`message("start {app}", app="shop")`; the extraction of translations looks for calls of this name."""
    return Message(text, params)
