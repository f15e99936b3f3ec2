"""What the tests and the demo need beside Python is brought, or named in one line with the command, before anything else runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cockpit.lab import process as lab
from engine.steps.host_check import TOOLS

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests" / "tools.sh"
OF_MAKE = ("make", "sh", "id", "env")


def path_with(folder: Path, *programs: str) -> str:
    """A PATH that has these programs and no others."""
    folder.mkdir()
    for program in programs:
        found = shutil.which(program)
        assert found, program
        (folder / program).symlink_to(found)
    return str(folder)


def run(*command: str, path: str, **given: str) -> subprocess.CompletedProcess[str]:
    """In the project's folder; a make above does not shine through."""
    of_make = ("ARGS", "MFLAGS", "PYTHON", "WORKERS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name not in of_make}
    return subprocess.run(
        [str(shutil.which(command[0])), *command[1:]],
        cwd=ROOT, env={**kept, "PATH": path, **given}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_make_test_names_what_it_lacks_and_the_command_before_the_first_test(tmp_path: Path) -> None:
    ran = run("make", "test", path=path_with(tmp_path / "bin", *OF_MAKE))
    assert ran.returncode == 2
    said = [line for line in ran.stderr.splitlines() if not line.startswith("make")]
    assert len(said) == 1, ran.stderr
    for program in ("tmux", "busybox", "curl", "fish", "ssh-keygen", "initdb"):
        if program != "initdb" or not list(Path("/usr/lib/postgresql").glob("*")):
            assert program in said[0]
    assert re.search(
        r"sudo apt-get install -y .*\bbusybox\b.*\btmux\b|sudo apt-get install -y .*\btmux\b.*\bbusybox\b", said[0]
    )
    assert "passed" not in ran.stdout


def test_make_demo_names_what_it_lacks_before_it_sets_anything_up(tmp_path: Path) -> None:
    ran = run(
        "make",
        "demo",
        path=path_with(tmp_path / "bin", *OF_MAKE, "gzip", "sed", "grep", "tail", "head", "setsid", "awk"),
    )
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[0] == (
        "The demo needs programs that are not here: curl, tar. Install them: sudo apt-get install -y curl tar"
    )
    assert "Setting up" not in ran.stdout + ran.stderr


def test_what_is_lacking_is_brought_by_whoever_may(tmp_path: Path) -> None:
    """apt-get is asked for exactly the packages, and what it did not bring is still said to be lacking."""
    path = path_with(
        tmp_path / "bin", *OF_MAKE, "dash", "bash", "busybox", "fish", "mksh", "rc", "tcsh", "zsh", "rm", "chmod"
    )
    calls = tmp_path / "calls"
    recorder = Path(path) / "apt-get"
    recorder.write_text(f'#!{shutil.which("sh")}\necho "$@" >>{calls}\n')
    recorder.chmod(0o755)
    (Path(path) / "id").unlink()
    (Path(path) / "id").write_text("#!/bin/sh\necho 1000\n")
    (Path(path) / "id").chmod(0o755)
    (Path(path) / "sudo").write_text('#!/bin/sh\n[ "$1" = -n ] && shift\n[ "$1" = true ] && exit 0\nexec "$@"\n')
    (Path(path) / "sudo").chmod(0o755)
    ran = run("sh", str(SCRIPT), "test", path=path)
    asked = calls.read_text().splitlines()
    assert asked[0] == "update -q"
    assert asked[1].startswith("install -q -y --no-install-recommends ")
    assert {"tmux", "curl", "procps"} <= set(asked[1].split())
    assert not {"busybox", "fish", "zsh"} & set(asked[1].split())
    assert ran.returncode == 1
    assert "tmux" in ran.stderr.splitlines()[-1]


def test_the_demo_knows_what_its_hosts_need() -> None:
    listed = re.findall(r"^demo +(\S+)", SCRIPT.read_text(), re.MULTILINE)
    assert set(listed) == set(TOOLS)


def test_cockpit_demo_names_what_the_fleet_lacks_before_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path_with(tmp_path / "bin", *(tool for tool in TOOLS if tool not in ("curl", "tar"))))
    with pytest.raises(lab.LabError) as refused:
        lab.up(tmp_path / "lab", 2)
    assert refused.value.problem.code == "lab_lacks_tools"
    assert "curl, tar" in str(refused.value.problem.what)
    assert not (tmp_path / "lab").exists()


def test_the_readme_names_every_package_of_the_tests() -> None:
    listed = subprocess.run(["sh", str(SCRIPT), "list"], capture_output=True, text=True, check=True).stdout.split()
    readme = (ROOT / "README.md").read_text()
    part_of_every_debian = {
        "bash",
        "coreutils",
        "dash",
        "grep",
        "gzip",
        "mawk",
        "mount",
        "passwd",
        "sed",
        "tar",
        "util-linux",
    }
    assert [package for package in listed if package not in part_of_every_debian and f"`{package}`" not in readme] == []


def test_ci_only_calls_what_anybody_would() -> None:
    commands = [
        line
        for line in (ROOT / ".ci" / "run").read_text().splitlines()
        if line and not line.startswith(("#", "set ", "cd ", "exec "))
    ]
    assert [command.split()[:2] for command in commands] == [
        ["make", "test"], ["make", "lint"], ["make", "demo"], ["make", "simulate"],
    ]  # fmt: skip
