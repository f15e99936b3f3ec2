"""Who may read what the cockpit keeps: nobody else, in any folder and under any umask; what was left open is corrected."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.domain.log_path import log_path
from engine.domain.states import Direction
from tests.unit.test_cli import CATALOGUE

ROOT = Path(__file__).parents[2]
KEPT = {
    "cockpit.db",
    "cockpit.db-wal",
    "cockpit.db-shm",
    "cockpit.db.migrate.lock",
    "cockpit.db.engine.lock",
    "engine.log",
}


class Place:
    def __init__(self, folder: Path, umask: int) -> None:
        self.folder, self.umask = folder, umask
        folder.mkdir()
        folder.chmod(0o777)
        self.catalogue = folder.parent / "catalogue.yaml"
        self.catalogue.write_text(CATALOGUE, encoding="utf-8")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COCKPIT_")}
        own = {"COCKPIT_CONFIG": os.devnull, "COCKPIT_STORE": str(folder / "cockpit.db"), "COCKPIT_SSH__AGENT": "false"}
        self.environment = kept | own | {"PYTHONPATH": str(ROOT), "HOME": str(folder.parent), "COCKPIT_LANGUAGE": "en"}

    def cockpit(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", f'umask {self.umask:o}; exec "$@"', "sh", sys.executable, "-m", "cockpit", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
        )

    def files(self) -> dict[str, int]:
        return {
            str(path.relative_to(self.folder)): stat.S_IMODE(path.stat().st_mode)
            for path in self.folder.rglob("*")
            if path.is_file()
        }


@pytest.fixture(params=[0o000, 0o022, 0o277], ids=["umask 000", "umask 022", "umask 277"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path / "open to all", request.param)
    yield place
    end_engine(place)


def end_engine(place: Place) -> None:
    code = "from cockpit import engine_process, settings; engine_process.stop_engine(settings.load_settings())"
    subprocess.run([sys.executable, "-c", code], env=place.environment, timeout=60, check=True)


def test_the_store_its_journal_its_locks_and_the_logs_are_private(place: Place) -> None:
    assert place.cockpit("apply", str(place.catalogue)).returncode == 0
    made = place.cockpit(
        "release", "create", "--app", "trade-core", "--version", "1.0.0", "--strategy", "one_group", "--wait"
    )
    assert (made.returncode, made.stdout) == (1, "1\n"), made.stderr
    files = place.files()
    assert files.keys() >= KEPT
    assert {name: oct(mode) for name, mode in files.items() if mode != 0o600} == {}


def test_what_was_left_open_is_corrected_when_it_is_used_again(tmp_path: Path) -> None:
    place = Place(tmp_path / "store", 0o022)
    assert place.cockpit("apply", str(place.catalogue)).returncode == 0
    logs = place.folder / "logs"
    old = log_path(logs, 7, "hz-01", Direction.FORWARD, 1)
    foreign = logs / "not an order" / "notes.log"
    for path in (
        old,
        old.with_suffix(".offset"),
        foreign,
        place.folder / "engine.log",
        place.folder / "cockpit.db.engine.lock",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for path in place.folder.rglob("*"):
        path.chmod(0o777 if path.is_dir() else 0o666)
    try:
        listed = place.cockpit("app", "list")
        assert listed.returncode == 0
        assert place.files()["cockpit.db"] == 0o600
        place.cockpit("release", "create", "--app", "trade-core", "--version", "1.0.0", "--strategy", "one_group")
        deadline = time.monotonic() + 30
        while place.files()["engine.log"] != 0o600 or old.stat().st_mode & 0o077:
            assert time.monotonic() < deadline, place.files()
            time.sleep(0.05)
    finally:
        end_engine(place)
    wrong = {name for name, mode in place.files().items() if mode != 0o600}
    assert wrong == {"logs/not an order/notes.log"}  # not ours to touch
    assert stat.S_IMODE(old.parent.stat().st_mode) == 0o700


def test_a_link_in_the_place_of_a_journal_is_not_followed(tmp_path: Path) -> None:
    place = Place(tmp_path / "store", 0o022)
    other = tmp_path / "other"
    other.touch(mode=0o644)
    assert place.cockpit("apply", str(place.catalogue)).returncode == 0
    (place.folder / "cockpit.db-journal").symlink_to(other)
    assert place.cockpit("app", "list").returncode == 0
    assert stat.S_IMODE(other.stat().st_mode) == 0o644
