"""What is shown of the engines that work for a store, and of what SSH servers ask through them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class EngineView:
    """A living engine. `embedded`: a cockpit started it. `agent` (a socket) and `credentials` (where it found its access key) are
    as they were at its start, empty for none; `started_with` is all that is known of it, for comparing."""

    id: str
    machine: str
    here: bool
    pid: int
    started_at: float
    user: str
    embedded: bool
    version: str
    program: str
    agent: str
    credentials: str
    started_with: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PromptView:
    """A question an SSH server asks and nobody has answered yet; its words are the server's. `attempt` above 1: the answer
    before was refused."""

    id: int
    hop: str
    login: str  # user@address:port
    is_jump: bool
    instruction: str
    question: str
    echo: bool  # the answer may be seen while it is typed
    attempt: int
    asked_at: float
    deadline_at: float
