"""What runs on this machine, read from /proc; and small commands for a test's preparation."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path


def call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def until_there(path: Path, deadline_s: float = 10.0) -> None:
    end = time.monotonic() + deadline_s
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.01)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def processes_showing(needle: bytes) -> list[str]:
    """The processes, other than this one, that have `needle` in their argument list or environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) == os.getpid():
            continue
        for name in ("cmdline", "environ"):
            try:
                if needle in (process / name).read_bytes():
                    found.append(f"{process.name} {name}")
            except OSError:
                continue  # it has ended, or is the kernel's
    return found


def files_holding(folder: Path, needle: bytes) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and needle in file.read_bytes()]
