"""The audit: who did what, when and why, and what was refused. Written here and nowhere else; nothing is ever changed in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import sqlalchemy as sa

from engine.domain.problem import Problem
from engine.store import tables as t

DONE, REFUSED = "done", "refused"


@dataclass(slots=True)
class Entry:
    """One line of the audit. `order_id`: it belongs to that order's history; `command_id`: the engine answers it."""

    at: float
    operator: str
    act: str
    target: str
    reason: str = ""
    before: Any = None
    after: Any = None
    tenant_id: int | None = None
    workspace_id: int | None = None
    order_id: int | None = None
    command_id: int | None = None
    outcome: str = DONE
    problem: Any = None

    def refused(self, problem: Problem) -> Entry:
        """The same, not done: what it would have written is not there."""
        return replace(self, outcome=REFUSED, problem=problem.to_json(), command_id=None)


def record(conn: sa.Connection, entries: Sequence[Entry]) -> None:
    if entries:
        conn.execute(sa.insert(t.audit), [asdict(entry) for entry in entries])
