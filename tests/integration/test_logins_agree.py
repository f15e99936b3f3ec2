"""`cockpit host ssh`, the check of an order and a job agree over the real OpenSSH, and say at least what stock `ssh` says.

A table of situations; none of the three says ✓ where another fails. `COCKPIT_TABLE=file` writes it down with its results.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cockpit.cli.run import run
from engine.domain.fleet import Host, JumpHost, ObjectRef, TechStack
from engine.domain.problem import Problem, ProblemError
from engine.domain.states import StackStatus
from engine.ports import StepEnded
from engine.remote.ssh import SshRemote
from engine.run.clock import SystemClock
from engine.run.host_checks import check_host
from engine.store.fleets import InstanceFacts
from tests.support.accounts import LOGIN_SHELLS, Accounts
from tests.support.remote_jobs import events_of, job_of
from tests.support.ssh_servers import free_port

CONFIG = """
Match User forced
    ForceCommand echo 'Batch account: no commands' >&2; exit 7
Match User forced-ok
    ForceCommand echo Audited; eval "$SSH_ORIGINAL_COMMAND"
Match User sftp
    ForceCommand internal-sftp
Match User sessionless
    MaxSessions 0
Match User gate-closed
    AllowTcpForwarding no
Match User keyed
    AuthorizedKeysFile {folder}/keyed
