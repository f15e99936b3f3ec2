"""First frame of the cockpit against a minimal Textual app, as whole processes in the same run. Budget: 1.7 times."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("first_frame.py")
ROUNDS = 7
BUDGET = 1.7


def seconds(app: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, PROGRAM, app], cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
                   check=True, capture_output=True, timeout=60)  # fmt: skip
    return time.perf_counter() - start


def test_first_frame_is_within_its_budget() -> None:
    pairs = [(seconds("cockpit"), seconds("minimal")) for _ in range(ROUNDS)]
    ratio = statistics.median(ours / least for ours, least in pairs)
    ours, least = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(
        f"\nfirst frame: cockpit {ours * 1000:.0f} ms, minimal {least * 1000:.0f} ms, ratio {ratio:.2f} (budget {BUDGET})"
    )
    assert ratio <= BUDGET
