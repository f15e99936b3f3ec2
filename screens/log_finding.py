"""Asks the program that looks through a log (`widgets/log_search.py`), with a deadline. Called off, it ends the program too."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE

from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError
from screens.widgets import log_search

DEADLINE_S = 120.0


async def find(path: str, wanted: str, *, older: bool, at: int) -> int | None:
    """Where it is, in bytes: the last place in front of `at`, or the first from `at` on. Raises ProblemError."""
    command = [sys.executable, "-I", "-S", log_search.__file__, path, wanted, "older" if older else "newer", str(at)]
    try:
        process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
    except OSError as error:
        raise ProblemError(_failed(str(error))) from error
    try:
        async with asyncio.timeout(DEADLINE_S):
            said, complaint = await process.communicate()
    except TimeoutError:
        raise ProblemError(_failed(f"{DEADLINE_S:.0f} s")) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise ProblemError(_failed(complaint.decode("utf-8", "replace").strip().rpartition("\n")[2]))
    return int(said) if said.strip() else None


def _failed(why: str) -> Problem:
    return Problem(
        "log_not_searched",
        message("The log could not be searched: {why}.", why=why),
        message("Search it again, or save it and search the copy."),
    )
