"""The practice lab as a place to work in: which lab is meant, the settings of its store, its catalogue in that store.

On a practice fleet nothing of the world outside counts: never somebody's real keys, never another store.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from cockpit.identity import operating_system_user
from cockpit.lab import process as lab
from cockpit.settings import Settings, load_settings
from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError

KEPT = ("COCKPIT_LANGUAGE", "COCKPIT_THEME", "COCKPIT_ASCII")
APPLIED = "catalogue.applied"  # beside the lab's store: which catalogue it has


class PracticeError(ProblemError):
    """The practice fleet's store can't be used: code `practice_outdated`."""


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
                message("Begin anew: cockpit demo --fresh."),
                str(error),
            )
        ) from error
    finally:
        store.close()
    applied.write_text(digest)
