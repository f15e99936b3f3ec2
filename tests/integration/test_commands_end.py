"""Commands without screens: they end with their terminal, and Ctrl+C ends them with a sentence and nothing left behind."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path

import pytest

from engine.store.store import Store
from tests.integration.test_terminal_goes import (
    By,
    ends,
    marked,
    under_a_script,
    under_make,
    under_make_and_sh,
    under_nothing,
)
from tests.support import seeds
from tests.support.processes import running
from tests.support.terminals import at_a_terminal, cockpits, until

COCKPIT = [sys.executable, "-m", "cockpit"]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COCKPIT_")}
    given = {"COCKPIT_CONFIG": os.devnull, "COCKPIT_LANGUAGE": "en", "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    return kept | given | {"XDG_DATA_HOME": str(tmp_path / "data"), "XDG_STATE_HOME": str(tmp_path / "state")}


@pytest.fixture
def watching(tmp_path: Path) -> list[str]:
    """A command that follows an order at which nothing happens: its engine is alive and does nothing."""
    url = f"sqlite:///{tmp_path}/cockpit.db"
    store = Store.open(url, create=True)
    seeds.seed_fleet(store)
    order = seeds.seed_order(store, "group_running")
    seeds.seed_engine(store, at=time.time() + 3600)
    store.close()
    return [*COCKPIT, "order", "watch", str(order), "--store", url, "--tenant", "acme", "--workspace", "prod"]


def started_by(by: By, folder: Path, command: list[str]) -> list[str]:
    """The same ways as the screens are started."""
    words = by(folder)
    cockpit, asked = shlex.join(COCKPIT), shlex.join(command)
    if (folder / "Makefile").exists():
        (folder / "Makefile").write_text((folder / "Makefile").read_text().replace(cockpit, asked))
        return words
    return command if words == COCKPIT else [word.replace(cockpit, asked) for word in words]


@pytest.mark.parametrize("by", [under_nothing, under_make, under_make_and_sh, under_a_script])
def test_a_command_that_waits_ends_with_its_terminal(
    by: By, environment: dict[str, str], watching: list[str], tmp_path: Path
) -> None:
    given = marked(environment, "watch")
    with at_a_terminal(started_by(by, tmp_path, watching), given, tmp_path) as terminal:
        terminal.shows("hz-0")
        (pid,) = cockpits(f"TERMINAL_TEST={given['TERMINAL_TEST']}")
        terminal.hang_up()
        ends(pid)


def test_a_command_that_was_told_to_live_through_a_hangup_does(
    environment: dict[str, str], watching: list[str], tmp_path: Path
) -> None:
    given = marked(environment, "nohup")
    told = f"nohup {shlex.join(watching)} >out 2>&1; true"
    with at_a_terminal(["sh", "-c", told], given, tmp_path) as terminal:
        until(lambda: "hz-0" in (tmp_path / "out").read_text() if (tmp_path / "out").exists() else False, "it follows")
        (pid,) = cockpits(f"TERMINAL_TEST={given['TERMINAL_TEST']}")
        terminal.hang_up()
        time.sleep(1.0)
        assert running(pid)
        os.kill(pid, 9)


def test_ctrl_c_on_a_command_that_waits_says_what_goes_on(
    environment: dict[str, str], watching: list[str], tmp_path: Path
) -> None:
    for language, said in (("en", "Interrupted. What was already"), ("zh_CN", "已中断")):
        given = environment | {"COCKPIT_LANGUAGE": language, "LC_ALL": "C.UTF-8"}
        with at_a_terminal(watching, given, tmp_path) as terminal:
            terminal.shows("hz-0")
            terminal.type("\x03")
            terminal.shows(said)
            assert terminal.wait() == 130
            assert "Aborted" not in terminal.written


def left_of(folder: Path) -> list[str]:
    """Command lines of whatever runs of the practice fleet in the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if str(folder) in line and running(int(process.parent.name)):
            found.append(line)
    return found


@pytest.mark.parametrize("command", [("demo",), ("lab", "up")])
@pytest.mark.parametrize("hosts_up", [0, 1])
def test_ctrl_c_while_the_lab_comes_up_says_so_and_leaves_nothing(
    command: tuple[str, ...], hosts_up: int, environment: dict[str, str], tmp_path: Path
) -> None:
    lab = tmp_path / "lab"
    words = [*COCKPIT, *command, "--dir", str(lab), "--hosts", "4"]
    with at_a_terminal(words, environment, tmp_path) as terminal:
        until(lambda: bool(list(lab.glob("hosts/*"))) if hosts_up else (lab / "lab.log").exists(), "it comes up")
        terminal.type("\x03")
        terminal.shows("nothing of it runs")
        assert terminal.wait() == 130
        assert "Aborted" not in terminal.written
        assert "Traceback" not in terminal.written
    assert [line for line in left_of(lab) if "pytest" not in line] == []
