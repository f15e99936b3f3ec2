"""How the command line speaks: stdout belongs to the answer, stderr to everything else; with --json stdout is JSON alone.

Saying something never raises and never changes what a command's exit code says: what the terminal's encoding lacks is replaced, and
when nobody reads any more the rest goes nowhere.
"""

from __future__ import annotations

import codecs
import errno
import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from io import TextIOWrapper
from typing import Any, TextIO

from engine.domain.clean import HIDDEN, visible
from engine.domain.problem import Problem
from engine.views.acts import CommandView
from engine.views.values import to_json
from screens.translate import _, tr

_lost: set[str] = set()


def prepare_streams() -> None:
    """Called once, before anything is said."""
    _lost.clear()
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us (`>&-`)
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def nobody_reads() -> bool:
    """Whether the answer can't be written any more: its reader has gone (`| head`), or the disk is full."""
    return "stdout" in _lost


def takes_every_character() -> bool:
    """Whether stdout's encoding knows all of Unicode."""
    return codecs.lookup(getattr(sys.stdout, "encoding", None) or "utf-8").name.startswith("utf")


def print_json(view: Any) -> None:
    """A view-model, or plain data, as one JSON document."""
    _say_json(view, indent=2)


def print_json_line(view: Any) -> None:
    """One of many: a JSON document on a line of its own, written at once."""
    _say_json(view, indent=None)


def _say_json(view: Any, *, indent: int | None) -> None:
    """What can't be seen is escaped: nothing is lost, and nothing lies about itself on a terminal."""
    text = json.dumps(to_json(view), ensure_ascii=not takes_every_character(), indent=indent)
    say(HIDDEN.sub(lambda match: json.dumps(match.group())[1:-1], text))


def say(line: str = "") -> None:
    _write("stdout", line)


def note(line: str) -> None:
    """For the person at the terminal, beside the answer."""
    _write("stderr", line)


def _write(name: str, line: str) -> None:
    stream: TextIO = getattr(sys, name)
    if name in _lost:
        return
    try:
        print(visible(line), file=stream, flush=True)
    except OSError as error:
        _lost.add(name)
        # What is left in its buffer must not fail once more when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if name == "stdout" and error.errno != errno.EPIPE:
            note(_("The output could not be written: {why}.").format(why=error.strerror))


def said_of(about: str, problem: Problem) -> str:
    """What happened and what to do, in one line, behind the host it happened to; some things happen to no host."""
    return " ".join(part for part in (f"{about}:" if about else "", tr(problem.what), tr(problem.remedy)) if part)


def tell_working(view: CommandView) -> None:
    """An act that takes its time: what it waits for goes beside the answer, so that a script reads the answer alone."""
    if view.waits_for is not None:
        note(f"{view.act}: {tr(view.waits_for)}")


def print_problem(problem: Problem, *, as_json: bool, order: int | None = None) -> None:
    """What happened, to what, and what to do next. `order`: one that is in the store all the same."""
    if as_json:
        print_json({"error": problem} if order is None else {"order": order, "error": problem})
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
    """Local date and time to the second, `-` when it has not happened."""
    return datetime.fromtimestamp(time_s).astimezone().strftime("%Y-%m-%d %H:%M:%S") if time_s else "-"


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else visible(str(value))
