"""Connections that are kept, over the real OpenSSH: when they are not used again, and what is said of a login that is refused."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import asyncssh
import pytest

from engine.domain.fleet import Host, JumpHost
from engine.ports import LogBytes, Question, RemoteError
from engine.remote.ssh import SshRemote
from tests.support.accounts import Accounts, machine_account
from tests.support.remote_jobs import events_of, job_of, output_of
from tests.support.ssh_servers import Sshd
from tests.support.wires import Fate, wire_to

PASSWORD = "correct-horse-493817"


@dataclass
class Operator:
    questions: list[Question] = field(default_factory=list)

    async def ask(self, question: Question, deadline_s: float) -> str | None:
        self.questions.append(question)
        return PASSWORD


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    made = Accounts.make(tmp_path)
    with made.serving():
        yield made


@pytest.fixture
async def remote(accounts: Accounts) -> AsyncIterator[SshRemote]:
    made = SshRemote(accounts.settings)
    yield made
    await made.close()


async def code_of(remote: SshRemote, host: Host) -> str:
    with pytest.raises(RemoteError) as refused:
        await remote.run(host, "true")
    return refused.value.problem.code


async def home_seen(remote: SshRemote, host: Host) -> str:
    return (await remote.run(host, "echo $HOME")).output.decode().strip()


# --------------------------------------------------------------------------------------------------- repaired accounts


async def test_a_login_that_was_refused_is_never_used_again(accounts: Accounts, remote: SshRemote) -> None:
    host = accounts.add("op", "nologin")
    assert await code_of(remote, host) == "no_shell"
    accounts.give_shell("op", "tcsh")
    assert (await remote.run(host, "echo ok")).output == b"ok\n"


async def test_a_person_who_tries_again_gets_the_account_as_it_is_now(accounts: Accounts, remote: SshRemote) -> None:
    """A kept connection has the account of its login, however often it is used: sshd looks it up once."""
    host = accounts.add("op", "bash")
    job = job_of(host, "echo one; until [ -e go ]; do sleep 0.1; done; echo $HOME")
    events = remote.follow(job)
    seen = [await anext(events), await anext(events)]
    old = accounts.home("op")
    accounts.move_home("op", "op-new")
    assert await home_seen(remote, host) == str(old)
    remote.log_in_anew([host])
    assert await home_seen(remote, host) == str(accounts.home("op-new"))
    (old / "go").touch()  # what is at work goes on over its own connection
    seen += [event async for event in events]
    assert output_of(seen) == f"one\n{old}\n".encode()


@dataclass
class AskingGate:
    """A jump host whose sshd asks for a password, and knows who may forward."""

    sshd: Sshd
    user: str

    @property
    def jump(self) -> JumpHost:
        return JumpHost("gate", "127.0.0.1", self.sshd.port, self.user, self.sshd.public_key)

    @property
    def logins(self) -> int:
        return (self.sshd.folder / "sshd.log").read_text().count("Accepted keyboard-interactive")


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[AskingGate]:
    with ExitStack() as stack:
        user = stack.enter_context(machine_account(tmp_path, password=PASSWORD))
        sshd = Sshd.make(
            tmp_path / "gate",
            asyncssh.generate_private_key("ssh-ed25519"),
            first="UsePAM yes\nAuthenticationMethods keyboard-interactive",
            own_home=False,
        )
        stack.enter_context(sshd.serving())
        yield AskingGate(sshd, user)


async def test_behind_a_jump_host_that_asked_only_the_repaired_host_is_logged_into_anew(
    accounts: Accounts, gate: AskingGate
) -> None:
    operator = Operator()
    remote = SshRemote(accounts.settings, asker=operator)
    accounts.add("op", "bash")
    host = accounts.host("op", gate.jump)
    old = await home_seen(remote, host)
    accounts.move_home("op", "op-new")
    assert await home_seen(remote, host) == old
    remote.log_in_anew([host])
    assert await home_seen(remote, host) == str(accounts.home("op-new"))
    assert (len(operator.questions), gate.logins) == (1, 1)
    await remote.close()


async def test_a_jump_host_that_asked_and_forbade_forwarding_is_logged_into_anew_when_somebody_tries_again(
    accounts: Accounts, gate: AskingGate
) -> None:
    gate.sshd.configure("AllowTcpForwarding no")
    operator = Operator()
    remote = SshRemote(accounts.settings, asker=operator)
    accounts.add("op", "bash")
    host = accounts.host("op", gate.jump)
    assert await code_of(remote, host) == "forwarding_refused"
    gate.sshd.configure("AllowTcpForwarding yes")
    assert await code_of(remote, host) == "forwarding_refused"  # nobody has tried again: nobody is asked again
    assert (len(operator.questions), gate.logins) == (1, 1)
    remote.log_in_anew([host])
    assert (await remote.run(host, "echo ok")).output == b"ok\n"
    assert (len(operator.questions), gate.logins) == (2, 2)
    await remote.close()


async def test_a_jump_host_that_could_not_be_reached_is_tried_at_once_when_somebody_tries_again(
    accounts: Accounts, remote: SshRemote, tmp_path: Path
) -> None:
    second = Accounts.make(tmp_path / "second", like=accounts)
    second.add("op", "bash")
    accounts.add("op", "bash")
    host = accounts.host("op", second.jump("op"))
    assert await code_of(remote, host) == "jump_host_unreachable"
    with second.serving():
        remote.log_in_anew([host])
        assert (await remote.run(host, "echo ok")).output == b"ok\n"


# ------------------------------------------------------------------------------------------------ dead at its first use


@pytest.mark.parametrize("fate", [Fate.FORGOTTEN, Fate.SILENT])
@pytest.mark.parametrize("hop", ["host", "gate"])
async def test_a_kept_connection_that_is_dead_is_replaced_once(accounts: Accounts, hop: str, fate: Fate) -> None:
    if hop == "gate" and fate is Fate.SILENT:
        # Who is silent behind it, nobody can tell
        settings = replace(accounts.settings, keepalive_s=0.5, keepalive_count=2)
    else:
        settings = replace(accounts.settings, login_timeout_s=3.0, connect_timeout_s=3.0)
    remote = SshRemote(settings)
    accounts.add("op", "bash")
    accounts.add("gate", "bash")
    async with wire_to(accounts.sshd.port) as wire:
        if hop == "host":
            host = replace(accounts.host("op"), ssh_port=wire.port)
        else:
            host = accounts.host("op", replace(accounts.jump("gate"), ssh_port=wire.port))
        assert (await remote.run(host, "echo before")).output == b"before\n"
        wire.die(fate)
        other = replace(host, name="other") if hop == "gate" else host
        assert (await remote.run(other, "echo behind")).output == b"behind\n"
        wire.die(fate)
        events = await events_of(remote.follow(job_of(replace(other, name="third"), "echo once >>ran; echo ok")))
        assert [event.data for event in events if isinstance(event, LogBytes)] == [b"ok\n"]
        assert (accounts.home("op") / "ran").read_text() == "once\n"
        assert wire.connected == 3
        await remote.close()


async def test_a_connection_that_dies_twice_is_told(accounts: Accounts) -> None:
    remote = SshRemote(replace(accounts.settings, handshake_attempts=1))
    host = accounts.add("op", "bash")
    async with wire_to(accounts.sshd.port) as wire:
        host = replace(host, ssh_port=wire.port)
        assert (await remote.run(host, "echo before")).output == b"before\n"
        wire.die(Fate.FORGOTTEN)
        wire.target = 1  # and nobody is there any more
        assert await code_of(remote, host) == "host_unreachable"
        await remote.close()


# ------------------------------------------------------------------------------------------------------ words of a server


async def test_an_expired_password_is_told_as_one_by_host_ssh_the_check_and_a_job(tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(tmp_path / "id")
    (tmp_path / "id").chmod(0o600)
    key.write_public_key(tmp_path / "id.pub")
    # The account can't read a file in a folder of root's, which sshd would do as that account.
    keys = f"AuthorizedKeysCommand /bin/cat {tmp_path}/id.pub\nAuthorizedKeysCommandUser root"
    sshd = Sshd.make(tmp_path / "sshd", key, first=f"UsePAM yes\n{keys}", own_home=False)
    with machine_account(tmp_path, password=PASSWORD, expired=True) as user, sshd.serving():
        accounts = Accounts(sshd, tmp_path, Accounts.make(tmp_path / "other").settings)
        host = accounts.host(user)
        remote = SshRemote(replace(accounts.settings, identity_files=(tmp_path / "id",)))
        found = [each.problem async for each in remote.reach(host)][-1:]
        for refusing in (remote.run(host, "true", for_job=True), events_of(remote.follow(job_of(host, "true")))):
            with pytest.raises(RemoteError) as refused:
                await refusing
            found.append(refused.value.problem)
        await remote.close()
        assert [problem and problem.code for problem in found] == ["password_expired"] * 3
        assert found[0] is not None
        assert "Your password has expired" in found[0].evidence
        assert f"Give {user}" in str(found[0].remedy)


async def test_what_a_server_says_before_the_login_is_quoted_when_it_refuses(accounts: Accounts) -> None:
    banner = accounts.folder / "banner"
    banner.write_text("Ask \x1b[31mops@example for a key.\n")
    accounts.sshd.configure(f"Banner {banner}")
    remote = SshRemote(accounts.settings)
    with pytest.raises(RemoteError) as refused:
        await remote.run(accounts.host("nobody-here"), "true")
    await remote.close()
    assert refused.value.problem.code == "permission_denied"
    assert refused.value.problem.evidence.splitlines()[0] == "Ask ops@example for a key."


# ----------------------------------------------------------------------------------------------------------- algorithms


def ssh_says(accounts: Accounts, *options: str) -> str:
    command = ["ssh", "-F", "none", "-i", str(accounts.folder / "id"), "-p", str(accounts.sshd.port)]
    command += ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    done = subprocess.run([*command, *options, "op@127.0.0.1", "echo ok"], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "line",
    [
        "KexAlgorithms diffie-hellman-group16-sha512",
        "KexAlgorithms diffie-hellman-group18-sha512",
        "KexAlgorithms ecdh-sha2-nistp521",
        "KexAlgorithms diffie-hellman-group-exchange-sha256",
        "Ciphers chacha20-poly1305@openssh.com",
        "Ciphers aes192-ctr",
        "Ciphers aes256-ctr\nMACs hmac-sha2-512-etm@openssh.com",
        "Ciphers aes256-ctr\nMACs umac-128@openssh.com",
        "Ciphers aes256-ctr\nMACs hmac-sha1",
    ],
)
async def test_a_hardened_server_is_logged_into_as_by_ssh(accounts: Accounts, remote: SshRemote, line: str) -> None:
    host = accounts.add("op", "bash")
    accounts.sshd.configure(*line.splitlines())
    assert "ok" in ssh_says(accounts)
    assert (await remote.run(host, "echo ok")).output == b"ok\n"


@pytest.mark.parametrize(
    ("line", "kind", "theirs", "option"),
    [
        ("KexAlgorithms diffie-hellman-group1-sha1", "kex", "diffie-hellman-group1-sha1", ()),
        ("Ciphers 3des-cbc", "ciphers", "3des-cbc", ()),
        ("Ciphers aes128-ctr\nMACs hmac-md5", "macs", "hmac-md5", ()),
        ("", "host_key_algorithms", "ssh-ed25519", ("-o", "HostKeyAlgorithms=rsa-sha2-512")),
    ],
)
@pytest.mark.parametrize("behind", [False, True], ids=["direct", "behind"])
async def test_nothing_in_common_is_told_as_such_with_both_lists(
    accounts: Accounts, tmp_path: Path, line: str, kind: str, theirs: str, option: tuple[str, ...], behind: bool
) -> None:
    gate = Accounts.make(tmp_path / "gate", like=accounts)
    gate.add("gate", "bash")
    accounts.add("op", "bash")
    accounts.sshd.configure(*line.splitlines())
    settings = accounts.settings
    if kind == "host_key_algorithms":
        settings = replace(settings, host_key_algorithms=("rsa-sha2-512",))
    says = ssh_says(accounts, *option)
    assert "no matching" in says
    assert theirs in says
    with gate.serving():
        jumps = (gate.jump("gate"),) if behind and not option else ()
        host = accounts.host("op", *jumps)
        for _ in range(4):  # either side may be the first to hang up
            remote = SshRemote(settings)
            with pytest.raises(RemoteError) as refused:
                await remote.run(host, "true")
            await remote.close()
            problem = refused.value.problem
            assert problem.code == "no_common_algorithm"
            assert theirs in str(problem.remedy)
            assert f"ssh.{kind}" in str(problem.remedy)
            assert "check that it is up" not in str(problem.remedy).lower()
    if kind == "kex":
        assert "curve25519-sha256" in str(refused.value.problem.remedy)
        allowed = SshRemote(replace(settings, kex=(theirs,)))  # whoever must, may
        assert (await allowed.run(accounts.host("op"), "echo ok")).output == b"ok\n"
        await allowed.close()
