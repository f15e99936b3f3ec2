"""Host keys and host certificates of the real sshd: what is trusted, and every reason why not, beside what stock `ssh` says."""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import asyncssh
import pytest

from engine.domain.fleet import Host
from engine.ports import RemoteError
from engine.remote.ssh import SshRemote, SshSettings
from tests.support.processes import call
from tests.support.ssh_servers import Sshd, host_on, until

NAME = "localhost"


@dataclass
class Machine:
    """One sshd on 127.0.0.1 and ::1 that may show a certificate, and the keys it could have."""

    server: Sshd
    settings: SshSettings
    folder: Path

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def key(self) -> str:
        return self.server.public_key

    def other(self, algorithm: str = "ssh-ed25519") -> str:
        return asyncssh.generate_private_key(algorithm).export_public_key("openssh").decode().strip()

    @property
    def authority(self) -> str:
        return (self.folder / "authority.pub").read_text().strip()

    def certify(self, principals: str, *options: str, authority: str = "authority", host: bool = True) -> None:
        """Give the server a certificate and start it anew."""
        made_out = ("-n", principals) if principals else ()
        kind = ("-h",) if host else ()
        by = self.folder / authority
        call(
            "ssh-keygen",
            "-q",
            *kind,
            "-s",
            str(by),
            "-I",
            "h1",
            *made_out,
            *options,
            str(self.server.folder / "host_key.pub"),
        )
        self.server.stop()
        with (self.server.folder / "sshd_config").open("a") as config:
            config.write(f"HostCertificate {self.server.folder}/host_key-cert.pub\n")
        self.server.start()

    def host(self, address: str, key: str = "") -> Host:
        return replace(host_on(self.server.port, key, user=getpass.getuser()), address=address)

    def stock_ssh(self, address: str, *options: str) -> tuple[bool, str]:
        """Whether `ssh` with the same known_hosts gets in, and what it says."""
        plain = ["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "IdentityAgent=none"]
        files = ["-o", f"UserKnownHostsFile={self.known_hosts}", "-o", "GlobalKnownHostsFile=/dev/null"]
        login = ["-i", str(self.folder / "id"), "-p", str(self.server.port), "-l", getpass.getuser()]
        ran = subprocess.run(
            ["ssh", *plain, *files, *login, *options, address, "true"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        return ran.returncode == 0, ran.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(tmp_path / "id")
    (tmp_path / "id").chmod(0o600)
    for name in ("authority", "stranger"):
        call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name))
    server = Sshd.make(tmp_path / "host", key, extra="ListenAddress ::1")
    (server.folder / "host_key.pub").write_text(server.public_key + "\n")
    settings = SshSettings(identity_files=(tmp_path / "id",), agent=False, known_hosts=tmp_path / "known_hosts")
    with server.serving():
        yield Machine(server, settings, tmp_path)


async def outcome(machine: Machine, host: Host) -> tuple[str, str]:
    """(code of the problem or empty, its sentence), from a fresh client."""
    remote = SshRemote(machine.settings)
    try:
        result = await remote.run(host, "echo ok")
    except RemoteError as error:
        return error.problem.code, str(error.problem.what)
    finally:
        await remote.close()
    assert result.output == b"ok\n"
    return "", ""


# how the address is written in the catalogue, how for `ssh`, and the names in known_hosts that vouch for it
ADDRESSES = [
    ("localhost", "localhost", "[localhost]:{port}"),
    ("LocalHost", "LocalHost", "[localhost]:{port}"),
    ("localhost", "localhost", "[LOCALHOST]:{port}"),
    ("127.0.0.1", "127.0.0.1", "[127.0.0.1]:{port}"),
    ("[::1]", "::1", "[::1]:{port}"),
    ("::1", "::1", "[::1]:{port}"),
    ("localhost", "localhost", "[local*]:{port}"),
    ("localhost", "localhost", "other,[localhost]:{port},!elsewhere"),
    ("localhost", "localhost", "localhost"),  # without the port: ssh takes it as well
    ("localhost", "localhost", "*"),
]


@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize(("written", "for_ssh", "names"), ADDRESSES)
async def test_a_host_is_reached_by_every_name_that_known_hosts_vouches_for(
    machine: Machine, written: str, for_ssh: str, names: str, hashed: bool
) -> None:
    machine.known_hosts.write_text(f"{names.format(port=machine.server.port)} {machine.key}\n")
    if hashed:
        call("ssh-keygen", "-q", "-H", "-f", str(machine.known_hosts))
    assert machine.stock_ssh(for_ssh)[0]
    assert await outcome(machine, machine.host(written)) == ("", "")


@pytest.mark.parametrize(
    "names", ["[localhost]:1", "LOCALHOST.example", "!localhost,[127.0.0.1]:{port}", "|1|bad|bad="]
)
async def test_lines_for_others_vouch_for_nobody(machine: Machine, names: str) -> None:
    machine.known_hosts.write_text(f"{names.format(port=machine.server.port)} {machine.key}\n")
    assert not machine.stock_ssh(NAME)[0]
    assert (await outcome(machine, machine.host(NAME)))[0] == "host_key_unknown"


async def test_another_kind_of_key_is_a_changed_key_unless_the_known_one_is_shown_as_well(machine: Machine) -> None:
    rsa = asyncssh.generate_private_key("ssh-rsa")
    line = rsa.export_public_key("openssh").decode().strip()
    machine.known_hosts.write_text(f"[localhost]:{machine.server.port} {line}\n")
    assert "IDENTIFICATION HAS CHANGED" in machine.stock_ssh(NAME)[1]
    assert (await outcome(machine, machine.host(NAME)))[0] == "host_key_changed"
    machine.server.stop()
    rsa.write_private_key(machine.server.folder / "rsa")
    (machine.server.folder / "rsa").chmod(0o600)
    with (machine.server.folder / "sshd_config").open("a") as config:
        config.write(f"HostKey {machine.server.folder}/rsa\n")
    machine.server.start()
    assert machine.stock_ssh(NAME)[0]
    assert await outcome(machine, machine.host(NAME)) == ("", "")


async def test_a_changed_key_without_the_port_is_an_unknown_one(machine: Machine) -> None:
    machine.known_hosts.write_text(f"localhost {machine.other()}\n")
    assert "No ED25519 host key is known" in machine.stock_ssh(NAME)[1]
    assert (await outcome(machine, machine.host(NAME)))[0] == "host_key_unknown"


async def test_a_revoked_host_key_is_said_as_such_whoever_vouches_for_it(machine: Machine) -> None:
    place = f"[localhost]:{machine.server.port}"
    machine.known_hosts.write_text(f"{place} {machine.key}\n@revoked * {machine.key}\n")
    assert "REVOKED HOST KEY DETECTED" in machine.stock_ssh(NAME)[1]
    code, what = await outcome(machine, machine.host(NAME))
    assert code == "host_key_revoked"
    assert "is revoked" in what
    assert asyncssh.import_public_key(machine.key).get_fingerprint() in what
    assert (await outcome(machine, machine.host(NAME, machine.key)))[0] == "host_key_revoked"


GOOD = ("-V", "-1d:+1d")
# principals, options, who signed, for hosts, the code (empty: trusted), what ssh says, what we say
CERTIFICATES = [
    ("localhost", GOOD, "authority", True, "", "", ""),
    ("", GOOD, "authority", True, "", "", ""),
    ("other,localhost", GOOD, "authority", True, "", "", ""),
    ("loc*host", GOOD, "authority", True, "host_certificate_other_name", "not a listed principal", "issued for loc*host,"),
    ("localhost", ("-V", "20200101:20200201"), "authority", True, "host_certificate_expired", "expired", "expired at 2020-0"),
    ("localhost", ("-V", "+1d:+2d"), "authority", True, "host_certificate_early", "not yet valid", "valid only from 20"),
    ("other,*.example", GOOD, "authority", True, "host_certificate_other_name", "not a listed principal",
     "issued for other, *.example, not for localhost"),
    ("localhost", GOOD, "authority", False, "host_certificate_no_host", "not a host certificate", "not for hosts"),
    ("localhost", GOOD, "stranger", True, "host_authority_unknown", "No ED25519-CERT host key is known", "unknown authority"),
]  # fmt: skip


@pytest.mark.parametrize(("principals", "options", "by", "for_hosts", "code", "ssh_says", "we_say"), CERTIFICATES)
async def test_a_host_certificate_counts_as_for_ssh_and_each_reason_against_it_is_said(
    machine: Machine,
    principals: str,
    options: tuple[str, ...],
    by: str,
    for_hosts: bool,
    code: str,
    ssh_says: str,
    we_say: str,
) -> None:
    machine.known_hosts.write_text(f"@cert-authority [local*]:{machine.server.port} {machine.authority}\n")
    machine.certify(principals, *options, authority=by, host=for_hosts)
    works, said = machine.stock_ssh(NAME)
    assert works == (code == ""), said
    assert ssh_says in said or "host key is known" in said
    found, what = await outcome(machine, machine.host(NAME))
    assert found == code, what
    assert we_say in what


async def test_the_plain_key_in_a_certificate_of_a_stranger_counts(machine: Machine) -> None:
    place = f"[localhost]:{machine.server.port}"
    machine.known_hosts.write_text(f"@cert-authority {place} {machine.authority}\n{place} {machine.key}\n")
    machine.certify("localhost", *GOOD, authority="stranger")
    assert machine.stock_ssh(NAME)[0]
    assert await outcome(machine, machine.host(NAME)) == ("", "")


@pytest.mark.parametrize(("revoked", "code"), [("authority", "host_authority_revoked"), ("key", "host_key_revoked")])
async def test_a_revoked_authority_and_a_revoked_key_in_a_certificate(
    machine: Machine, revoked: str, code: str
) -> None:
    gone = machine.authority if revoked == "authority" else machine.key
    place = f"[localhost]:{machine.server.port}"
    machine.known_hosts.write_text(f"@cert-authority {place} {machine.authority}\n@revoked {place} {gone}\n")
    machine.certify("localhost", *GOOD)
    assert "REVOKED" in machine.stock_ssh(NAME)[1]
    assert (await outcome(machine, machine.host(NAME)))[0] == code


async def test_a_certificate_is_checked_against_the_alias(machine: Machine) -> None:
    config = machine.folder / "config"
    config.write_text("Host *\n  HostKeyAlias the-real-one\n")
    machine.settings = replace(machine.settings, config=config)
    machine.known_hosts.write_text(f"@cert-authority the-real-one {machine.authority}\n")
    machine.certify("the-real-one", *GOOD)
    assert machine.stock_ssh(NAME, "-o", "HostKeyAlias=the-real-one")[0]
    assert await outcome(machine, machine.host(NAME)) == ("", "")


async def test_a_key_that_is_not_trusted_is_shown_to_once(machine: Machine) -> None:
    """Nothing of it passes by itself: one connection, then a person."""
    machine.known_hosts.write_text(f"@revoked * {machine.key}\n")
    log = machine.server.folder / "sshd.log"
    await until(lambda: "Connection from" in log.read_text())  # the one that saw that the server is up
    before = log.read_text().count("Connection from")
    assert (await outcome(machine, machine.host(NAME)))[0] == "host_key_revoked"
    assert log.read_text().count("Connection from") == before + 1


async def test_a_known_hosts_that_is_a_folder_is_named_where_nobody_vouches(machine: Machine) -> None:
    machine.known_hosts.mkdir()
    assert not machine.stock_ssh(NAME)[0]
    remote = SshRemote(machine.settings)
    with pytest.raises(RemoteError) as unknown:
        await remote.run(machine.host(NAME), "true")
    await remote.close()
    assert unknown.value.problem.code == "host_key_unknown"
    assert unknown.value.problem.evidence == f"{machine.known_hosts}: it is a folder"
