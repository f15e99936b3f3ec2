"""A release of 50, 200 and 1,000 hosts over loopback SSH by the real engine, against a raw asyncssh loop with the same commands."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.benchmarks.figures import figure
from tests.benchmarks.release import fleet, raw_loop, release

CPU_MS, WALL, MEMORY_MIB = 10.0, 1.3, 150.0
LARGEST = 1000


@pytest.mark.parametrize("hosts", [50, 200, LARGEST])
def test_release_behind_a_balancer(hosts: int, tmp_path: Path) -> None:
    with fleet(tmp_path, hosts) as facts:
        raw = raw_loop(tmp_path, hosts)
        ours = release(tmp_path, hosts, facts)
    cpu_ms, raw_ms = ours.cpu_s * 1000 / hosts, raw.cpu_s * 1000 / hosts
    largest = hosts == LARGEST
    figure(f"{hosts} hosts, client CPU a host", f"{cpu_ms:.1f} ms", baseline=f"raw loop {raw_ms:.1f} ms",
           ratio=cpu_ms / raw_ms, budget=f"≤ {CPU_MS:.0f} ms" if largest else "",
           met=cpu_ms <= CPU_MS if largest else None)  # fmt: skip
    figure(f"{hosts} hosts behind a balancer, wall, paced at 80 changes a minute",
           f"{ours.wall_s:.1f} s (check {ours.check.wall_s:.1f})",
           baseline=f"raw loop {raw.wall_s:.1f} s", ratio=ours.wall_s / raw.wall_s)  # fmt: skip
    figure(f"{hosts} hosts, engine memory", f"{ours.group.memory_mib:.0f} MiB",
           baseline=f"raw loop {raw.memory_mib:.0f} MiB", ratio=ours.group.memory_mib / raw.memory_mib,
           budget=f"≤ {MEMORY_MIB:.0f} MiB" if largest else "",
           met=ours.group.memory_mib <= MEMORY_MIB if largest else None)  # fmt: skip
    least = 2 * math.ceil(hosts / 20)
    figure(f"{hosts} hosts, balancer calls for cut and restore", str(ours.changes), baseline=f"⌈n/20⌉ each: {least}",
           ratio=ours.changes / least, budget=f"≤ {least}", met=ours.changes <= least)  # fmt: skip


@pytest.mark.parametrize("hosts", [50, 200, LARGEST])
def test_release_without_a_balancer(hosts: int, tmp_path: Path) -> None:
    """Only SSH, journal and logs: what the balancer's own limit does not cover up."""
    with fleet(tmp_path, hosts) as facts:
        raw = raw_loop(tmp_path, hosts)
        ours = release(tmp_path, hosts, facts, mounted=False)
    ratio = ours.wall_s / raw.wall_s
    figure(f"{hosts} hosts without a balancer, wall", f"{ours.wall_s:.1f} s (check {ours.check.wall_s:.1f})",
           baseline=f"raw loop {raw.wall_s:.1f} s", ratio=ratio,
           budget=f"≤ {WALL}", met=ratio <= WALL)  # fmt: skip
