"""Faults on demand: counters that say how many of the next requests go wrong, and the one place that counts them down."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

Fault = int  # how many of the next requests; -1 = all, until it is set to 0


def take(faults: Any, *, among: tuple[str, ...] = ()) -> str:
    """The name of the first counter that is not 0, counted down by one; "" when all are 0. `faults` is a dataclass of
    counters; `among` restricts the choice to some of them."""
    for entry in fields(faults):
        left = getattr(faults, entry.name)
        if isinstance(left, int) and left != 0 and (not among or entry.name in among):
            if left > 0:
                setattr(faults, entry.name, left - 1)
            return entry.name
    return ""
