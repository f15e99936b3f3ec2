"""A file that was refused: each problem on a line of its own, with the file and the line it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from cockpit.cli.exit_codes import FAILED
from cockpit.cli.output import note, print_json, print_problem
from cockpit.cli.session import Session
from engine.domain.problem import ProblemError
from screens.translate import tr

if TYPE_CHECKING:
    from engine.catalogue.problems import CatalogueProblem


def refused_file(session: Session, error: ProblemError, problems: Sequence[CatalogueProblem]) -> int:
    if session.json:
        listed = [
            {"file": each.file, "line": each.line, "path": each.path, "message": each.message} for each in problems
        ]
        print_json({"error": error.problem, "problems": listed})
        return FAILED
    for each in problems:
        place = f"{each.file}:{each.line}" if each.line else each.file
        note(": ".join(part for part in (place, each.path, tr(each.message)) if part))
    print_problem(replace(error.problem, evidence=""), as_json=False)
    return FAILED
