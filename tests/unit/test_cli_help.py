"""What the command line says about itself: help with an example each, one table of exit codes, completion in real shells."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from cockpit.cli.exit_codes import MEANINGS, of_problem, of_problems
from cockpit.cli.root import app
from cockpit.cli.run import run
from engine.domain.message import message
from engine.domain.problem import Problem
from tests.unit.test_cli import catalogue, own_settings, store  # noqa: F401

ROOT = Path(__file__).parents[2]
Out = pytest.CaptureFixture[str]
SHELL_S = 60.0


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    found = typer.main.get_command(app) if group is None else group
    for name, each in found.commands.items():
        if hasattr(each, "commands"):
            yield from commands(each, (*path, name))
        else:
            yield (*path, name), each


COMMANDS = dict(commands())


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_each_command_shows_an_example_that_it_would_take(path: tuple[str, ...], tmp_path: Path, capsys: Out) -> None:
    assert run([*path, "--help"]) == 0
    shown = capsys.readouterr().out
    (example,) = re.findall(r"Example:\n +(cockpit .*)\n", shown)
    words = shlex.split(example.split(" > ")[0])[1:]
    assert tuple(words[: len(path)]) == path
    command = COMMANDS[path]
    given = [str(Path(__file__)) if word == "fleet.yaml" else word for word in words[len(path) :]]
    with command.make_context(" ".join(path), given, resilient_parsing=False):
        pass


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_what_a_command_requires_is_marked(path: tuple[str, ...], capsys: Out) -> None:
    run([*path, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    required = [parameter for parameter in COMMANDS[path].params if parameter.required]
    assert shown.count("[required]") == len(required)
    if path[-1] in ("cancel", "rollback", "give-back"):
        assert [each.name for each in required if each.name == "reason"] == ["reason"]


def test_the_exit_codes_are_one_table_in_the_help_and_in_the_readme(capsys: Out) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for code, means in MEANINGS.items():
        assert f"{code}  {means}" in shown
        assert f"| {code} | {means} |" in readme
    assert re.findall(r"^\| (\d+) \|", readme, re.MULTILINE) == [str(code) for code in MEANINGS]


WRONG_NAMES = [
    ["app", "list", "--tenant", "nope"],
    ["app", "list", "--workspace", "nope"],
    ["host", "list", "--app", "nope"],
    ["host", "ssh", "nope"],
    ["release", "preview", "--app", "nope", "--version", "1.0.0"],
    ["release", "preview", "--app", "trade-core", "--version", "nope"],
    ["release", "create", "--app", "trade-core", "--version", "1.0.0", "--beta-host", "nope"],
    ["release", "create", "--app", "trade-core", "--version", "1.0.0", "--strategy", "nope"],
    ["order", "show", "99"],
    ["order", "watch", "99"],
    ["order", "log", "99"],
    ["order", "start", "99"],
    ["order", "pause", "99"],
    ["order", "retry", "99"],
    ["order", "confirm", "99"],
    ["order", "weights", "99", "--weight", "5"],
    ["order", "cancel", "99", "--reason", "x"],
    ["order", "rollback", "99", "--reason", "x"],
    ["prompts", "answer", "99"],
    ["export", "--tenant", "nope"],
    ["apply", "nope.yaml"],
    ["nope"],
]


@pytest.mark.parametrize("arguments", WRONG_NAMES, ids=" ".join)
def test_a_name_that_nothing_has_is_always_exit_code_2(arguments: list[str], store: str, capsys: Out) -> None:  # noqa: F811
    assert run([*arguments, "--store", store]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_one_wrong_name_among_other_problems_is_wrong_use() -> None:
    name = Problem("package_unknown", message("a"), message("b"))
    floor = Problem("floor_broken", message("a"), message("b"))
    assert (of_problem(name), of_problem(floor)) == (2, 1)
    assert (of_problems(floor, name), of_problems(floor, floor), of_problems()) == (2, 1, 1)


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["release", "preview", "--weight", "x=1"], "cockpit release preview"),
        (["release", "create", "--app", "a", "--version", "1", "--traffic", "preset", "--weight", "x"], "cockpit release create"),
        (["release", "preview", "--app", "a", "--version", "1", "--weight", "x=1"], "cockpit release preview"),
        (["order", "cancel", "1"], "cockpit order cancel"),
        (["order", "list", "--limit", "0"], "cockpit order list"),
        (["release", "create", "--app", "a", "--version", "1", "--groups", "-1"], "cockpit release create"),
    ],
)  # fmt: skip
def test_a_message_about_a_command_points_at_its_own_help(arguments: list[str], command: str, capsys: Out) -> None:
    assert run(arguments) == 2
    said = capsys.readouterr().err
    assert re.findall(r"`(.+) --help`", said) == [command]


# ------------------------------------------------------------------------------------------------------------ completion


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COCKPIT_", "XDG_", "_TYPER"))}
    own = {"HOME": str(tmp_path), "ZDOTDIR": str(tmp_path), "TERM": "dumb", "PS1": "$ ", "SHELL": "/bin/sh"}
    return kept | own | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@pytest.mark.parametrize(("shell", "options"), [("bash", ["-i"]), ("zsh", ["-i"]), ("fish", ["-i"])])
def test_completion_is_installed_for_the_shell_in_use_and_completes(
    shell: str, options: list[str], home: dict[str, str], tmp_path: Path
) -> None:
    found = shutil.which(shell)
    assert found is not None, f"{shell} is not installed; this test needs it"
    installed = subprocess.run(
        [found, "-c", "cockpit --install-completion && true"],
        env=home,
        capture_output=True,
        text=True,
        timeout=SHELL_S,
    )
    assert installed.returncode == 0, installed.stderr
    assert "completion installed in" in installed.stdout
    seen = typed([found, *options], home, "cockpit order rollb\t", "cockpit order rollback ")
    assert "cockpit order rollback" in seen, seen


def typed(command: list[str], environment: dict[str, str], keys: str, wanted: str) -> str:
    """What a real terminal shows after the keys were typed into the shell; the keys are typed again until it completes."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(environment["HOME"])
        os.execve(command[0], command, environment)
    seen, deadline = "", time.monotonic() + SHELL_S
    try:
        next_try = time.monotonic() + 1.0
        while wanted not in seen and time.monotonic() < deadline:
            if time.monotonic() >= next_try:
                os.write(terminal, b"\x15" + keys.encode())
                next_try = time.monotonic() + 8.0
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    text = os.read(terminal, 65536).decode("utf-8", "replace")
                except OSError:  # the shell has ended
                    break
                seen += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[()][A-Z0-9]|\x1b[=>]", "", text)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)
    return seen
