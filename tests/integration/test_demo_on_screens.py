"""The demo at a terminal, as a newcomer meets it: what it says, what other commands find of it, what is left of it and when."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cockpit.lab.leftovers import marked
from tests.support.processes import running
from tests.support.terminals import Pty, at_a_terminal, cockpits, until

ROOT = Path(__file__).parents[2]
UP_S = 60.0
DOWN_S = 30.0


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Of somebody who has never used a cockpit here."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COCKPIT_", "XDG_"))}
    given = {
        "TERM": "xterm-256color",
        "COCKPIT_LANGUAGE": "en",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path / "home"),
    }
    (tmp_path / "home").mkdir()
    yield kept | given
    subprocess.run(
        [sys.executable, "-m", "cockpit", "lab", "down", "--dir", str(folder_of(tmp_path))],
        env=kept | given, check=True, timeout=60, capture_output=True,
    )  # fmt: skip


def folder_of(tmp_path: Path) -> Path:
    return tmp_path / "home" / ".local" / "share" / "cockpit" / "demo"


def demo(folder: Path, *arguments: str) -> list[str]:
    command = shlex.join([sys.executable, "-m", "cockpit", "demo", *arguments])
    (folder / "Makefile").write_text(f"demo:\n\t@{command}\n")
    return ["make", "-C", str(folder), "--no-print-directory", "demo"]


def cockpit(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in another terminal; no store, no folder is named."""
    return subprocess.run(
        [sys.executable, "-m", "cockpit", *arguments],
        env=environment, cwd="/", capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def plain(terminal: Pty) -> str:
    return re.sub(r"\x1b\[[0-9;?$><]*[A-Za-z]", "", terminal.written)


def shows(terminal: Pty, *words: str) -> None:
    until(lambda: all(word in plain(terminal) for word in words), f"{words} is shown", UP_S)


def cancelled(environment: dict[str, str]) -> None:
    """A release in its first state, and no more."""
    made = cockpit(environment, "release", "create", "--app", "trade-core", "--version", "2.0.0", "--wait")
    assert made.returncode == 0, made.stderr
    assert cockpit(environment, "order", "cancel", made.stdout.strip(), "--reason", "enough").returncode == 0


def test_the_demo_shows_its_progress_says_how_to_break_it_and_is_found_and_found_again(
    environment: dict[str, str], tmp_path: Path
) -> None:
    folder = folder_of(tmp_path)
    with at_a_terminal(demo(tmp_path, "--hosts", "2"), environment, tmp_path) as terminal:
        shows(terminal, "of 4 hosts", "trade-core", "lab fault failing_health --host hz-a-01")
        shows(terminal, "Everything is kept in ~/.local/share/cockpit/demo/cockpit.db")
        fault = cockpit(environment, "lab", "fault", "failing_health", "--host", "hz-a-01", "--json")
        assert json.loads(fault.stdout) == {"faults": {"failing_health": ["hz-a-01"]}}, fault.stderr
        assert cockpit(environment, "lab", "fault", "failing_health", "off", "--host", "hz-a-01").returncode == 0
        cancelled(environment)
        listed = cockpit(environment, "order", "list", "--json")
        assert [order["state"] for order in json.loads(listed.stdout)] == ["cancelled"]
        assert str(folder) in listed.stderr
        terminal.type("q")
        shows(terminal, "The practice fleet and its engine are down.", "Find them again", "demo --fresh")
        assert terminal.wait() == 0
    assert marked(folder) == []
    with at_a_terminal(demo(tmp_path), environment, tmp_path) as terminal:
        shows(terminal, "trade-core")
        assert len(json.loads(cockpit(environment, "order", "list", "--json").stdout)) == 1
        terminal.type("q")
        assert terminal.wait() == 0
    with at_a_terminal(demo(tmp_path, "--fresh", "--hosts", "3"), environment, tmp_path) as terminal:
        shows(terminal, "of 5 hosts", "trade-core")
        assert json.loads(cockpit(environment, "order", "list", "--json").stdout) == []
        terminal.type("q")
        assert terminal.wait() == 0


def test_a_demo_whose_terminal_goes_ends_with_its_fleet(environment: dict[str, str], tmp_path: Path) -> None:
    given = environment | {"TERMINAL_TEST": str(tmp_path)}
    with at_a_terminal(demo(tmp_path, "--hosts", "2"), given, tmp_path) as terminal:
        shows(terminal, "trade-core", "Everything is kept")
        (screens,) = [pid for pid in cockpits(f"TERMINAL_TEST={tmp_path}") if not is_of_the_lab(pid)]
        terminal.hang_up()
        until(lambda: not running(screens), "the demo has ended", 5.0)
    until(lambda: marked(folder_of(tmp_path)) == [], "the fleet has ended", DOWN_S)
    until(lambda: cockpits(f"TERMINAL_TEST={tmp_path}") == [], "nothing is left", DOWN_S)


def is_of_the_lab(pid: int) -> bool:
    return b"COCKPIT_LAB_DIR=" in Path(f"/proc/{pid}/environ").read_bytes()


def test_an_open_order_keeps_the_fleet_up_whether_the_demo_is_left_or_its_terminal_goes(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with at_a_terminal(demo(tmp_path, "--hosts", "2"), environment, tmp_path) as terminal:
        shows(terminal, "trade-core", "Everything is kept")
        made = cockpit(environment, "release", "create", "--app", "trade-core", "--version", "2.0.0", "--wait")
        order = made.stdout.strip()
        terminal.type("q")
        shows(terminal, f"Order #{order} is still open", "Come back to it", "lab down")
        assert terminal.wait() == 0
    assert marked(folder_of(tmp_path))
    with at_a_terminal(demo(tmp_path), environment | {"TERMINAL_TEST": str(tmp_path)}, tmp_path) as terminal:
        shows(terminal, "trade-core", f"#{order}")
        (screens,) = [pid for pid in cockpits(f"TERMINAL_TEST={tmp_path}") if not is_of_the_lab(pid)]
        terminal.hang_up()
        until(lambda: not running(screens), "the demo has ended", 5.0)
    shown = json.loads(cockpit(environment, "order", "show", order, "--json").stdout)
    assert shown["state"] == "ready"
    assert json.loads(cockpit(environment, "lab", "down", "--json").stdout) == {"was_up": True}