"""

# account → login shell and start files
ACCOUNTS: dict[str, tuple[str, dict[str, str]]] = {
    **{f"shell-{shell}": (shell, {}) for shell in LOGIN_SHELLS},
    "talks": ("bash", {".bashrc": "echo hello; echo noise >&2"}),
    "talks-tcsh": ("tcsh", {".tcshrc": "echo hello"}),
    "verbose": ("bash", {".bashrc": "set -xv"}),
    "floods": ("bash", {".bashrc": "head -c 3000000 /dev/zero | tr '\\000' x"}),
    "waits": ("bash", {".bashrc": "read -r answer"}),
    "ends": ("bash", {".bashrc": "echo 'over quota' >&2; exit 3"}),
    "ends-well": ("bash", {".bashrc": "exit 0"}),
    "no-tools": ("bash", {".bashrc": "PATH=$HOME/bin"}),
    "no-sh": ("bash", {".bashrc": "PATH=/nowhere"}),
    "no-folder": ("bash", {".cockpit": "a file where the folder should be"}),
    "no-home": ("bash", {}),
    "no-shell-file": ("/nowhere/sh", {}),
    "forced": ("bash", {}),
    "forced-ok": ("bash", {}),
    "sftp": ("bash", {}),
    "sessionless": ("bash", {}),
    "keyed": ("bash", {}),
    "behind-closed": ("bash", {}),
    "behind-nologin": ("bash", {}),
}
PASSES = {f"shell-{shell}" for shell in LOGIN_SHELLS if shell != "nologin"} | {
    "talks", "talks-tcsh", "verbose", "forced-ok", "behind-nologin",
}  # fmt: skip
CODES = {
    "shell-nologin": "no_shell",
    "floods": "login_talks",
    "waits": "login_waits",
    "ends": "no_shell",
    "ends-well": "no_shell",
    "no-tools": "tool_missing",
    "no-sh": "no_shell",
    "no-folder": "folder_unwritable",
    "no-home": "folder_unwritable",
    "no-shell-file": "permission_denied",
    "forced": "no_shell",
    "sftp": "no_shell",
    "sessionless": "no_shell",
    "keyed": "no_shell",
    "behind-closed": "forwarding_refused",
    "pam": "permission_denied",
    "no-account": "permission_denied",
    "down": "host_unreachable",
}
CHECK_CODES = {"no-home": "home_not_writable"}
# Where stock ssh runs `sh -c` in spite of it: what a job needs is more than that, or its user may wait for ever.
SSH_GOES_ON = {"floods", "no-tools", "no-folder", "no-home", "waits"}


@dataclass(frozen=True)
class Said:
    code: str
    what: str
    evidence: str

    @staticmethod
    def of(problem: Problem) -> Said:
        return Said(problem.code, str(problem.what), problem.evidence)


@dataclass
class Place:
    accounts: Accounts
    hosts: dict[str, Host]
    home: Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("agree")
    accounts = Accounts.make(folder / "plain", extra=CONFIG.format(folder=folder))
    with_pam = Accounts.make(folder / "pam", first="UsePAM yes", like=accounts)
    key = (accounts.folder / "id.pub").read_text()
    (folder / "keyed").write_text(f'command="echo This key only copies. >&2; exit 5" {key}')
    hosts = {name: accounts.add(name, shell, files) for name, (shell, files) in ACCOUNTS.items()}
    hosts["no-account"] = accounts.host("no-account")
    hosts["pam"] = with_pam.add("pam", "bash")  # an account PAM has never heard of
    hosts["down"] = replace(hosts["talks"], ssh_port=free_port())
    (accounts.home("no-tools") / "bin").mkdir()
    (accounts.home("no-tools") / "bin" / "sh").symlink_to("/bin/sh")
    accounts.home("no-home").rmdir()
    for gate, shell in (("gate-closed", "bash"), ("gate-nologin", "nologin")):
        accounts.add(gate, shell)
    hosts["behind-closed"] = accounts.host("behind-closed", accounts.jump("gate-closed"))
    hosts["behind-nologin"] = accounts.host("behind-nologin", accounts.jump("gate-nologin"))
    hosts = {name: replace(host, name=f"h-{name}") for name, host in hosts.items()}
    with accounts.serving(), with_pam.serving():
        yield Place(accounts, hosts, folder)


def catalogue_of(hosts: dict[str, Host]) -> str:
    jumps = {jump.ssh_user: jump for host in hosts.values() for jump in host.jump_chain}
    return json.dumps(
        {
            "version": 1,
            "tenants": [
                {
                    "name": "acme",
                    "workspaces": [
                        {
                            "name": "prod",
                            "regions": [{"name": "cn-hangzhou"}],
                            "jump_hosts": [{**_login(jump), "name": jump.ssh_user} for jump in jumps.values()],
                            "data_centres": [
                                {
                                    "name": "hz-a",
                                    "region": "cn-hangzhou",
                                    "cells": [
                                        {
                                            "name": "hz-a-1",
                                            "hosts": [
                                                {
                                                    **_login(host),
                                                    "name": host.name,
                                                    "server_id": f"i-{name}",
                                                    "jump_chain": [jump.ssh_user for jump in host.jump_chain],
                                                }
                                                for name, host in hosts.items()
                                            ],
                                        }
                                    ],
                                }
                            ],
                        }
                    ],
                }
            ],
        }
    )


def _login(hop: Host | JumpHost) -> dict[str, object]:
    return {"address": hop.address, "ssh_port": hop.ssh_port, "ssh_user": hop.ssh_user, "host_key": hop.host_key}


@pytest.fixture
def command_line(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COCKPIT_SSH__IDENTITY_FILES", json.dumps([str(place.accounts.folder / "id")]))
    (tmp_path / "config.toml").write_text(f'language = "en"\nstore = "{tmp_path}/cockpit.db"\n')
    monkeypatch.setenv("COCKPIT_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "catalogue.yaml").write_text(catalogue_of(place.hosts))
    assert run(["apply", str(tmp_path / "catalogue.yaml")]) == 0


def host_ssh(host: Host, capsys: pytest.CaptureFixture[str]) -> Said | None:
    capsys.readouterr()
    status = run(["host", "ssh", host.name, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is (status == 0), told
    found = [each["problem"] for each in told["reached"] if each["problem"]]
    return Said(found[0]["code"], found[0]["what"], found[0]["evidence"]) if found else None


async def check(host: Host, remote: SshRemote) -> list[Said]:
    """All that is wrong with the host."""
    stack = TechStack("s", "1", ObjectRef("r", "b", "k", size=1), {"deploy": "d"})
    facts = InstanceFacts(
        1, 1, 1, "shop", True, 50, False, "", (), (), (host,), {}, (), stack, StackStatus.PUBLISHED
    )  # fmt: skip
    return [Said.of(problem) for problem in await check_host(facts, host, remote, 0, SystemClock())]


async def job(host: Host, remote: SshRemote) -> Said | None:
    try:
        events = await events_of(remote.follow(job_of(host, "echo \"it's\"\necho 'done'")))
    except ProblemError as error:
        return Said.of(error.problem)
    assert [event.exit_status for event in events if isinstance(event, StepEnded)] == [0]
    return None


def stock_ssh(host: Host, place: Place) -> tuple[int, str]:
    known, config = place.home / "known_hosts", place.home / "ssh_config"
    known.write_text("".join(f"[{hop.address}]:{hop.ssh_port} {hop.host_key}\n" for hop in (host, *host.jump_chain)))
    config.write_text(
        f"UserKnownHostsFile {known}\nIdentityFile {place.accounts.folder}/id\nBatchMode yes\nIdentitiesOnly yes\nLogLevel ERROR\n"
    )
    jump = [f"-J{each.ssh_user}@{each.address}:{each.ssh_port}" for each in host.jump_chain]
    command = [
        "ssh",
        "-F",
        str(config),
        *jump,
        "-p",
        str(host.ssh_port),
        f"{host.ssh_user}@{host.address}",
        "exec sh -c 'exit 42'",
    ]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return -1, ""
    return done.returncode, done.stderr.decode("utf-8", "replace")


@pytest.mark.parametrize("name", [*ACCOUNTS, "pam", "no-account", "down"])
async def test_none_says_yes_where_another_fails(
    place: Place, command_line: None, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    host = place.hosts[name]
    told = await asyncio.to_thread(host_ssh, host, capsys)  # it has an event loop of its own
    remote = SshRemote(replace(place.accounts.settings, connect_timeout_s=5, answer_timeout_s=5))
    try:
        checked, ran = await check(host, remote), await job(host, remote)
    finally:
        await remote.close()
    status, words = stock_ssh(host, place)
    _write_down(name, told, checked[-1] if checked else None, ran, (status, words))
    assert (told is None) == (not checked) == (ran is None) == (name in PASSES)
    if name in PASSES:
        assert status == 42
        return
    assert told is not None
    assert ran is not None
    assert {told.code, ran.code} == {CODES[name]}
    assert CHECK_CODES.get(name, CODES[name]) in [each.code for each in checked]
    assert (status == 42) <= (name in SSH_GOES_ON)
    said = f"{told.what} {told.evidence}"
    for line in words.splitlines():  # what the server said, not what ssh says of itself
        if line.strip() and not line.startswith(("Connection ", "channel 0:", "stdio forwarding", "ssh: ", "kex_")):
            assert line.rpartition(": ")[2].partition(" (publickey")[0].strip(" .\r") in said, (line, said)


def _write_down(name: str, told: Said | None, checked: Said | None, ran: Said | None, ssh: tuple[int, str]) -> None:
    file = os.environ.get("COCKPIT_TABLE")
    if file:
        status, words = ssh
        last = next((line.strip(" \r") for line in reversed(words.splitlines()) if line.strip()), "")[:100]
        cells = ["✓" if status == 42 else "✗ still waiting" if status < 0 else f"✗ {status} {last}".strip()]
        cells += ["✓" if each is None else f"✗ {each.code}" for each in (told, checked, ran)]
        row = [name, *cells, told.what if told else ""]
        with Path(file).open("a", encoding="utf-8") as table:
            table.write(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n")
