"""Statements that are executed for every step of every host, built once each: building one costs more than executing it.

Knows tables and columns, never what a row means. Called inside a transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa


def insert(conn: sa.Connection, table: sa.Table, values: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
    """One row, or several with the same columns."""
    if values:
        conn.execute(_insert(table), values)


def update(conn: sa.Connection, table: sa.Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """The rows whose columns equal `key` get `values`."""
    update_each(conn, table, [(key, values)])


def update_each(
    conn: sa.Connection, table: sa.Table, changes: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
) -> None:
    """As `update` for each (key, values); all name the same columns."""
    if not changes:
        return
    statement = _update(table, tuple(changes[0][0]), tuple(changes[0][1]))
    rows = [{**_marked("key_", key), **_marked("new_", values)} for key, values in changes]
    conn.execute(statement, rows if len(rows) > 1 else rows[0])


def _marked(mark: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {mark + name: value for name, value in values.items()}


@cache
def _insert(table: sa.Table) -> sa.Insert:
    return sa.insert(table)


@cache
def _update(table: sa.Table, key: tuple[str, ...], values: tuple[str, ...]) -> sa.Update:
    where = [table.c[name] == _parameter("key_", table, name) for name in key]
    return sa.update(table).where(*where).values({name: _parameter("new_", table, name) for name in values})


def _parameter(mark: str, table: sa.Table, name: str) -> sa.BindParameter[Any]:
    return sa.bindparam(mark + name, type_=table.c[name].type)
