"""The practice lab as a place to work in: which lab is meant, the settings of its store, its catalogue in that store.

On a practice fleet nothing of the world outside counts: never somebody's real keys, never another store.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

from cockpit.identity import operating_system_user
from cockpit.lab import process as lab
from cockpit.lab.running import running
from cockpit.settings import Settings, load_settings, store_file
from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError

KEPT = ("COCKPIT_LANGUAGE", "COCKPIT_THEME", "COCKPIT_ASCII")
APPLIED = "catalogue.applied"  # beside the lab's store: which catalogue it has


class PracticeError(ProblemError):
    """The practice fleet can't be used like this: codes `practice_outdated`, `practice_other_size`, `no_practice_folder`."""


class WhichLab(ProblemError):
    """More than one lab runs: code `which_lab`."""


def demo_folder() -> Path:
    """The demo's own, beside the lab's."""
    return lab.default_dir().with_name("demo")


def lab_meant(folder: Path | None = None) -> Path:
    """The folder of the one lab that runs, those in the data folder before any other; that of `cockpit lab up` when none does.
    Raises WhichLab."""
    if folder is not None:
        return folder
    found = running()
    usual = tuple(place for place in (lab.default_dir(), demo_folder()) if place.resolve() in found)
    meant = usual or found
    if len(meant) > 1:
        listed = ", ".join(str(place) for place in meant)
        raise WhichLab(
            Problem(
                "which_lab",
                message("More than one practice fleet runs: {listed}.", listed=listed),
                message("Name one with --dir."),
            )
        )
    return meant[0] if meant else lab.default_dir()


def stand_in(settings: Settings) -> lab.LabInfo | None:
    """The running lab, for somebody who has named no store and has nothing in the usual one."""
    usual = settings.data_dir / "cockpit.db"
    if store_file(settings.store) != usual or _holds_anything(usual):
        return None
    try:
        return lab.info(lab_meant())
    except WhichLab:
        return None


def settings_of(info: lab.LabInfo) -> Settings:
    """The lab's own settings. From here on this process, and the engine it starts, knows no others."""
    for name in list(os.environ):
        if name.startswith("ALIBABA_CLOUD_") or (name.startswith("COCKPIT_") and name not in KEPT):
            del os.environ[name]
    os.environ.update(info.environment)
    return load_settings(info.store)


def apply_catalogue(settings: Settings, info: lab.LabInfo) -> None:
    """Put the lab's catalogue into its store when it is another one than last time: a lab that is come back to keeps what was
    changed there, but may have had to move to other ports. Raises PracticeError."""
    from engine.catalogue.problems import CatalogueError
    from engine.catalogue.read import read_files
    from engine.store.catalogue import apply
    from engine.store.store import Store

    file, applied = Path(info.catalogue), Path(info.dir) / APPLIED
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if applied.exists() and applied.read_text() == digest:
        return
    store = Store.open(settings.store)
    try:
        apply(store, read_files([info.catalogue]), operating_system_user(), time.time())
    except CatalogueError as error:
        raise PracticeError(
            Problem(
                "practice_outdated",
                message("The practice fleet in {dir} was made by another version of the cockpit.", dir=info.dir),
                message("Start afresh: cockpit demo --fresh."),
                str(error),
            )
        ) from error
    finally:
        store.close()
    applied.write_text(digest)


def program() -> str:
    """How this program is typed here: its name where that finds it, else its path, as `make demo` runs it."""
    typed = Path(sys.argv[0]).absolute()
    if typed.name != "cockpit":
        return "cockpit"
    found = shutil.which("cockpit")
    if found and Path(found).absolute() == typed:
        return "cockpit"
    return min(str(typed), os.path.relpath(typed), key=len)


def _holds_anything(file: Path) -> bool:
    if not file.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=2.0)) as store:
            return store.execute("SELECT 1 FROM tenant LIMIT 1").fetchone() is not None
    except sqlite3.OperationalError as error:
        # Made and never used; else it is for whoever opens it to say what is wrong
        return "no such table" not in str(error)
