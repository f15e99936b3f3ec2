"""Searching a log of 500 MB to its end: how long the screen's event loop stands still meanwhile, against an idle loop."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from screens.log_finding import find
from tests.benchmarks.figures import figure

SIZE = 500_000_000
LINE = b"INFO  component 01 started, as it always does at this time of the day\n"
BUDGET_MS = 50.0


async def longest_gap_s(work: asyncio.Task[object]) -> float:
    longest, before = 0.0, time.perf_counter()
    while not work.done():
        await asyncio.sleep(0.005)
        now = time.perf_counter()
        longest, before = max(longest, now - before - 0.005), now
    return longest


async def test_a_search_leaves_the_loop_alone(tmp_path: Path) -> None:
    path = tmp_path / "host.log"
    block = LINE * (1_000_000 // len(LINE))
    with path.open("wb") as file:
        for _ in range(SIZE // len(block)):
            file.write(block)
    idle = await longest_gap_s(asyncio.create_task(asyncio.sleep(2)))
    began = time.perf_counter()
    search = asyncio.create_task(find(str(path), "no such word", older=True, at=1 << 62))
    gap = await longest_gap_s(search)  # type: ignore[arg-type]
    took = time.perf_counter() - began
    assert search.result() is None
    figure("event loop during a search of 500 MB", f"{gap * 1000:.0f} ms at most ({took:.1f} s of search)",
           baseline=f"idle loop {idle * 1000:.0f} ms", budget=f"≤ {BUDGET_MS:.0f} ms", met=gap * 1000 <= BUDGET_MS)  # fmt: skip
