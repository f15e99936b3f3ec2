"""How values of views are written everywhere: as JSON, a share, the state that is shown of an order."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from engine.domain.message import Message
from engine.domain.problem import Problem
from engine.domain.states import (
    OrderState,
    Shown,
)


def to_json(view: Any) -> Any:
    """Any view-model as plain JSON data. A `Message` becomes its English sentence, a `Problem` {code, what, remedy, evidence}."""
    if isinstance(view, Message):
        return str(view)
    if isinstance(view, Problem):
        return {"code": view.code, "what": str(view.what), "remedy": str(view.remedy), "evidence": view.evidence}
    if dataclasses.is_dataclass(view) and not isinstance(view, type):
        return {f.name: to_json(getattr(view, f.name)) for f in dataclasses.fields(view)}
    if isinstance(view, Mapping):
        return {str(key): to_json(value) for key, value in view.items()}
    if isinstance(view, (list, tuple)):
        return [to_json(value) for value in view]
    return view


def percent(share: float) -> str:
    """A share of 0–1 as it is written everywhere: `12.5%`, `25%`. With a tenth, so that two shares and their sum agree."""
    return f"{share * 100:.1f}".removesuffix(".0") + "%"


def shown_state(state: OrderState, *, paused: bool, failed: bool) -> OrderState | Shown:
    """A paused order is paused, whatever it was at; one with failed hosts is halted, and a person must decide about them."""
    going = state in (OrderState.RUNNING, OrderState.WAITING, OrderState.HALTED)
    return Shown.PAUSED if paused and going and not failed else state
