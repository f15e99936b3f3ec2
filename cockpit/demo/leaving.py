"""What becomes of the practice fleet when the demo is left: it stays while an order is open, else it goes down. Its files stay.

Run as a program it does the same unseen, for a demo whose terminal has gone: `python -m cockpit.demo.leaving DIR`; with `--end`
whatever is open, with `--remove` files and all.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import cockpit
from cockpit.engine_process import stop_engine
from cockpit.identity import operating_system_user
from cockpit.lab import process as lab
from cockpit.practice import settings_of
from cockpit.settings import Settings
from engine.api import Api

LOG = "leaving.log"
PRESENT = "present.lock"  # held by each demo that is at the fleet
PATIENCE_S = 5.0
LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Left:
    """Why fleet and engine go on: for open `orders`, or for `others` who are at them. Neither: both have ended."""

    orders: tuple[int, ...] = ()
    others: bool = False


@contextmanager
def presence(folder: Path) -> Iterator[None]:
    """Somebody is at the fleet: whoever leaves it meanwhile leaves it up. It ends with the process in any case."""
    with (folder / PRESENT).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def leave(folder: Path, *, patience_s: float = 0.0) -> Left:
    """End engine and fleet if nobody needs them. Whoever is just ending gets `patience_s`. Raises ProblemError."""
    info = lab.info(folder)
    if info is not None and (still_open := _open_orders(settings_of(info))):
        return Left(orders=still_open)
    deadline = time.monotonic() + patience_s
    with (folder / PRESENT).open("a") as file:
        while not _alone(file):
            if time.monotonic() >= deadline:
                return Left(others=True)
            time.sleep(LOOK_S)
        end(folder)
    return Left()


def _alone(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def end(folder: Path) -> None:
    """Engine and fleet, whatever is open. Raises ProblemError."""
    info = lab.info(folder)
    if info is not None and (Path(info.dir) / "cockpit.db").exists():
        stop_engine(settings_of(info))
    lab.down(folder)


def _open_orders(settings: Settings) -> tuple[int, ...]:
    api = Api(settings.store, operator=operating_system_user(), log_dir=settings.log_dir)
    api.open()
    try:
        every = [api.orders(view.tenant, view.workspace, open_only=True) for view in api.workspaces()]
    finally:
        api.close()
    return tuple(sorted(row.id for rows in every for row in rows))


def leave_in_the_background(folder: Path, *told: str) -> None:
    """As the program does it, in a process that needs neither this one nor its terminal."""
    folder = folder.expanduser().resolve()
    if not folder.exists():
        return
    paths = [str(Path(cockpit.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    with (folder / LOG).open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "cockpit.demo.leaving", str(folder), *told],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,
        )


def main(folder: Path, *told: str) -> None:
    if "--end" in told:
        end(folder)
    else:
        leave(folder, patience_s=PATIENCE_S)
    if "--remove" in told:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
