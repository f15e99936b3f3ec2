"""Looks at a lab from outside while hosts die: no act of an order may leave fewer hosts in service than the floor.

In service is what has a weight at the balancer and answers on its port, both really looked at. A death may go below the floor, a
cut may not; a host that has died a moment ago still counts, because nobody can know of it yet.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from cockpit.lab import process as lab
from tests.support.lab_release import Fleet, versions_in, weights_in

EVERY_S = 0.1
UNNOTICED_S = 8.0  # the balancer's own check on a busy machine, and one look of the order at it


@dataclass
class FloorWatch:
    """Use it as a context; `violations` says what was seen. `floor`: hosts that must stay in service."""

    fleet: Fleet
    floor: int
    violations: list[str] = field(default_factory=list)
    looks: int = 0
    cuts: int = 0
    deaths: dict[str, float] = field(default_factory=dict)  # host → when it was seen to answer no more
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> FloorWatch:
        self._thread = threading.Thread(target=self._watch, name="floor watch")
        self._thread.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        before: Mapping[str, int] = {}
        answered: set[str] = set()
        while not self._over.wait(EVERY_S):
            status = lab.status(self.fleet.dir)
            weights, answering = weights_in(status), {host for host, version in versions_in(status).items() if version}
            now = time.monotonic()
            for host in answered - answering:
                self.deaths[host] = now
            cut = {host for host, weight in before.items() if weight > 0 and weights[host] == 0 and host in answered}
            left = {host for host, weight in weights.items() if weight > 0 and self._counts(host, answering, now)}
            self.looks += 1
            self.cuts += len(cut)
            if cut and len(left) < self.floor:
                self.violations.append(f"{sorted(cut)} cut, left in service: {sorted(left)}, floor {self.floor}")
            before, answered = weights, answering

    def _counts(self, host: str, answering: set[str], now: float) -> bool:
        return host in answering or now - self.deaths.get(host, now - 2 * UNNOTICED_S) < UNNOTICED_S
