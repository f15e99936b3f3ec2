"""What a command may say that is neither done nor failed: it was used wrongly, or nobody has answered yet."""

from __future__ import annotations

from engine.domain.message import Message, message
from engine.domain.problem import Problem, ProblemError

# The remedy of a wrong use: the command that was given fills in its own name.
HELP_OF_THE_COMMAND = message("`{command} --help` shows what it takes.", command="cockpit")


class WrongUse(ProblemError):
    """What was asked for makes no sense as it was put: exit code 2."""


class Unanswered(ProblemError):
    """What was asked for is in the store, and was not done or refused in time: exit code 4; the problem says what becomes of it."""

    def __init__(self, problem: Problem, order_id: int) -> None:
        super().__init__(problem)
        self.order_id = order_id


def help_of(command: str) -> Message:
    return message(HELP_OF_THE_COMMAND.text, command=command)
