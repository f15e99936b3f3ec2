"""Finds and ends what a lab started, and nothing else: its processes carry the lab's folder in their environment.

It never goes by a process's name, and never ends a process whose mark it could not read.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

MARK = "COCKPIT_LAB_DIR"  # in the environment of the lab's process and of all its hosts' processes
GRACE_S = 3.0


def process_start(pid: int) -> str:
    """When the process started, in whatever form the system gives it; "" when it is gone or only its remains are there."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return ""
    except ProcessLookupError:
        return ""
    else:
        return "" if fields[0] in "ZX" else fields[19]
    asked = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, timeout=5, check=False
    )
    return asked.stdout.strip()


def is_alive(pid: int, started: str) -> bool:
    return bool(started) and process_start(pid) == started


def marked(dir: Path) -> list[int]:
    """The processes of the lab in `dir`, ourselves left out."""
    mark = f"{MARK}={dir}"
    if Path("/proc/self/environ").exists():
        found = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _has(entry, mark)]
    else:
        listing = subprocess.run(
            ["ps", "eww", "-axo", "pid,command"], capture_output=True, text=True, timeout=10, check=False
        )
        lines = [line.split() for line in listing.stdout.splitlines()]
        found = [int(words[0]) for words in lines if mark in words]
    return [pid for pid in found if pid != os.getpid()]


def _has(entry: Path, mark: str) -> bool:
    try:
        return mark.encode() in (entry / "environ").read_bytes().split(b"\0")
    except OSError:  # gone meanwhile, or somebody else's
        return False


def end_leftovers(dir: Path) -> tuple[int, list[int]]:
    """End the lab's processes: asked first, killed after a grace. Returns how many there were and which are still there."""
    seen: set[int] = set()
    until = time.monotonic() + GRACE_S
    while left := marked(dir):
        over = time.monotonic() - until
        if over > GRACE_S:
            return len(seen), left
        for pid in left:
            if over > 0 or pid not in seen:
                _signal(pid, signal.SIGKILL if over > 0 else signal.SIGTERM)
        seen.update(left)
        time.sleep(0.02)
    return len(seen), []


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
