"""Who may do what. A role includes those before it, so each act and each change names the least one it needs. Pure data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from engine.domain.message import Message, message
from engine.domain.problem import Problem


class Role(StrEnum):
    VIEWER = "viewer"  # sees
    OPERATOR = "operator"  # runs orders
    APPROVER = "approver"  # confirms gates, rolls back
    ADMIN = "admin"  # edits the catalogue

    def includes(self, other: Role) -> bool:
        return _RANKS.index(self) >= _RANKS.index(other)


_RANKS = tuple(Role)


@dataclass(frozen=True, slots=True)
class Grant:
    """A role in a tenant; `workspace_id` None: in all of its workspaces."""

    tenant_id: int
    workspace_id: int | None
    role: Role


@dataclass(frozen=True, slots=True)
class Standing:
    """What one operator may do in one place. `as_owner`: the store names no operator at all, so its owner does everything."""

    operator: str
    role: Role | None
    as_owner: bool = False

    def may(self, least: Role) -> bool:
        return self.as_owner or (self.role is not None and self.role.includes(least))


@dataclass(frozen=True, slots=True)
class Grants:
    """Everything an operator was granted in a store."""

    operator: str
    grants: tuple[Grant, ...]
    as_owner: bool = False

    def at(self, tenant_id: int, workspace_id: int | None) -> Standing:
        """In a workspace, or with None in a tenant's own things."""
        ours = [grant for grant in self.grants if grant.tenant_id == tenant_id]
        return self._standing(grant.role for grant in ours if grant.workspace_id in (None, workspace_id))

    def anywhere(self) -> Standing:
        """In what belongs to no tenant: the highest role held anywhere."""
        return self._standing(grant.role for grant in self.grants)

    def _standing(self, roles: Iterable[Role]) -> Standing:
        return Standing(self.operator, max(roles, key=_RANKS.index, default=None), self.as_owner)


def not_allowed(standing: Standing, what: str, least: Role, askable: Iterable[str] = ()) -> Problem:
    """`what` is the act's or the change's name; `askable` are operators who may."""
    said = {"operator": standing.operator, "act": what, "least": str(least)}
    if standing.role is None:
        sentence = message("{operator} has no role here: {act} needs {least}.", **said)
    else:
        sentence = message("{operator} is {role} here: {act} needs {least}.", role=str(standing.role), **said)
    names = ", ".join(sorted(askable))
    if names:
        remedy = message("Ask one of these to do it, or to be given the role: {names}.", names=names)
    else:
        remedy = message("Ask an admin for the role: roles are in the catalogue, under operators.")
    return Problem("not_allowed", sentence, remedy)


def acts_as_owner(operator: str) -> Message:
    return message("no operator is named in this store: {operator}, its owner, can do everything", operator=operator)
