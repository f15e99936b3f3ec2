"""Connections to hosts through jump hosts: how many, with which keys, and what is said when one cannot be made."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import asyncssh
import pytest

from engine.domain.fleet import Host, JumpHost
from engine.ports import RemoteError
from engine.remote.ssh import SshRemote, SshSettings
from tests.support.processes import call
from tests.support.ssh_servers import TestServer, free_port, host_on, serving, until


@dataclass
class Net:
    settings: SshSettings
    hosts: list[TestServer]
    outer: TestServer
    inner: TestServer
    folder: Path

    @property
    def jumps(self) -> tuple[JumpHost, JumpHost]:
        return (
            JumpHost("outer", "127.0.0.1", self.outer.port, "op", self.outer.public_key),
            JumpHost("inner", "127.0.0.1", self.inner.port, "op", self.inner.public_key),
        )

    def host(self, number: int = 0) -> Host:
        server = self.hosts[number]
        return host_on(server.port, server.public_key, *self.jumps, name=f"h{number}")


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Net]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(tmp_path / "id")
    (tmp_path / "id").chmod(0o600)

    def server() -> TestServer:
        return TestServer(tmp_path, "/usr/bin:/bin", asyncssh.generate_private_key("ssh-ed25519"), key)

    hosts, outer, inner = [server() for _ in range(6)], server(), server()
    settings = SshSettings(
        identity_files=(tmp_path / "id",),
        agent=False,
        known_hosts=tmp_path / "known_hosts",
        connect_timeout_s=3,
        login_timeout_s=3,
    )
    async with serving(outer, inner, *hosts):
        yield Net(settings, hosts, outer, inner, tmp_path)


@pytest.fixture
async def remote(net: Net) -> AsyncIterator[SshRemote]:
    made = SshRemote(net.settings)
    yield made
    await made.close()


async def problem_of(remote: SshRemote, host: Host) -> tuple[str, str]:
    with pytest.raises(RemoteError) as failed:
        await remote.run(host, "true")
    assert str(failed.value.problem.remedy)
    if failed.value.problem.code == "permission_denied" and "did not let" in str(failed.value.problem.what):
        said = f"process {os.getpid()} on {platform.node()}, running since"
        assert said in str(failed.value.problem.remedy).replace("Process", "process")
    return failed.value.problem.code, str(failed.value.problem.what)


async def test_many_runs_on_many_hosts_log_in_once_at_each_hop(net: Net, remote: SshRemote) -> None:
    results = await asyncio.gather(*(remote.run(net.host(n % 6), "echo ok") for n in range(72)))
    assert {(r.exit_status, r.output) for r in results} == {(0, b"ok\n")}
    assert [server.logins for server in (net.outer, net.inner, *net.hosts)] == [1] * 8


async def test_idle_connections_are_closed_the_host_before_its_jump_hosts(net: Net) -> None:
    remote = SshRemote(replace(net.settings, connection_idle_s=0.2))
    assert (await remote.run(net.host(), "true")).exit_status == 0
    await until(lambda: not (net.hosts[0].connections or net.inner.connections or net.outer.connections))
    assert (await remote.run(net.host(), "true")).exit_status == 0
    assert net.outer.logins == 2
    await remote.close()
    await until(lambda: not net.outer.connections)


async def test_a_dropped_jump_host_is_logged_into_again(net: Net, remote: SshRemote) -> None:
    await remote.run(net.host(), "true")
    net.outer.drop()
    await until(lambda: not net.outer.connections and not net.hosts[0].connections)
    assert (await remote.run(net.host(), "echo again")).output == b"again\n"


async def test_a_jump_host_that_is_down_is_named_and_not_stormed(net: Net, remote: SshRemote) -> None:
    await net.inner.stop()
    answers = await asyncio.gather(*(problem_of(remote, net.host(n % 6)) for n in range(30)))
    assert {code for code, _ in answers} == {"jump_host_unreachable"}
    assert all("jump host inner" in what for _, what in answers)
    await net.inner.start()

    async def back() -> bool:
        try:
            return (await remote.run(net.host(), "true")).exit_status == 0
        except RemoteError:
            return False

    await until(back)


async def test_a_host_that_is_down_is_named_with_the_jump_host_that_tried(net: Net, remote: SshRemote) -> None:
    code, what = await problem_of(remote, replace(net.host(), ssh_port=free_port()))
    assert code == "host_unreachable"
    assert "from jump host inner" in what
    code, what = await problem_of(remote, replace(net.host(), ssh_port=free_port(), jump_chain=()))
    assert code == "host_unreachable"


async def test_a_server_that_never_answers_is_given_up(net: Net) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    remote = SshRemote(replace(net.settings, connect_timeout_s=0.5, login_timeout_s=0.5))
    port = server.sockets[0].getsockname()[1]
    code, what = await problem_of(remote, replace(net.host(), ssh_port=port, jump_chain=()))
    assert code == "host_unreachable"
    assert "h0" in what
    await remote.close()
    server.close()


@pytest.mark.parametrize("hop", [0, 1, 2])
@pytest.mark.parametrize("algorithm", ["ssh-ed25519", "ecdsa-sha2-nistp256"])
async def test_a_changed_host_key_is_told_at_each_hop_with_both_fingerprints(
    net: Net, remote: SshRemote, hop: int, algorithm: str
) -> None:
    other = asyncssh.generate_private_key(algorithm)
    line = other.export_public_key("openssh").decode().strip()
    host, jumps = net.host(), list(net.jumps)
    if hop < 2:
        jumps[hop] = replace(jumps[hop], host_key=line)
    else:
        host = replace(host, host_key=line)
    server = (net.outer, net.inner, net.hosts[0])[hop]
    code, what = await problem_of(remote, replace(host, jump_chain=tuple(jumps)))
    assert code == "host_key_changed"
    assert ("outer", "inner", "h0")[hop] in what
    assert other.get_fingerprint() in what
    assert server.host_key.get_fingerprint() in what
    assert server.logins == 0


@pytest.mark.parametrize("hop", [0, 1, 2])
async def test_an_unknown_host_key_is_told_and_known_hosts_vouches_for_it(
    net: Net, remote: SshRemote, hop: int
) -> None:
    host, jumps = net.host(), list(net.jumps)
    if hop < 2:
        jumps[hop] = replace(jumps[hop], host_key="")
    else:
        host = replace(host, host_key="")
    host = replace(host, jump_chain=tuple(jumps))
    server = (net.outer, net.inner, net.hosts[0])[hop]
    code, what = await problem_of(remote, host)
    assert code == "host_key_unknown"
    assert server.host_key.get_fingerprint() in what
    assert server.logins == 0
    (net.folder / "known_hosts").write_text(f"nonsense\n[127.0.0.1]:{server.port} {server.public_key}\n")

    async def accepted() -> bool:  # a jump host is asked again after its backoff
        try:
            return (await remote.run(host, "true")).exit_status == 0
        except RemoteError:
            return False

    await until(accepted)


async def test_an_unreadable_host_key_is_told(net: Net, remote: SshRemote) -> None:
    code, what = await problem_of(remote, replace(net.host(), host_key="ssh-ed25519 AAAAnonsense"))
    assert code == "host_key_unreadable"
    assert "h0" in what


@pytest.mark.parametrize("hop", [0, 2])
async def test_a_refused_login_names_the_hop_and_the_user(net: Net, remote: SshRemote, hop: int) -> None:
    (net.outer, net.inner, net.hosts[0])[hop].client_key = asyncssh.generate_private_key("ssh-ed25519")
    code, what = await problem_of(remote, net.host())
    assert code == "permission_denied"
    assert ("outer did not let op in", "", "h0 did not let root in")[hop] in what


async def test_a_locked_identity_is_named_when_there_is_no_other(net: Net) -> None:
    locked = net.folder / "locked"
    call("ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(locked))
    remote = SshRemote(replace(net.settings, identity_files=(locked,)))
    code, what = await problem_of(remote, net.host())
    assert code == "permission_denied"
    assert f"{locked}: it is locked with a passphrase" in what
    await remote.close()
