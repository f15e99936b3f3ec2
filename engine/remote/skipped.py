"""What was named or looked for and is of no use, and why, in words that can be translated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.domain.message import Message


@dataclass(frozen=True, slots=True)
class SkippedFile:
    file: Path
    why: Message

    def __str__(self) -> str:
        return f"{self.file}: {self.why}"
