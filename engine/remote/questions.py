"""What a server asks during a login (keyboard-interactive), passed on to a person: a one-time password, mostly.

A server's patience is shorter than a person's: when it hangs up meanwhile, the question stays open and its answer is given to
the next connection; so is an answer that the server hung up on before it judged it. A judged answer is forgotten; none is ever
logged or part of an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from engine.domain.clean import clean_text
from engine.ports import Asker, Question, RemoteError
from engine.remote import problems
from engine.remote.hops import Hop
from engine.remote.settings import AskAt, SshSettings

_TEXT_LIMIT = 300  # characters of what a server says


class Questions:
    """The questions of one hop's login, over as many connections as it takes. `close` it at the end."""

    def __init__(self, hop: Hop, asker: Asker | None, settings: SshSettings) -> None:
        self._hop = hop
        self._asker = asker if _asks(hop, settings) else None
        self._settings = settings
        self._open: dict[tuple[str, str], asyncio.Task[str | None]] = {}
        self._given: dict[tuple[str, str], str] = {}  # in this round, not judged yet
        self._unjudged: dict[tuple[str, str], str] = {}  # given to a connection that broke: for the next one
        self._answered = False  # in this round, with something
        self._refused = 0
        self._missed = False
        self.last = ""  # the words of the last question
        self._limit: asyncio.Timeout | None = None

    @property
    def open(self) -> bool:
        """A person is being asked, or has answered and the connection is gone."""
        return bool(self._open)

    @property
    def waiting(self) -> bool:
        """A person is being asked and has not answered yet."""
        return any(not task.done() for task in self._open.values())

    @property
    def can_ask(self) -> bool:
        return self._asker is not None

    @property
    def asked(self) -> bool:
        """A person's answer went into this login."""
        return self._answered

    def bound_by(self, limit: asyncio.Timeout) -> None:
        """The deadline of the login that runs now; it stands still while a person is asked."""
        self._limit = limit

    def next_round(self) -> bool:
        """Whether the server may ask once more: an answer of the round before was not enough for it."""
        if self._answered:
            self._answered = False
            self._given.clear()
            self._refused += 1
        return self.can_ask and not self._missed and self._refused < self._settings.ask_attempts

    def broken(self) -> None:
        """The connection ended before the server said what it thinks of this round's answers: the next one is given them."""
        self._answered = False
        self._unjudged, self._given = self._given, {}

    async def answers(self, instruction: str, prompts: Sequence[tuple[str, bool]]) -> list[str] | None:
        """One answer a prompt; None when nobody answered in time."""
        found: list[str] = []
        for text, echo in prompts:
            answer = await self._answer(_shown(instruction), _shown(text), echo)
            if answer is None:
                self._missed = True
                return None
            found.append(answer)
        self._answered = self._answered or bool(found)
        return found

    async def settled(self) -> bool:
        """Wait until whoever is being asked has answered or the time is over; whether there is an answer to try."""
        await asyncio.wait(self._open.values())
        self._missed = any(task.result() is None for task in self._open.values())
        return not self._missed

    def problem(self) -> RemoteError | None:
        """Why the login failed, if it was for an answer."""
        if self._missed:
            return problems.one_time_password_missing(self._hop, self.last, self._settings.ask_deadline_s)
        if self._refused or self._answered:
            return problems.one_time_password_refused(self._hop, self.last, self._refused + self._answered)
        return None

    async def close(self) -> None:
        tasks, self._open = list(self._open.values()), {}
        self._given.clear()
        self._unjudged.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, instruction: str, text: str, echo: bool) -> str | None:
        assert self._asker is not None, "only asked after next_round"
        self.last = text
        key = (instruction, text)
        unjudged = self._unjudged.pop(key, None)
        if unjudged is not None:  # once: if it was wrong after all, nobody's account is locked by us
            return unjudged
        if key not in self._open:
            question = Question(
                hop=self._hop.name,
                login=f"{self._hop.user}@{self._hop.address}:{self._hop.port}",
                is_jump=self._hop.is_jump,
                instruction=instruction,
                text=text,
                echo=echo,
                attempt=self._refused + 1,
            )
            self._open[key] = asyncio.create_task(self._asker.ask(question, self._settings.ask_deadline_s))
        self._move_limit(None)
        # Shielded: the connection may end meanwhile, and takes this coroutine with it.
        answer = await asyncio.shield(self._open[key])
        self._open.pop(key, None)
        if answer is not None:
            self._given[key] = answer
        self._move_limit(asyncio.get_running_loop().time() + self._settings.login_timeout_s)
        return answer

    def _move_limit(self, when: float | None) -> None:
        if self._limit is not None:
            with suppress(RuntimeError):  # that login has just ended
                self._limit.reschedule(when)


def _asks(hop: Hop, settings: SshSettings) -> bool:
    return settings.ask_at is AskAt.ALL or (settings.ask_at is AskAt.JUMP_HOSTS and hop.is_jump)


def _shown(text: str) -> str:
    return " ".join(clean_text(text).split())[:_TEXT_LIMIT]
