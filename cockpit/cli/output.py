"""How the command line speaks: stdout belongs to the answer, stderr to everything else; with --json stdout is JSON alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from engine.domain.problem import Problem
from engine.views import to_json
from screens.translate import _, tr


def print_json(view: Any) -> None:
    """A view-model, or plain data, as one JSON document."""
    print(json.dumps(to_json(view), ensure_ascii=False, indent=2), flush=True)  # noqa: T201


def print_json_line(view: Any) -> None:
    """One of many: a JSON document on a line of its own, written at once."""
    print(json.dumps(to_json(view), ensure_ascii=False), flush=True)  # noqa: T201


def say(line: str = "") -> None:
    print(line, flush=True)  # noqa: T201


def note(line: str) -> None:
    """For the person at the terminal, beside the answer."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def print_problem(problem: Problem, *, as_json: bool) -> None:
    """What happened, to what, and what to do next."""
    if as_json:
        print_json({"error": problem})
        return
    note(tr(problem.what))
    if problem.evidence:
        for line in problem.evidence.splitlines():
            note(f"    {line}")
    if remedy := tr(problem.remedy):
        note(remedy)


def print_table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as their widest cell, in terminal cells: a Chinese character takes two."""
    from rich.cells import cell_len

    lines = [[_(title) for title in titles], *([_cell(value) for value in row] for row in rows)]
    widths = [max(cell_len(line[column]) for line in lines) for column in range(len(titles))]
    for line in lines:
        padded = (text + " " * (width - cell_len(text)) for text, width in zip(line, widths, strict=True))
        say("  ".join(padded).rstrip())


def at(time_s: float | None) -> str:
    """Local time to the second, `-` when it has not happened."""
    return datetime.fromtimestamp(time_s).astimezone().strftime("%m-%d %H:%M:%S") if time_s else "-"


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else str(value)
