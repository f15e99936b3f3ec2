"""Remedies that are a step, really run under dash, busybox and bash, as bodies of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from engine.domain import step_names
from tests.integration.test_steps_shells import APPLETS, Oss, Shell, code, do, one, oss, release, shell  # noqa: F401

AGENT = """#!/bin/sh
# keeps its output for as long as it lives, as a careless agent does
home=${0%/*}/..
"$home/bin/staragentd" 60 &
echo $! >"$home/pid"
echo started
"""


@contextmanager
def connected() -> Iterator[int]:
    """A server with a connection to it: its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            yield port


def installed(folder: Path) -> Path:
    home = folder / "star agent"
    (home / "bin").mkdir(parents=True)
    (home / "log").mkdir()
    (home / "bin" / "agent.sh").write_text(AGENT)
    shutil.copy(str(shutil.which("sleep")), home / "bin" / "staragentd")
    return home


def test_the_agent_is_restarted_and_nothing_waits_for_its_end(shell: Shell, oss: Oss, tmp_path: Path) -> None:  # noqa: F811
    home = installed(tmp_path)
    with connected() as port:
        context = replace(release(oss, staragent_home=str(home), staragent_port=str(port)), requires_staragent=True)
        status, output = do(shell, context, step_names.CHECK_AGENT)
        assert code(step_names.CHECK_AGENT, status, output) == "agent_not_running"
        try:
            status, output = do(shell, context, "restart_agent")
            assert status == 0, output
            assert "agent.sh restart ended with exit status 0\nstarted\n" in output
            assert "Agent status running" in output
            assert do(shell, context, step_names.CHECK_AGENT)[0] == 0
        finally:
            os.kill(int((home / "pid").read_text()), signal.SIGKILL)
    assert not list((shell.home / ".cockpit").glob("agent-restart.*"))


def test_a_host_without_an_agent_says_so(shell: Shell, oss: Oss, tmp_path: Path) -> None:  # noqa: F811
    context = release(oss, staragent_home=str(tmp_path / "nowhere"))
    status, output = do(shell, context, "restart_agent")
    assert (status, output) == (1, f"no {tmp_path}/nowhere/bin/agent.sh\n")


@pytest.mark.parametrize("full", [False, True])
def test_the_biggest_folders_stand_at_the_end_with_what_is_free(
    shell: Shell,  # noqa: F811
    oss: Oss,  # noqa: F811
    full: bool,
    tmp_path: Path,
) -> None:
    if shell.name == "busybox":
        (tmp_path / "bin" / "du").symlink_to(str(shutil.which("busybox")))
    for number in range(12):
        folder = shell.home / f"folder {number:02} it's"
        folder.mkdir()
        (folder / "file").write_bytes(b"x" * 1024 * 1024 * (number + 1))
    if full:
        tools = tmp_path / "full"
        tools.mkdir()
        (tools / "df").write_text("#!/bin/sh\necho head\necho /dev/sda1 1000 1000 0 100% /\n")
        (tools / "df").chmod(0o755)
        shell.path = f"{tools}:{shell.path}"
    status, output = shell.step(one("show_folders", release(oss)), release(oss))
    lines = output.splitlines()
    assert lines[0] == f"biggest folders below {shell.home}:"
    assert [line.split("  ")[-1] for line in lines[-3:-1]] == ["~/folder 11 it's", "~"]
    assert len(lines) == 10
    assert lines[-1].startswith("free: 0 MiB of 0 MiB" if full else "free: ")
    assert status == (1 if full else 0)
    assert not list(shell.home.glob(".cockpit-probe*"))
