"""Every way a terminal can go, under everything a cockpit is started by: the process ends soon or sleeps, and never spins."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncssh
import pytest

from cockpit.engine_process import ensure_engine, stop_engine
from cockpit.settings import load_settings
from tests.support.processes import running
from tests.support.ssh_servers import Sshd
from tests.support.terminals import Pty, at_a_terminal, cockpits, share_of_a_core, until

ROOT = Path(__file__).parents[2]
ENDS_S = 5.0
LOOK_S = 2.0
ASLEEP = 0.02  # of a core, with the measure's own grain of 10 ms
OPEN = 0.06  # with a terminal that is still there, a cockpit looks what is new
READY = "leave"  # stands in the key bar of the first screen


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Of a cockpit on an empty store that has its engine."""
    folder = tmp_path_factory.mktemp("terminals")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COCKPIT_CONFIG", os.devnull)
        settings = load_settings(f"sqlite:///{folder}/cockpit.db")
        ensure_engine(settings)
        given = {
            "TERM": "xterm-256color",
            "COCKPIT_LANGUAGE": "en",
            "PYTHONPATH": str(ROOT),
            "HISTFILE": "",
            "PS1": "$ ",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COCKPIT_")}
        yield kept | settings.as_environment() | given | {"COCKPIT_CONFIG": os.devnull}
        stop_engine(settings)


def marked(environment: dict[str, str], test: str) -> dict[str, str]:
    """The processes of this one test can be told from all others."""
    return environment | {"TERMINAL_TEST": f"{os.getpid()}-{test}-{time.monotonic_ns()}"}


def cockpit_of(environment: dict[str, str]) -> int:
    found = cockpits(f"TERMINAL_TEST={environment['TERMINAL_TEST']}")
    assert len(found) == 1, found
    return found[0]


COCKPIT = f"{shlex.quote(sys.executable)} -m cockpit"


def under_nothing(_folder: Path) -> list[str]:
    return [sys.executable, "-m", "cockpit"]


def under_make(folder: Path) -> list[str]:
    (folder / "Makefile").write_text(f"demo:\n\t@{COCKPIT}\n")
    return ["make", "-C", str(folder), "--no-print-directory", "demo"]


def under_make_and_sh(folder: Path) -> list[str]:
    (folder / "Makefile").write_text(f"demo:\n\t@{COCKPIT}; true\n")
    return ["make", "-C", str(folder), "--no-print-directory", "demo"]


def under_a_script(_folder: Path) -> list[str]:
    return ["bash", "-c", f"{COCKPIT}; true"]


def under_a_login_shell(_folder: Path) -> list[str]:
    return ["bash", "--norc", "-i", "-c", f"set -m; {COCKPIT}; true"]


STARTED_BY = [under_nothing, under_make, under_make_and_sh, under_a_script, under_a_login_shell]
By = Callable[[Path], list[str]]


@contextmanager
def opened(by: By, environment: dict[str, str], folder: Path) -> Iterator[tuple[Pty, int]]:
    """The terminal, and the cockpit's process on it with its first screen shown."""
    with at_a_terminal(by(folder), environment, folder) as terminal:
        terminal.shows(READY)
        yield terminal, cockpit_of(environment)


def ends(pid: int) -> None:
    until(lambda: not running(pid), "the cockpit has ended", ENDS_S)


def ends_or_sleeps(pid: int, most: float = ASLEEP) -> None:
    """Within the time; what it still has to do with the last keys it has done by then."""
    end = time.monotonic() + ENDS_S
    while (share := share_of_a_core(pid, LOOK_S)) > most:
        assert time.monotonic() < end, f"it still uses {share:.0%} of a core"


def leaves(terminal: Pty, pid: int) -> bool:
    """Whatever lies on top of its first screen."""
    terminal.type("q")
    time.sleep(0.5)
    return not running(pid)


def fill(terminal: Pty) -> None:
    """Have the cockpit write more than the terminal holds, nobody reading."""
    terminal.stop_reading()
    for turn in range(12):
        terminal.resize(24 + turn % 2, 200)
        terminal.type("?")
        time.sleep(0.1)


@pytest.mark.parametrize("by", STARTED_BY)
def test_a_terminal_that_is_closed_ends_the_cockpit(by: By, environment: dict[str, str], tmp_path: Path) -> None:
    with opened(by, marked(environment, "closed"), tmp_path) as (terminal, pid):
        terminal.hang_up()
        ends(pid)
        until(lambda: not running(terminal.pid) or terminal.wait() is not None, "nothing waits for it", ENDS_S)


@pytest.mark.parametrize("by", STARTED_BY)
def test_a_hang_up_that_only_the_parent_hears_of_leaves_nothing_spinning(
    by: By, environment: dict[str, str], tmp_path: Path
) -> None:
    with opened(by, marked(environment, "parent"), tmp_path) as (terminal, pid):
        os.kill(terminal.pid, signal.SIGHUP)
        ends_or_sleeps(pid, OPEN)
        terminal.hang_up()
        ends(pid)


@pytest.mark.parametrize("by", [under_nothing, under_make])
def test_a_terminal_that_nobody_reads_puts_the_cockpit_to_sleep_and_its_end_ends_it(
    by: By, environment: dict[str, str], tmp_path: Path
) -> None:
    with opened(by, marked(environment, "unread"), tmp_path) as (terminal, pid):
        fill(terminal)
        ends_or_sleeps(pid)
        terminal.hang_up()
        ends(pid)


def test_a_terminal_that_is_read_again_shows_the_cockpit_again(environment: dict[str, str], tmp_path: Path) -> None:
    with opened(under_make, marked(environment, "again"), tmp_path) as (terminal, pid):
        fill(terminal)
        before = len(terminal.written)
        terminal.read_on()
        terminal.resize(24, 90)
        terminal.shows(READY, after=before)
        until(lambda: leaves(terminal, pid), "the cockpit has ended")
        assert not terminal.is_raw


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_the_cockpit_and_gives_the_terminal_back(
    number: signal.Signals, environment: dict[str, str], tmp_path: Path
) -> None:
    with opened(under_nothing, marked(environment, "told"), tmp_path) as (terminal, pid):
        assert terminal.is_raw
        os.kill(pid, number)
        assert terminal.wait() == 128 + number
        until(lambda: "\x1b[?1049l" in terminal.written, "the other screen was left")


def test_a_signal_ends_a_cockpit_that_is_stuck_in_a_write(environment: dict[str, str], tmp_path: Path) -> None:
    with opened(under_nothing, marked(environment, "stuck"), tmp_path) as (terminal, pid):
        fill(terminal)
        os.kill(pid, signal.SIGTERM)
        assert terminal.wait() == 128 + signal.SIGTERM
        assert not terminal.is_raw


def test_a_cockpit_whose_shell_took_the_terminal_back_leaves_it(environment: dict[str, str], tmp_path: Path) -> None:
    """make was killed: the shell reads on, and the cockpit behind it would get an error for each read."""
    given = marked(environment, "estranged")
    with at_a_terminal(["bash", "--norc", "-i"], given, tmp_path) as terminal:
        terminal.type(shlex.join(under_make(tmp_path)) + "\n")
        terminal.shows(READY)
        pid = cockpit_of(given)
        make = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(make, signal.SIGKILL)
        until(lambda: terminal.foreground == terminal.pid, "the shell has the terminal")
        terminal.type("x")
        ends(pid)
        assert "Traceback" not in terminal.written


def test_a_suspended_cockpit_comes_back_with_its_screen_and_ends_with_its_terminal(
    environment: dict[str, str], tmp_path: Path
) -> None:
    given = marked(environment, "suspended")
    with at_a_terminal(["bash", "--norc", "-i"], given, tmp_path) as terminal:
        terminal.type(shlex.join(under_make(tmp_path)) + "\n")
        terminal.shows(READY)
        pid = cockpit_of(given)
        terminal.type("\x1a")
        until(lambda: terminal.foreground == terminal.pid, "the shell has the terminal")
        until(lambda: "Stopped" in terminal.written, "the shell says so")
        assert "\x1b[?1049l" in terminal.written
        before = len(terminal.written)
        terminal.type("fg\n")
        terminal.shows("\x1b[?1049h", READY, after=before)
        assert terminal.is_raw
        terminal.type("\x1a")
        until(lambda: terminal.foreground == terminal.pid, "the shell has the terminal again")
        terminal.hang_up()
        ends(pid)


def test_where_no_shell_waits_a_cockpit_is_not_suspended_and_says_so(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with opened(under_make, marked(environment, "nobody"), tmp_path) as (terminal, pid):
        terminal.type("\x1a")
        terminal.shows("No shell here")
        assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T"


def test_ctrl_c_says_what_it_does_and_leaves_when_it_is_meant(environment: dict[str, str], tmp_path: Path) -> None:
    given = marked(environment, "interrupted") | {"COCKPIT_LANGUAGE": "zh_CN", "LC_ALL": "C.UTF-8"}
    with at_a_terminal(under_nothing(tmp_path), given, tmp_path) as terminal:
        terminal.shows("退出")
        terminal.type("\x03")
        terminal.shows("再按一次 Ctrl+C")
        terminal.type("\x03")
        assert terminal.wait() == 0


# ---------------------------------------------------------------------------------------------------------------- tmux


@contextmanager
def in_tmux(environment: dict[str, str], folder: Path) -> Iterator[tuple[list[str], int]]:
    """The command that asks its server, and the cockpit's process, started by make in a pane of it."""
    tmux = ["tmux", "-f", os.devnull, "-S", str(folder / "tmux")]
    size = ["-x", "80", "-y", "24"]
    command = [*tmux, "new-session", "-d", *size, shlex.join(under_make(folder))]
    subprocess.run(command, env=environment, cwd=folder, check=True, timeout=20)
    asked = subprocess.run([*tmux, "display", "-p", "#{pid}"], capture_output=True, text=True, check=True, timeout=20)
    server = int(asked.stdout)
    try:
        until(lambda: READY in said(tmux), "the first screen is shown")
        yield tmux, cockpit_of(environment)
    finally:
        if running(server):
            os.kill(server, signal.SIGKILL)


def said(tmux: list[str]) -> str:
    return subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True, check=False, timeout=20).stdout


def test_a_tmux_that_is_told_to_end_ends_the_cockpit(environment: dict[str, str], tmp_path: Path) -> None:
    with in_tmux(marked(environment, "kill-server"), tmp_path) as (tmux, pid):
        subprocess.run([*tmux, "kill-server"], check=True, timeout=20)
        ends(pid)


def test_a_tmux_that_freezes_and_dies_ends_the_cockpit(environment: dict[str, str], tmp_path: Path) -> None:
    with in_tmux(marked(environment, "frozen tmux"), tmp_path) as (tmux, pid):
        asked = subprocess.run(
            [*tmux, "display", "-p", "#{pid}"], capture_output=True, text=True, check=True, timeout=20
        )
        os.kill(int(asked.stdout), signal.SIGSTOP)
        ends_or_sleeps(pid)
        os.kill(int(asked.stdout), signal.SIGKILL)
        ends(pid)


# ---------------------------------------------------------------------------------------------------------------- sshd


@contextmanager
def over_ssh(environment: dict[str, str], folder: Path) -> Iterator[tuple[Sshd, Pty, int]]:
    """`ssh -t host make demo`, through a real sshd."""
    assert shutil.which("ssh"), "ssh is needed for this test"
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(folder / "id")
    (folder / "id").chmod(0o600)
    sshd = Sshd.make(folder / "sshd", key)
    started = folder / "started.sh"
    exports = "".join(
        f"export {name}={shlex.quote(value)}\n" for name, value in environment.items() if name.isidentifier()
    )
    started.write_text(f"{exports}exec {shlex.join(under_make(folder))}\n")
    ssh = ["ssh", "-tt", "-F", "none", "-i", str(folder / "id"), "-p", str(sshd.port), "-o", "StrictHostKeyChecking=no"]
    ssh += ["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "root@127.0.0.1", f"sh {started}"]
    with sshd.serving(), at_a_terminal(ssh, environment | {"TERMINAL_TEST": "the client"}, folder) as terminal:
        terminal.shows(READY)
        yield sshd, terminal, cockpit_of(environment)


def test_a_link_that_drops_ends_the_cockpit(environment: dict[str, str], tmp_path: Path) -> None:
    with over_ssh(marked(environment, "link"), tmp_path) as (_sshd, terminal, pid):
        os.kill(terminal.pid, signal.SIGKILL)
        ends(pid)


def test_an_sshd_that_is_killed_ends_the_cockpit(environment: dict[str, str], tmp_path: Path) -> None:
    with over_ssh(marked(environment, "sshd"), tmp_path) as (sshd, _terminal, pid):
        sshd.drop()
        ends(pid)


def test_a_client_that_freezes_puts_the_cockpit_to_sleep(environment: dict[str, str], tmp_path: Path) -> None:
    with over_ssh(marked(environment, "frozen client"), tmp_path) as (sshd, terminal, pid):
        os.kill(terminal.pid, signal.SIGSTOP)
        ends_or_sleeps(pid)
        sshd.drop()
        ends(pid)
