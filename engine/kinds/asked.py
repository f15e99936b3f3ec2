"""What was asked for, as the kind's own data: packed into an order's spec, and read again by the same kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack, cast

from engine.domain.orders import Grouping, OrderSpec, What
from engine.domain.states import Strategy

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")


_adapters: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    if kind not in _adapters:
        from pydantic import TypeAdapter

        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def pack(kind: str, data: object) -> What:
    return What(kind, cast(dict[str, Any], _adapter(type(data)).dump_python(data, mode="json")))


def unpack(what: What, kind: type[T]) -> T:
    """Raises pydantic's ValidationError for data of another kind."""
    return cast(T, _adapter(kind).validate_python(dict(what.data)))


class Options(TypedDict, total=False):
    """What can be asked of an order of any kind; what is left out is as `OrderSpec` and `Grouping` have it."""

    title: str
    strategy: Strategy
    groups: int | None
    beta: bool
    beta_hosts: tuple[str, ...]
    by_hand: tuple[tuple[str, ...], ...]
    excluded: tuple[str, ...]
    parallelism: int
    max_failures: int
    floor: int | None
    override_reason: str
    reason: str
    seed: int


def order_spec(what: What, **options: Unpack[Options]) -> OrderSpec:
    given = dict(options)
    parts = ("strategy", "groups", "beta", "beta_hosts", "by_hand", "excluded")
    grouping = {"count" if name == "groups" else name: given.pop(name) for name in parts if name in given}
    return OrderSpec(what, grouping=Grouping(**cast(Any, grouping)), **cast(Any, given))
