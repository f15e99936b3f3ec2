"""The one gate: every act, every order that is made and every change of the catalogue passes here, or is refused here.

It knows who asks, what role that needs, and it writes the audit, of what was done and of what was refused. Who asks is the user of
the operating system, never a setting; whoever opens the store for somebody else says so in code.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import sqlalchemy as sa

from engine.domain.problem import Problem, ProblemError
from engine.domain.roles import Grant, Grants, Role, Standing, not_allowed
from engine.store import tables as t
from engine.store.audit import Entry, record
from engine.store.store import Store, StoreError

log = logging.getLogger(__name__)
EVERYBODY = 10_000


class NotAllowed(ProblemError):
    """Code `not_allowed`: whoever asks has not the role that it needs."""


class Place(Protocol):
    @property
    def tenant_id(self) -> int: ...
    @property
    def workspace_id(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Where:
    """A workspace, or with None what is a tenant's own."""

    tenant_id: int
    workspace_id: int | None


@dataclass(slots=True)
class Passing:
    """What is being done by whom. `entries` are written to the audit with it: `entry`, and whatever else is
    said of it."""

    conn: sa.Connection
    grants: Grants
    entry: Entry
    entries: list[Entry]

    def also(self, act: str, target: str, **more: Any) -> None:
        """One more line of the audit, for another thing that is done with it."""
        self.entries.append(replace(self.entry, act=act, target=target, **more))


class Gate:
    def __init__(self, store: Store, operator: str, now: Callable[[], float]) -> None:
        self._store = store
        self._operator = operator
        self._now = now

    @contextmanager
    def passing(
        self,
        act: str,
        least: Role,
        *,
        place: Callable[[sa.Connection], Place] | None = None,
        order_id: int | None = None,
        target: str = "",
        reason: str = "",
    ) -> Iterator[Passing]:
        """One transaction in which it is done and written down. `place` None: it belongs to no tenant, and the role may be held
        anywhere. What is refused, here or by what is done, is written down as well. Raises NotAllowed, whatever is raised in it,
        and StoreError."""
        entry = Entry(self._now(), self._operator, act, target or _target(order_id), reason=reason, order_id=order_id)
        try:
            with self._store.writing() as conn:
                grants = load_grants(conn, self._operator)
                here = None if place is None else place(conn)
                if here is not None:
                    entry.tenant_id, entry.workspace_id = here.tenant_id, here.workspace_id
                admit(conn, grants, act, least, here)
                passing = Passing(conn, grants, entry, [entry])
                yield passing
                record(conn, passing.entries)
        except StoreError:
            raise
        except ProblemError as error:
            self._refused(entry, error.problem)
            raise

    def _refused(self, entry: Entry, problem: Problem) -> None:
        """Nothing was done; that it was asked for stands in the audit."""
        line = entry.refused(problem)
        if problem.code == "no_such_order":
            line.order_id = None  # it may be one of another workspace: its history is none of ours
        try:
            with self._store.writing() as conn:
                record(conn, [line])
        except StoreError as error:
            log.warning("a refused act could not be written down: %s", error)


def no_longer_allowed(conn: sa.Connection, operator: str, act: str, least: Role, workspace_id: int) -> Problem | None:
    """Why what the operator was allowed to ask for must not be done now: their role was taken away meanwhile. A store that names
    nobody was asked by its owner, and by no one else."""
    if _names_nobody(conn):
        return None
    try:
        admit(conn, load_grants(conn, operator), act, least, workspace_place(conn, workspace_id))
    except NotAllowed as error:
        return error.problem
    return None


def workspace_place(conn: sa.Connection, workspace_id: int) -> Where:
    tenant_id = conn.execute(sa.select(t.workspace.c.tenant_id).where(t.workspace.c.id == workspace_id)).scalar_one()
    return Where(tenant_id, workspace_id)


def admit(conn: sa.Connection, grants: Grants, act: str, least: Role, place: Place | None) -> Standing:
    """Raises NotAllowed, naming who may."""
    standing = grants.anywhere() if place is None else grants.at(place.tenant_id, place.workspace_id)
    if standing.may(least):
        return standing
    raise NotAllowed(not_allowed(standing, act, least, who_may(conn, least, place)))


def load_grants(conn: sa.Connection, operator: str) -> Grants:
    """What the operator may do; everything, when the store names no operator and belongs to this user."""
    role, name = t.operator_role.c, t.operator.c.name
    rows = conn.execute(
        sa.select(role.tenant_id, role.workspace_id, role.role)
        .join(t.operator, t.operator.c.id == role.operator_id)
        .where(name == operator)
    ).all()
    grants = tuple(Grant(row.tenant_id, row.workspace_id, Role(row.role)) for row in rows)
    return Grants(operator, grants, as_owner=not rows and _names_nobody(conn) and _owns(conn))


def who_may(conn: sa.Connection, least: Role, place: Place | None, at_most: int = 5) -> list[str]:
    """Operators with the role there, some of them."""
    enough = [str(role) for role in Role if role.includes(least)]
    role = t.operator_role.c
    query = sa.select(t.operator.c.name).join(t.operator_role, role.operator_id == t.operator.c.id)
    query = query.where(role.role.in_(enough)).distinct().order_by(t.operator.c.name).limit(at_most)
    if place is not None:
        query = query.where(role.tenant_id == place.tenant_id)
        query = query.where(sa.or_(role.workspace_id.is_(None), role.workspace_id == place.workspace_id))
    return list(conn.execute(query).scalars())


def _names_nobody(conn: sa.Connection) -> bool:
    return conn.execute(sa.select(t.operator.c.id).limit(1)).first() is None


def _owns(conn: sa.Connection) -> bool:
    """Of a file its owner, of a database whoever owns the tables."""
    if conn.dialect.name == "sqlite":
        file = conn.engine.url.database
        return not file or os.stat(file).st_uid == os.getuid()
    owner = sa.text(
        "SELECT pg_has_role(current_user, relowner, 'USAGE') FROM pg_class WHERE oid = 'operator'::regclass"
    )
    return bool(conn.execute(owner).scalar_one())


def _target(order_id: int | None) -> str:
    return "" if order_id is None else f"order #{order_id}"
