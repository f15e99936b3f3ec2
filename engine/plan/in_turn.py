"""What two acts would do that are asked for as one: weights, and then the gate they lead to. Pure, like `what_if`."""

from __future__ import annotations

from dataclasses import replace

from engine.domain.acts import SetWeights
from engine.domain.message import message
from engine.domain.progress import OrderProgress
from engine.domain.states import Verified
from engine.views.acts import Consequence


def with_weights(progress: OrderProgress, act: SetWeights) -> OrderProgress:
    """The order as it is once the balancer shows these weights."""
    return replace(
        progress,
        weights=tuple(
            replace(line, asked=weight, confirmed=weight, verified=Verified.YES, owned=True)
            if (weight := act.weights.get(line.mount.host)) is not None
            else line
            for line in progress.weights
        ),
    )


def in_turn(first: Consequence, then: Consequence) -> Consequence:
    """Refused if either is. It is judged and shown as the second, which is what it leads to."""
    if not first.allowed:
        return replace(first, act=then.act)
    if not then.allowed:
        return then
    return replace(
        then,
        summary=message("{first}; then {second}", first=first.summary, second=then.summary),
        lines=(*first.lines, *then.lines),
        hosts=tuple(dict.fromkeys([*first.hosts, *then.hosts])),
    )
