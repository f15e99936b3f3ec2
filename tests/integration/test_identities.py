"""Identity files and agents at the real sshd: what is skipped and named, and what stock `ssh` does with the same."""

from __future__ import annotations

import asyncio
import getpass
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import asyncssh
import pytest

from engine.domain.fleet import Host
from engine.domain.problem import Problem
from engine.ports import RemoteError
from engine.remote.reach import OfferedKeys, offered_keys
from engine.remote.ssh import SshRemote, SshSettings
from tests.support.agents import add, security_key, silent_agent, ssh_agent
from tests.support.processes import call
from tests.support.ssh_servers import Sshd, host_on


@dataclass
class Place:
    """One sshd that takes `good`, a home with an empty ~/.ssh, no agent."""

    server: Sshd
    settings: SshSettings
    home: Path

    @property
    def good(self) -> Path:
        return self.home / "good"

    @property
    def host(self) -> Host:
        return host_on(self.server.port, self.server.public_key, user=getpass.getuser())

    def identities(self, *files: Path) -> SshSettings:
        return replace(self.settings, identity_files=files)

    def make(self, name: str, passphrase: str = "") -> Path:
        """A key that the server does not know, unless it is authorised."""
        file = self.home / name
        call("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", name, "-f", str(file))
        return file

    def authorise(self, line: str) -> None:
        with (self.server.folder / "authorized_keys").open("a") as keys:
            keys.write(line.strip() + "\n")

    def stock_ssh(self, *options: str) -> subprocess.CompletedProcess[str]:
        plain = [
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "GlobalKnownHostsFile=/dev/null",
        ]
        known = [
            "-o",
            f"UserKnownHostsFile={self.home}/stock_known",
            "-p",
            str(self.server.port),
            "-l",
            getpass.getuser(),
        ]
        return subprocess.run(
            ["ssh", *plain, *known, *options, "127.0.0.1", "true"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "good", "-f", str(home / "good"))
    server = Sshd.make(tmp_path / "host", asyncssh.read_private_key(home / "good"))
    settings = SshSettings(known_hosts=None, agent_deadline_s=0.5, touch_deadline_s=1.0)
    with server.serving():
        yield Place(server, settings, home)


async def outcome(settings: SshSettings, host: Host) -> Problem | None:
    remote = SshRemote(settings)
    try:
        result = await remote.run(host, "echo ok")
    except RemoteError as error:
        return error.problem
    finally:
        await remote.close()
    assert result.output == b"ok\n"
    return None


def skipped(offered: OfferedKeys) -> list[tuple[Path, str]]:
    return [(each.file, str(each.why)) for each in offered.skipped]


# ------------------------------------------------------------------------------------------------------------------ files


def empty(place: Place) -> Path:
    (place.home / "bad").touch(mode=0o600)
    return place.home / "bad"


def cut_short(place: Place) -> Path:
    file = place.make("bad")
    file.write_bytes(file.read_bytes()[:150])
    return file


def putty(place: Place) -> Path:
    file = place.home / "bad.ppk"
    file.write_text(
        "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: oncall\nPublic-Lines: 2\nAAAA\nBBBB\n"
    )
    file.chmod(0o600)
    return file


def of_another_key(place: Place) -> Path:
    file, other = place.make("bad"), place.make("other")
    place.authorise(file.with_name("bad.pub").read_text())
    file.with_name("bad.pub").write_text(other.with_name("other.pub").read_text())
    return file


def folder(place: Place) -> Path:
    (place.home / "bad").mkdir()
    return place.home / "bad"


def binary(place: Place) -> Path:
    (place.home / "bad").write_bytes(bytes(range(256)) * 8)
    (place.home / "bad").chmod(0o600)
    return place.home / "bad"


def open_to_all(place: Place) -> Path:
    file = place.make("bad")
    place.authorise(file.with_name("bad.pub").read_text())
    file.chmod(0o644)
    return file


def locked(place: Place) -> Path:
    file = place.make("bad", "secret")
    place.authorise(file.with_name("bad.pub").read_text())
    return file


def public(place: Place) -> Path:
    file = place.make("bad")
    place.authorise(file.with_name("bad.pub").read_text())
    return file.with_name("bad.pub")


def missing(place: Place) -> Path:
    return place.home / "bad"


def pipe(place: Place) -> Path:
    os.mkfifo(place.home / "bad", 0o600)
    return place.home / "bad"


KINDS = [
    (empty, "it is empty"),
    (cut_short, "cut short or damaged"),
    (putty, "puttygen"),
    (of_another_key, "bad.pub beside it belongs to another key"),
    (folder, "it is a folder"),
    (binary, "it holds no private key"),
    (open_to_all, "others may read it (mode 0644)"),
    (locked, "locked with a passphrase"),
    (public, "it is a public key"),
    (missing, "there is no such file"),
]


@pytest.mark.parametrize(("kind", "why"), KINDS, ids=[kind.__name__ for kind, _ in KINDS])
async def test_a_file_that_cannot_be_used_is_skipped_and_named_as_by_ssh(
    place: Place, kind: Callable[[Place], Path], why: str
) -> None:
    bad = kind(place)
    assert place.stock_ssh("-i", str(bad), "-i", str(place.good)).returncode == 0
    settings = place.identities(bad, place.good)
    assert await outcome(settings, place.host) is None
    offered = await offered_keys(place.host, settings)
    assert [key.name for key in offered.keys] == ["good"]
    [(file, said)] = skipped(offered)
    assert file == bad
    assert why in said

    assert place.stock_ssh("-i", str(bad), "-o", "IdentitiesOnly=yes").returncode == 255
    problem = await outcome(place.identities(bad), place.host)
    assert problem is not None
    assert problem.code == "permission_denied"
    assert f"{bad}: " in str(problem.what)
    assert why in str(problem.what)
    assert str(bad) in problem.evidence


async def test_a_pipe_is_not_waited_for(place: Place) -> None:
    """Where `ssh` would wait for ever."""
    async with asyncio.timeout(10):
        assert await outcome(place.identities(pipe(place), place.good), place.host) is None


@pytest.mark.parametrize(("kind", "why"), KINDS[:7], ids=[kind.__name__ for kind, _ in KINDS[:7]])
async def test_one_of_the_usual_files_that_cannot_be_used_stops_nothing(
    place: Place, kind: Callable[[Place], Path], why: str
) -> None:
    bad = kind(place)
    bad.rename(place.home / ".ssh" / "id_rsa")
    beside = bad.with_name("bad.pub")
    if beside.exists():
        beside.rename(place.home / ".ssh" / "id_rsa.pub")
    for name in ("good", "good.pub"):
        (place.home / name).rename(place.home / ".ssh" / name.replace("good", "id_ed25519"))
    assert await outcome(place.settings, place.host) is None
    assert [file.name for file, _ in skipped(await offered_keys(place.host, place.settings))] == ["id_rsa"]


@pytest.mark.parametrize("damage", ["cut short", "of another key"])
async def test_a_certificate_that_is_no_good_leaves_the_key(place: Place, damage: str) -> None:
    other, authority = place.make("other"), place.make("authority")
    call("ssh-keygen", "-q", "-s", str(authority), "-I", "me", str(other.with_name("other.pub")))
    certificate = other.with_name("other-cert.pub").read_text()
    place.good.with_name("good-cert.pub").write_text(certificate[:200] if damage == "cut short" else certificate)
    assert place.stock_ssh("-i", str(place.good)).returncode == 0
    settings = place.identities(place.good)
    assert await outcome(settings, place.host) is None
    [(file, why)] = skipped(await offered_keys(place.host, settings))
    assert file == place.good
    assert "good-cert.pub" in why


# ----------------------------------------------------------------------------------------------------------- configuration


async def test_identity_files_are_looked_for_where_ssh_looks(place: Place) -> None:
    """The oracle is what `ssh -v` says it tries."""
    user = getpass.getuser()
    config = place.home / "config"
    config.write_text(
        "Host somebody-else\n  IdentityFile /not/meant\nHost *\n"
        '  IdentityFile none\n  IdentityFile /k/%r@%h:%p-%n-%u-%L-%i-%% # why\n  IdentityFile "/k/a b [1]"\n'
        f"  IdentityFile {place.good}\n  IdentityFile /k/%C\n  IdentityFile {place.good}\n"
    )
    ran = place.stock_ssh("-v", "-F", str(config))
    assert ran.returncode == 0
    tried = [path for path in re.findall(r"identity file (.*) type", ran.stderr) if not path.endswith("-cert")]
    settings = replace(place.settings, config=config, agent=False)
    assert await outcome(settings, place.host) is None
    host = replace(place.host, name="127.0.0.1")  # as it was typed for `ssh`
    named = [str(file) for file, _ in skipped(await offered_keys(host, settings))]
    assert named == [path for path in tried if path != str(place.good)]
    assert f"/k/{user}@127.0.0.1:{place.server.port}-127.0.0.1-{user}" in named[0]


async def test_a_tilde_and_percent_d_are_the_home(place: Place) -> None:
    config = place.home / "config"
    for written in ("~/good", "%d/good", "${HOME}/good"):
        config.write_text(f"IdentityFile {written}\n")
        assert await outcome(replace(place.settings, config=config, agent=False), place.host) is None


async def test_named_identities_stand_for_the_usual_ones(place: Place) -> None:
    place.good.rename(place.home / ".ssh" / "id_ed25519")
    config = place.home / "config"
    config.write_text("IdentityFile none\n")
    problem = await outcome(replace(place.settings, config=config), place.host)
    assert problem is not None
    assert "there was no key to offer" in str(problem.what)


# ------------------------------------------------------------------------------------------------------------------ agents


@pytest.mark.parametrize("kind", [locked, public, missing])
async def test_a_key_that_the_agent_holds_needs_only_its_public_half(
    place: Place, kind: Callable[[Place], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind is missing:  # its public half is left
        place.authorise(place.make("bad").with_name("bad.pub").read_text())
        (place.home / "bad").rename(place.home / "elsewhere")
        named, private = place.home / "bad", place.home / "elsewhere"
    elif kind is locked:
        named = locked(place)
        private = place.home / "unlocked"
        private.write_bytes(named.read_bytes())
        private.chmod(0o600)
        call("ssh-keygen", "-q", "-p", "-P", "secret", "-N", "", "-f", str(private))
    else:
        named = public(place)
        private = named.with_suffix("")
    with ssh_agent(place.home / "agent", private) as agent:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
        assert place.stock_ssh("-o", f"IdentityFile={named}", "-o", "IdentitiesOnly=yes").returncode == 0
        settings = place.identities(named)
        assert await outcome(settings, place.host) is None
        offered = await offered_keys(place.host, settings)
        assert [(key.source, key.name) for key in offered.keys] == [("agent", "bad")]
        assert not offered.skipped


async def test_of_many_keys_in_the_agent_the_named_one_comes_first(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More keys than MaxAuthTries lets one try."""
    strangers = [place.make(f"stranger{number}") for number in range(8)]
    with ssh_agent(place.home / "agent", *strangers, place.good) as agent:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
        problem = await outcome(place.settings, place.host)
        assert problem is not None
        assert "Too many authentication failures" in str(problem.what)
        assert "offered: stranger0" in problem.evidence
        assert await outcome(place.identities(place.good), place.host) is None
        config = place.home / "config"
        config.write_text(f"IdentityFile {place.good}.pub\nIdentitiesOnly yes\n")
        only = replace(place.settings, config=config)
        assert [key.name for key in (await offered_keys(place.host, only)).keys] == ["good"]
        assert await outcome(only, place.host) is None


async def test_an_agent_that_never_answers_is_named_and_waited_for_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with silent_agent(place.home / "agent") as agent:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
        assert await outcome(place.identities(place.good), place.host) is None
        remote = SshRemote(place.settings)
        began = time.monotonic()
        for number in range(5):
            with pytest.raises(RemoteError) as silent:
                await remote.run(replace(place.host, name=f"h{number}"), "true")
            assert silent.value.problem.code == "agent_silent"
            assert str(agent) in str(silent.value.problem.what)
        assert time.monotonic() - began < 5 * place.settings.agent_deadline_s
        await remote.close()


@pytest.mark.parametrize("left", ["nothing", "a socket", "a file"])
async def test_a_dead_agent_is_said_as_such(place: Place, monkeypatch: pytest.MonkeyPatch, left: str) -> None:
    path = place.home / "agent"
    if left == "a socket":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.close()
    elif left == "a file":
        path.touch()
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    problem = await outcome(place.settings, place.host)
    assert problem is not None
    assert problem.code == "agent_dead"
    assert str(path) in str(problem.what)
    assert await outcome(place.identities(place.good), place.host) is None


async def test_a_key_that_needs_a_touch_says_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    blob, line = security_key()
    place.authorise(line)
    async with silent_agent(place.home / "agent", blob) as agent:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
        problem = await outcome(place.settings, place.host)
        assert problem is not None
        assert problem.code == "agent_needs_touch"
        assert "yubikey of oncall" in str(problem.what)
        assert "touch" in str(problem.what)
        assert await outcome(place.identities(place.good), place.host) is None  # the next key is offered


async def test_an_agent_that_does_not_sign_in_time_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that waits for a confirmation on another screen."""
    blob = asyncssh.read_public_key(place.good.with_name("good.pub")).public_data
    async with silent_agent(place.home / "agent", blob) as agent:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
        problem = await outcome(place.settings, place.host)
        assert problem is not None
        assert problem.code == "agent_silent"
        assert f"{agent} did not sign with yubikey of oncall" in str(problem.what)


async def test_an_agent_that_refuses_to_sign_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real one, with a key that has to be confirmed and nobody to ask."""
    with ssh_agent(place.home / "agent") as agent:
        add(agent, place.good, "-c")
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
        assert place.stock_ssh().returncode == 255
        problem = await outcome(place.settings, place.host)
        assert problem is not None
        assert problem.code == "agent_refuses"
        assert "good" in str(problem.what)
