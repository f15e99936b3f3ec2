"""Questions of SSH servers as rows: asked by an engine, answered by whoever sees them first. Called inside a transaction.

An answer is in its row only between its being given and its being taken, and only sealed.
"""

from __future__ import annotations

import sqlalchemy as sa

from engine.domain.message import message
from engine.domain.problem import Problem
from engine.ports import Question
from engine.store import tables as t
from engine.store.store import StoreError
from engine.views.engines import PromptView

SILENT_S = 8.0  # an engine that has not said for so long that it still waits is gone, and its question with it
KEEP_S = 30 * 86_400.0


def insert_prompt(
    conn: sa.Connection, question: Question, *, asked_by: str, public_key: str, now: float, deadline_at: float
) -> int:
    """A new open question; returns its id. Old ones that have ended are cleared away."""
    conn.execute(sa.delete(t.prompt).where(t.prompt.c.asked_at < now - KEEP_S))
    gone = sa.update(t.prompt).where(t.prompt.c.ended_at.is_(None), t.prompt.c.beat_at < now - 10 * SILENT_S)
    conn.execute(gone.values(ended_at=now, outcome="withdrawn", sealed_answer=None))
    inserted = conn.execute(
        sa.insert(t.prompt)
        .values(
            asked_by=asked_by,
            hop=question.hop,
            login=question.login,
            is_jump=question.is_jump,
            instruction=question.instruction,
            question=question.text,
            echo=question.echo,
            attempt=question.attempt,
            public_key=public_key,
            asked_at=now,
            deadline_at=deadline_at,
            beat_at=now,
        )
        .returning(t.prompt.c.id)
    )
    return int(inserted.scalar_one())


def sealed_answer(conn: sa.Connection, prompt_id: int) -> str | None:
    return conn.execute(sa.select(t.prompt.c.sealed_answer).where(t.prompt.c.id == prompt_id)).scalar_one_or_none()


def beat(conn: sa.Connection, prompt_id: int, now: float) -> None:
    conn.execute(sa.update(t.prompt).where(t.prompt.c.id == prompt_id).values(beat_at=now))


def end_prompt(conn: sa.Connection, prompt_id: int, outcome: str, now: float) -> None:
    """`outcome`: answered, missed or withdrawn. The answer leaves the store."""
    ended = sa.update(t.prompt).where(t.prompt.c.id == prompt_id, t.prompt.c.ended_at.is_(None))
    conn.execute(ended.values(ended_at=now, outcome=outcome, sealed_answer=None))


def open_prompts(conn: sa.Connection, now: float) -> tuple[PromptView, ...]:
    """Those that somebody waits for and nobody has answered, oldest first."""
    p = t.prompt.c
    query = sa.select(t.prompt).where(
        p.ended_at.is_(None), p.sealed_answer.is_(None), p.deadline_at > now, p.beat_at > now - SILENT_S
    )
    return tuple(
        PromptView(
            row.id,
            row.hop,
            row.login,
            row.is_jump,
            row.instruction,
            row.question,
            row.echo,
            row.attempt,
            row.asked_at,
            row.deadline_at,
        )
        for row in conn.execute(query.order_by(p.id))
    )


def put_answer(conn: sa.Connection, prompt_id: int, answer: str, *, operator: str, now: float) -> str:
    """Seal the answer into its row; returns who is answered (user@address:port). Raises StoreError `no_such_prompt`,
    `prompt_ended`, `answer_unusable`."""
    from engine.store.sealing import ANSWER_LIMIT, seal

    row = conn.execute(sa.select(t.prompt).where(t.prompt.c.id == prompt_id).with_for_update()).one_or_none()
    if row is None:
        raise StoreError(_no_such_prompt(prompt_id))
    if row.ended_at is not None or row.sealed_answer is not None or row.deadline_at <= now:
        raise StoreError(_prompt_ended(row.hop, row.answered_by))
    if not answer or len(answer.encode()) > ANSWER_LIMIT or "\n" in answer or "\0" in answer:
        raise StoreError(_unusable(row.hop))
    sealed = seal(row.public_key, answer, about(prompt_id))
    values = {"sealed_answer": sealed, "answered_by": operator, "answered_at": now}
    conn.execute(sa.update(t.prompt).where(t.prompt.c.id == prompt_id).values(**values))
    return str(row.login)


def about(prompt_id: int) -> str:
    """What an answer is sealed with: it opens no other question."""
    return f"prompt {prompt_id}"


def _no_such_prompt(prompt_id: int) -> Problem:
    return Problem(
        "no_such_prompt",
        message("There is no question {id}.", id=prompt_id),
        message("`cockpit prompts` lists those that wait for an answer."),
    )


def _prompt_ended(hop: str, answered_by: str) -> Problem:
    what = (
        message("{operator} has already answered {hop}.", operator=answered_by, hop=hop)
        if answered_by
        else message("{hop} no longer waits for an answer.", hop=hop)
    )
    return Problem("prompt_ended", what, message("If it asks again, its new question is shown."))


def _unusable(hop: str) -> Problem:
    return Problem(
        "answer_unusable",
        message("{hop} cannot take that answer: it is empty, too long, or more than one line.", hop=hop),
        message("Type the code again."),
    )
