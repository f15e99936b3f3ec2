"""What happened in a run, in order, with virtual times: what a failing seed prints, and what two runs of a seed must agree in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from tests.simulation.loop import PROCESS, running_loop


@dataclass
class Trace:
    lines: list[tuple[float, str, str]] = field(default_factory=list)

    def add(self, text: str, who: str | None = None) -> None:
        process = PROCESS.get()
        self.lines.append((running_loop().time(), who or (process.name if process else "world"), text))

    def digest(self) -> str:
        return hashlib.sha256("\n".join(map(str, self.lines)).encode()).hexdigest()[:16]

    def text(self, last: int | None = None) -> str:
        lines = self.lines if last is None else self.lines[-last:]
        return "\n".join(f"{at:10.3f}  {who:<10} {what}" for at, who, what in lines)
