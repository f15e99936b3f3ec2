"""What is wrong with a catalogue, and where: one entry a mistake, all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.domain.message import Message, message
from engine.domain.problem import Problem, ProblemError


@dataclass(frozen=True, slots=True)
class CatalogueProblem:
    """`line` counts from 1, 0 when there is none; `path` is such as `tenants[0].apps[1].tech_stack`, empty for the whole file."""

    file: str
    line: int
    path: str
    message: Message

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.path, str(self.message)) if part)


class CatalogueError(ProblemError):
    """A catalogue was refused as a whole (`catalogue_refused`); nothing of it was used. `problems` are in the files' order."""

    def __init__(self, problems: Sequence[CatalogueProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            Problem(
                "catalogue_refused",
                message("The catalogue has {count} problem(s); nothing was changed.", count=len(self.problems)),
                message("Correct each of these lines, then apply the file again."),
                "\n".join(str(problem) for problem in self.problems[:20]),
            )
        )
