"""What went wrong, to what, and what to do next, as data that is stored, shown and translated.

Every error that leaves a port carries a `Problem`. `code` is stable (tests, JSON and failure cards match on it); `what` names
the thing it happened to; `remedy` is the next act of the operator. `evidence` is cleaned remote or wire text, a few lines at
most, and never holds a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.domain.message import Message


@dataclass(frozen=True, slots=True)
class Problem:
    code: str
    what: Message
    remedy: Message
    evidence: str = ""

    def __str__(self) -> str:
        return f"{self.what} {self.remedy}".strip()

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "what": self.what.to_json(),
            "remedy": self.remedy.to_json(),
            "evidence": self.evidence,
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Problem:
        return Problem(
            str(data["code"]),
            Message.from_json(data["what"]),
            Message.from_json(data["remedy"]),
            str(data.get("evidence", "")),
        )


class ProblemError(Exception):
    """The root of every error family of the engine: an exception that carries a `Problem`."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem
