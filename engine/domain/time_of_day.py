"""How a time is written in a sentence."""

from __future__ import annotations

from datetime import datetime


def at(time: float) -> str:
    """The time of day in the zone of the process that reads."""
    return datetime.fromtimestamp(time).astimezone().strftime("%H:%M:%S")
