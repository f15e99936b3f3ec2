"""What was asked for, as the kind's own data: packed into an order's spec, and read again by the same kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from engine.domain.orders import What

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
