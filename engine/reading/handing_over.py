"""To whom an order can be handed over: the operators who may act on it."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from engine.domain.acts import ACTS, HandOver
from engine.plan.what_if_running import nobody_to_hand_to
from engine.reading.scope import Scope
from engine.store.gate import EVERYBODY, who_may
from engine.views.acts import Consequence


def with_operators(
    conn: sa.Connection, scope: Scope, meaning: Consequence, act: HandOver, responsible: str
) -> Consequence:
    """The consequence with whoever may take it over to choose from; refused where that is nobody, or not who is named."""
    may = who_may(conn, ACTS[act.name].least, scope, EVERYBODY)
    others = tuple(name for name in may if name != responsible)
    if meaning.allowed and (not others or (act.to and act.to not in others)):
        meaning = replace(meaning, allowed=False, refusal=nobody_to_hand_to(act.to, others), lines=())
        return replace(meaning, choices=others, chosen=act.to) if act.to else meaning
    return replace(meaning, choices=others, chosen=act.to)
