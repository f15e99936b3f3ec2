"""What an operator's role makes of what an act would do: the gate's answer, before the key is pressed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa

from engine.domain.acts import ACTS
from engine.domain.roles import Standing, acts_as_owner, not_allowed
from engine.reading.scope import Scope
from engine.store.gate import load_grants, who_may
from engine.views.acts import Consequence


def judged(
    conn: sa.Connection, scope: Scope, operator: str, meanings: Sequence[Consequence]
) -> tuple[Consequence, ...]:
    standing = load_grants(conn, operator).at(scope.tenant_id, scope.workspace_id)
    return tuple(_judged(conn, scope, standing, meaning) for meaning in meanings)


def _judged(conn: sa.Connection, scope: Scope, standing: Standing, meaning: Consequence) -> Consequence:
    least = ACTS[meaning.act].least
    if not standing.may(least):
        refusal = not_allowed(standing, str(meaning.act), least, who_may(conn, least, scope))
        return replace(meaning, allowed=False, refusal=refusal, lines=(), choices=(), asks_reason=False)
    if standing.as_owner and meaning.allowed:
        return replace(meaning, lines=(*meaning.lines, acts_as_owner(standing.operator)))
    return meaning
