"""First frame of the real `cockpit` command on a terminal against a minimal Textual app, whole processes in the same run."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

import pytest

from tests.benchmarks.figures import figure
from tests.benchmarks.terminal import Terminal

ROOT = Path(__file__).parents[2]
MINIMAL = Path(__file__).with_name("minimal_app.py")
ROUNDS = 5
BUDGET = 1.7
LEAST = ("first frame", [sys.executable, MINIMAL])
OURS = ("leave", [sys.executable, "-m", "cockpit"])  # in the line of keys, the last line of the first frame
NAMED = ("leave", [sys.executable, "-m", "cockpit", "--workspace", "prod"])  # with options there is something to parse


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm-256color",
        "COCKPIT_LANGUAGE": "en",
        "COCKPIT_ENGINE_IDLE_S": "1",  # the engine that may have been started behind the first frame ends by itself
    }


def seconds(command: tuple[str, list[str | Path]], environment: dict[str, str]) -> float:
    words, arguments = command
    with Terminal(arguments, environment) as terminal:
        return terminal.until(words.encode())


@pytest.mark.parametrize(("how", "command"), [("cockpit", OURS), ("cockpit --workspace prod", NAMED)])
def test_first_frame(how: str, command: tuple[str, list[str | Path]], environment: dict[str, str]) -> None:
    seconds(command, environment)  # what is compiled or cached only once does not count
    pairs = [(seconds(command, environment), seconds(LEAST, environment)) for _ in range(ROUNDS)]
    ratio = statistics.median(ours / least for ours, least in pairs)
    ours, least = (statistics.median(column) * 1000 for column in zip(*pairs, strict=True))
    figure(f"first frame, {how}", f"{ours:.0f} ms", baseline=f"minimal Textual app {least:.0f} ms",
           ratio=ratio, budget=f"≤ {BUDGET}", met=ratio <= BUDGET)  # fmt: skip
