"""When an order will be done, as far as that can be told: what its steps took before says how much work is left."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExpectedView:
    """All in seconds. Work and waiting for people are kept apart: nobody knows how long a person takes.

    `worked_s`, `waited_s`: since the order was started. `left_p50_s`, `left_p90_s`: the work that is left when its steps take as
    long as usual, or as long as one in ten did; None: of the steps in `unknown` (`app: step`) nothing is recorded. `people`: how
    often it still waits for a person, the present wait included.
    """

    worked_s: float
    waited_s: float
    left_p50_s: float | None
    left_p90_s: float | None
    people: int
    unknown: tuple[str, ...] = ()
