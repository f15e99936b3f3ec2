"""Files that only their owner may read: the store and what SQLite puts beside it, locks, logs.

They hold names, addresses, reasons and the output of hosts, and lie in folders that others may enter. A file is made with mode 0600
whatever the umask says, and one that was left more open is corrected by whoever opens it. A file of somebody else is left alone.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

PRIVATE = 0o600
PRIVATE_FOLDER = 0o700


def open_private(path: Path, flags: int = os.O_WRONLY | os.O_APPEND) -> int:
    """A descriptor of the file, which is made when it is not there. Raises OSError."""
    descriptor = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    try:
        facts = os.fstat(descriptor)
        if _is_too_open(facts, PRIVATE):
            os.fchmod(descriptor, PRIVATE)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def append_to_private(path: Path, *, new: bool = False) -> BinaryIO:
    """For writing at its end; `new` empties it first. Raises OSError."""
    return os.fdopen(open_private(path, os.O_WRONLY | (os.O_TRUNC if new else os.O_APPEND)), "wb" if new else "ab")


def make_private(path: Path) -> None:
    """Make an empty file of the path when there is none. Raises OSError."""
    os.close(open_private(path))


def correct(paths: Iterable[Path], *, mode: int = PRIVATE) -> None:
    """Those that are there, ours and too open are made private; links are not followed. Raises OSError."""
    for path in paths:
        try:
            facts = path.lstat()
        except FileNotFoundError:
            continue
        if _is_too_open(facts, mode) and not stat.S_ISLNK(facts.st_mode):
            path.chmod(mode)


def _is_too_open(facts: os.stat_result, mode: int) -> bool:
    return facts.st_uid == os.geteuid() and stat.S_IMODE(facts.st_mode) != mode
