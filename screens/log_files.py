"""Copies of logs that an operator keeps: nobody else can read them, and none is written over a file that is there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

# files of one name at most: more means that something writes them in a loop
MOST_COPIES = 1000


def save_log(log: Path, folder: Path) -> Path:
    """Copy a host's log into the folder as `cockpit-<order>-<host>.<attempt>.log`, numbered when that is taken. Raises OSError."""
    name = f"cockpit-{log.parent.name}-{log.stem}"
    with log.open("rb") as source:
        for number in range(1, MOST_COPIES):
            path = folder / (f"{name}.log" if number == 1 else f"{name}-{number}.log")
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            except FileExistsError:
                continue
            with os.fdopen(descriptor, "wb") as target:
                shutil.copyfileobj(source, target)
            return path
    raise FileExistsError(f"{folder} has {MOST_COPIES} copies of {name} already")
