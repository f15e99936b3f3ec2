"""Statements that are run for every step of every host, built and compiled once: building one costs more than running it.

Only the shape is kept, never a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import sqlalchemy as sa

HOSTS_NAMED_IN_A_QUERY = 200  # beyond that all are read: cheaper, and no database limits its parameters


def columns(table: sa.Table, *names: str) -> list[sa.ColumnElement[Any]]:
    return [table.c[name] for name in names]


def text_of(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """JSON as it is stored: decoded only when it is another text than last time."""
    return sa.cast(column, sa.Text)


def update(conn: sa.Connection, table: sa.Table, at: Mapping[str, Any], values: Mapping[str, Any]) -> int:
    """Set `values` in the rows whose columns equal `at`; returns how many there were."""
    given = {f"at_{name}": value for name, value in at.items()} | {
        f"to_{name}": value for name, value in values.items()
    }
    return conn.execute(_updating(table, tuple(at), tuple(values)), given).rowcount


@cache
def _updating(table: sa.Table, at: tuple[str, ...], values: tuple[str, ...]) -> sa.Update:
    same = (table.c[name] == sa.bindparam(f"at_{name}", type_=table.c[name].type) for name in at)
    wanted = {name: sa.bindparam(f"to_{name}", type_=table.c[name].type) for name in values}
    return sa.update(table).where(*same).values(wanted)
