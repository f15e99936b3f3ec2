"""Which labs run on this machine for this user: each leaves its folder's name in one place while it is up, so that a command in
another terminal finds it wherever it lies."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from cockpit.lab.leftovers import is_alive


def remember(dir: Path) -> None:
    """A lab in `dir` is up."""
    place = _place()
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    (place / _name(dir)).write_text(str(dir), encoding="utf-8")


def forget(dir: Path) -> None:
    (_place() / _name(dir)).unlink(missing_ok=True)


def running() -> tuple[Path, ...]:
    """The folders of the labs that are up, by name."""
    found = []
    for file in sorted(_place().glob("*")):
        with suppress(OSError):  # another one tidies up as well
            dir = Path(file.read_text(encoding="utf-8"))
            if record_of(dir) is not None:
                found.append(dir)
            else:
                file.unlink()
    return tuple(sorted(found))


def record_of(dir: Path) -> dict[str, Any] | None:
    """What the running lab wrote about itself; None when it wrote nothing or is gone."""
    try:
        record: dict[str, Any] = json.loads((dir / "lab.json").read_text())
    except (OSError, ValueError):
        return None
    return record if is_alive(record["pid"], record["started"]) else None


def _place() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("cockpit", appauthor=False)) / "labs"


def _name(dir: Path) -> str:
    return hashlib.sha256(str(dir).encode()).hexdigest()[:16]
