"""Asks the operators what an SSH server asks: a row that every screen shows, and a wait for whoever answers first.

The answer comes back sealed with a key that exists in this process only, and its row is emptied as soon as it was read. Nothing
in here writes an answer anywhere, and no error names one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from engine.ports import Clock, Question
from engine.store.prompts import about, beat, end_prompt, insert_prompt, sealed_answer
from engine.store.sealing import AnswerKey, SealBroken
from engine.store.store import Store, StoreError, Transaction

T = TypeVar("T")
LOOK_EVERY_S = 0.25
BEAT_EVERY_S = 2.0
log = logging.getLogger(__name__)


class Prompts:
    """`engine.ports.Asker` by rows of the store. A store that is away for a while only delays the answer."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._asked_by = f"{platform.node()}-{os.getpid()}"

    async def ask(self, question: Question, deadline_s: float) -> str | None:
        until = time.monotonic() + deadline_s
        key = AnswerKey()
        prompt_id = await self._open(question, key.public, until)
        if prompt_id is None:
            return None
        outcome = "withdrawn"
        try:
            answer = await self._await_answer(prompt_id, key, until)
            outcome = "missed" if answer is None else "answered"
            return answer
        finally:
            # Shielded: whoever cancels this must not leave a question on the screens that nobody waits for.
            await asyncio.shield(self._try(partial(self._end, prompt_id, outcome)))

    async def _open(self, question: Question, public_key: str, until: float) -> int | None:
        log.info("%s asks for an answer: %s", question.login, question.text)
        while (left_s := until - time.monotonic()) > 0:
            inserting = asyncio.create_task(self._try(partial(self._insert, question, public_key, left_s)))
            try:
                prompt_id = await asyncio.shield(inserting)
            except asyncio.CancelledError:
                await asyncio.shield(self._withdraw(inserting))
                raise
            if prompt_id is not None:
                return prompt_id
            await asyncio.sleep(LOOK_EVERY_S)
        return None

    async def _withdraw(self, inserting: asyncio.Task[int | None]) -> None:
        """The row may be written by now, though nobody has heard of it yet."""
        prompt_id = await inserting
        if prompt_id is not None:
            await self._try(partial(self._end, prompt_id, "withdrawn"))

    async def _await_answer(self, prompt_id: int, key: AnswerKey, until: float) -> str | None:
        beat_at = time.monotonic()
        while time.monotonic() < until:
            sealed = await self._try(partial(self._look, prompt_id))
            if sealed is not None:
                try:
                    return key.open(sealed, about(prompt_id))
                except SealBroken:
                    log.warning("the answer to question %d was not sealed for it", prompt_id)
                    return None
            if time.monotonic() - beat_at >= BEAT_EVERY_S:
                await self._try(partial(self._beat, prompt_id))
                beat_at = time.monotonic()
            await asyncio.sleep(LOOK_EVERY_S)
        return None

    async def _try(self, act: Callable[[], T]) -> T | None:
        """None also when the store could not be asked: it is asked again, or the question ages out by itself."""
        try:
            return await asyncio.to_thread(act)
        except StoreError as error:
            log.warning("%s", error)
            return None

    # ---- in worker threads

    def _insert(self, question: Question, public_key: str, left_s: float) -> int:
        now = self._clock.now()
        with self._store.writing() as conn:
            return insert_prompt(
                conn, question, asked_by=self._asked_by, public_key=public_key, now=now, deadline_at=now + left_s
            )

    def _look(self, prompt_id: int) -> str | None:
        with self._store.reading() as conn:
            return sealed_answer(conn, prompt_id)

    def _beat(self, prompt_id: int) -> None:
        self._write(lambda conn: beat(conn, prompt_id, self._clock.now()))

    def _end(self, prompt_id: int, outcome: str) -> None:
        self._write(lambda conn: end_prompt(conn, prompt_id, outcome, self._clock.now()))

    def _write(self, change: Callable[[Transaction], None]) -> None:
        with self._store.writing() as conn:
            change(conn)
