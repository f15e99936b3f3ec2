"""One question of a screen to the api: in a worker thread, with a deadline, and answered only while the screen is there.

Whatever goes wrong is a ProblemError, with a sentence for an operator.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from textual.app import App
from textual.dom import DOMNode
from textual.screen import Screen
from textual.worker import WorkType

from engine.api import Api
from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError
from screens.cockpit import cockpit_of

AnswerT = TypeVar("AnswerT")

ANSWER_DEADLINE_S = 20.0
WRITE_DEADLINE_S = 70.0  # longer than the store's own limits: it says itself what became of what was to be written


async def ask(
    asker: Screen[Any] | App[None], question: Callable[[Api], AnswerT], deadline_s: float = ANSWER_DEADLINE_S
) -> AnswerT:
    """The answer. Call it in a worker of the asker: was that closed meanwhile, the worker ends here. Raises ProblemError."""
    cockpit = cockpit_of(asker)
    try:
        async with asyncio.timeout(deadline_s):
            return await asyncio.to_thread(lambda: question(cockpit.open_api()))
    except ProblemError:
        raise
    except TimeoutError:
        raise ProblemError(_too_slow(deadline_s)) from None
    except Exception as error:
        # The edge of the process: an operator gets a sentence, not a traceback.
        raise ProblemError(_unexpected(error)) from error
    finally:
        if not _there(asker):
            raise asyncio.CancelledError


def in_worker(
    owner: DOMNode,
    work: Callable[..., Coroutine[Any, Any, None]],
    *arguments: Any,
    group: str,
    exclusive: bool = False,
) -> None:
    """Run ``work(*arguments)`` in a worker of the owner; an exclusive one ends what its group was at.

    The coroutine is made by the worker itself, so one that is called off before it began leaves none that was never awaited.
    """
    begin: WorkType[None] = partial(work, *arguments)
    owner.run_worker(begin, group=group, exclusive=exclusive)


def _there(asker: Screen[Any] | App[None]) -> bool:
    """A screen loses its widgets a while before its workers end."""
    return asker.app.is_running and asker.is_running and asker.display


def _unexpected(error: Exception) -> Problem:
    return Problem(
        "unexpected",
        message("A request to the store failed in a way the cockpit does not know."),
        message("Report this with the line above; what is running is not affected."),
        f"{type(error).__name__}: {error}",
    )


def _too_slow(deadline_s: float) -> Problem:
    return Problem(
        "store_slow",
        message("The store has not answered for {seconds} s.", seconds=int(deadline_s)),
        message("Check the disk or the database server it is on."),
    )
