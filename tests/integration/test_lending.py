"""An engine outlives the terminal that started it: the cockpit in use lends it its agent and its credentials' source, and
`cockpit doctor` shows what it uses."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from cockpit.cli.run import run
from cockpit.engine_process import ensure_engine, stop_engine
from cockpit.settings import Settings, load_settings
from engine import lending
from engine.ports import RemoteError
from engine.remote.ssh import SshRemote, SshSettings
from tests.support.agents import silent_agent, ssh_agent
from tests.support.processes import call
from tests.support.ssh_servers import Sshd, host_on

ROOT = Path(__file__).parents[2]
CLOUD = ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_PROFILE")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COCKPIT_CONFIG", os.devnull)
    monkeypatch.setenv("COCKPIT_STORE", f"sqlite:///{tmp_path}/cockpit.db")
    monkeypatch.setenv("COCKPIT_LANGUAGE", "en")
    for name in (*CLOUD, "SSH_AUTH_SOCK"):
        monkeypatch.delenv(name, raising=False)
    settings = load_settings()
    yield settings
    if (tmp_path / "cockpit.db").exists():
        stop_engine(settings)


def key(folder: Path, name: str) -> Path:
    call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name))
    return folder / name


def doctor(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = run(["doctor", "--json"])
    return code, json.loads(capsys.readouterr().out)


def until(holds: Callable[[], bool], deadline_s: float = 30.0) -> None:
    end = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_the_engine_uses_the_agent_of_the_cockpit_in_use_when_its_own_has_died(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = key(tmp_path, "evening"), key(tmp_path, "night")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent-1"))

    def used() -> dict[str, Any]:
        engines = doctor(capsys)[1]["engines"]
        return dict(engines[0]["agent"]) if engines else {}

    with ssh_agent(tmp_path / "agent-1", first):
        ensure_engine(settings)
        until(lambda: [k["name"] for k in used().get("keys", [])] == ["evening"])
    with ssh_agent(tmp_path / "agent-2", second):
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent-2"))
        ensure_engine(settings)  # another terminal, the same engine
        until(lambda: [k["name"] for k in used().get("keys", [])] == ["night"])
        now = used()
        assert now["socket"] == str(tmp_path / "agent-2")
        assert now["lent_by"] == os.getpid()
        assert now["since"] <= time.time()
        assert now["keys"][0]["fingerprint"].startswith("SHA256:")
        assert doctor(capsys)[0] == 0
        assert len(doctor(capsys)[1]["engines"]) == 1
        capsys.readouterr()
        assert run(["doctor"]) == 0
        said = capsys.readouterr().out
        assert f"Engine, process {doctor(capsys)[1]['engines'][0]['pid']}" in said
        assert f"lent by process {os.getpid()}" in said
    until(lambda: used().get("socket") == "")
    code, told = doctor(capsys)
    assert code == 1
    assert any("agent-2 is dead" in trouble for trouble in told["engines"][0]["agent"]["troubles"])
    assert any("agent-1 is dead" in trouble for trouble in told["engines"][0]["agent"]["troubles"])


async def test_a_login_uses_what_is_lent_and_goes_on_to_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    night = key(tmp_path, "night")
    server = Sshd.make(tmp_path / "host", asyncssh.read_private_key(night))
    borrower = lending.Borrower(tmp_path)
    ssh = SshSettings(known_hosts=None, agent_deadline_s=1)
    with server.serving(), ssh_agent(tmp_path / "agent-2", night) as agent:
        host = host_on(server.port, server.public_key, user=getpass.getuser())
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone"))
        remote = SshRemote(ssh, lent=borrower.agents)
        with pytest.raises(RemoteError) as dead:
            await remote.run(host, "true")
        assert dead.value.problem.code == "agent_dead"
        remote.log_in_anew([host])
        lending.lend(tmp_path, {"SSH_AUTH_SOCK": str(agent)})
        assert (await remote.run(host, "echo ok")).output == b"ok\n"
        await remote.close()
        async with silent_agent(tmp_path / "silent") as silent:  # a lent one that is no good hides none that is
            lending.lend(tmp_path, {"SSH_AUTH_SOCK": str(silent)})
            monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
            remote = SshRemote(ssh, lent=borrower.agents)
            assert (await remote.run(host, "echo ok")).output == b"ok\n"
            await remote.close()


def lender(folder: Path, **environ: str) -> subprocess.Popen[str]:
    """Another cockpit, as far as lending goes."""
    code = (
        "from pathlib import Path; from engine import lending\n"
        f"lending.lend(Path({str(folder)!r})); print('lent', flush=True); input()"
    )
    plain = {name: value for name, value in os.environ.items() if name not in CLOUD}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**plain, **environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "lent\n"
    return process


def test_an_access_key_in_the_lenders_environment_is_used_and_never_written(tmp_path: Path) -> None:
    own = {"HOME": "/home/op", "ALIBABA_CLOUD_PROFILE": "own"}
    borrower = lending.Borrower(tmp_path, own)
    assert borrower.environ() == own
    key = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "lent-id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "lent-s3cret"}
    process = lender(tmp_path, **key)
    try:
        assert borrower.environ() == {"HOME": "/home/op", **key}
        [file] = tmp_path.iterdir()
        assert file.stat().st_mode & 0o777 == 0o600
        assert "lent-s3cret" not in file.read_text()
        assert "lent-id" not in file.read_text()
    finally:
        process.communicate("")
    assert borrower.environ()["ALIBABA_CLOUD_ACCESS_KEY_ID"] == "lent-id"  # kept in memory: an order goes on
    assert lending.Borrower(tmp_path, own).environ() == own  # whoever comes later can't have it


def test_the_name_of_a_source_is_lent_and_outlives_the_lender(tmp_path: Path) -> None:
    process = lender(tmp_path, ALIBABA_CLOUD_PROFILE="prod", SSH_AUTH_SOCK="/tmp/agent")
    process.communicate("")
    borrower = lending.Borrower(tmp_path, {"HOME": "/home/op"})
    assert borrower.environ() == {"HOME": "/home/op", "ALIBABA_CLOUD_PROFILE": "prod"}
    assert borrower.agents() == ("/tmp/agent",)


def test_a_loan_that_somebody_else_could_have_written_counts_for_nothing(tmp_path: Path) -> None:
    lending.lend(tmp_path, {"SSH_AUTH_SOCK": "/tmp/agent"})
    assert lending.read(tmp_path) is not None
    lending.path_in(tmp_path).chmod(0o664)
    assert lending.read(tmp_path) is None
    lending.path_in(tmp_path).chmod(0o600)
    lending.path_in(tmp_path).write_text("{")
    assert lending.read(tmp_path) is None
    if os.getuid() == 0:
        lending.lend(tmp_path, {"SSH_AUTH_SOCK": "/tmp/agent"})
        os.chown(lending.path_in(tmp_path), 12345, 12345)
        assert lending.read(tmp_path) is None


def test_another_cockpit_steps_in_when_the_lender_has_gone_and_only_then(tmp_path: Path) -> None:
    with ssh_agent(tmp_path / "agent-1"), ssh_agent(tmp_path / "agent-2"):
        process = lender(tmp_path, SSH_AUTH_SOCK=str(tmp_path / "agent-1"))
        mine = {"SSH_AUTH_SOCK": str(tmp_path / "agent-2")}

        def lent() -> str:
            loan = lending.read(tmp_path)
            return loan.agent if loan is not None else ""

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSH_AUTH_SOCK", mine["SSH_AUTH_SOCK"])
            lending.lend_if_nobody_does(tmp_path)
            assert lent().endswith("agent-1")
            process.communicate("")
            lending.lend_if_nobody_does(tmp_path)
            assert lent().endswith("agent-2")


def test_nothing_to_lend_lends_nothing(tmp_path: Path) -> None:
    assert lending.lend(tmp_path, {"HOME": "/"}) is None
    assert list(tmp_path.iterdir()) == []
    assert lending.lend(Path("/proc/nowhere"), {"SSH_AUTH_SOCK": "/tmp/a"}) is None
