"""`cockpit host ssh` over the real OpenSSH: what it tells of the way to a host, and where the way ends."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

from cockpit.cli.run import run
from tests.support.processes import call
from tests.support.ssh_servers import Sshd


@dataclass
class Place:
    gate: Sshd
    server: Sshd
    home: Path

    def config(self, text: str) -> None:
        (self.home / ".ssh" / "config").write_text(text)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    key = asyncssh.generate_private_key("ssh-ed25519", comment="oncall")
    home = tmp_path / "operator"
    (home / ".ssh").mkdir(parents=True)
    key.write_private_key(home / "id")
    key.write_public_key(home / "id.pub")
    (home / "id").chmod(0o600)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("COCKPIT_SSH__IDENTITY_FILES", json.dumps([str(home / "id")]))
    settings = tmp_path / "config.toml"
    settings.write_text(f'language = "en"\nstore = "{tmp_path}/cockpit.db"\n')
    monkeypatch.setenv("COCKPIT_CONFIG", str(settings))
    gate, server = Sshd.make(tmp_path / "gate", key), Sshd.make(tmp_path / "host", key)
    user = getpass.getuser()
    (tmp_path / "catalogue.yaml").write_text(f"""
version: 1
tenants:
  - name: acme
    workspaces:
      - name: prod
        regions: [{{name: cn-hangzhou}}]
        jump_hosts: [{{name: gate, address: 127.0.0.1, ssh_port: {gate.port}, ssh_user: {user}, host_key: "{gate.public_key}"}}]
        data_centres:
          - name: hz-a
            region: cn-hangzhou
            cells:
              - name: hz-a-1
                hosts:
                  - {{name: hz-01, address: 127.0.0.1, ssh_port: {server.port}, ssh_user: {user}, server_id: i-1,
                      jump_chain: [gate]}}
""")
    with gate.serving(), server.serving():
        assert run(["apply", str(tmp_path / "catalogue.yaml")]) == 0
        (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {server.public_key}\n")
        yield Place(gate, server, home)


def test_each_hop_is_told_and_tried(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.config("Host hz-01\n  ProxyJump elsewhere\n  IdentityFile ~/id\n")
    capsys.readouterr()
    assert run(["host", "ssh", "hz-01"]) == 0
    said = capsys.readouterr().out
    for words in (
        f"1  jump host gate  {getpass.getuser()}@127.0.0.1:{place.gate.port}",
        "host key of the catalogue",
        "2  host hz-01",
        "host key of known_hosts",
        f"{place.home}/.ssh/config:2  ProxyJump elsewhere  (ignored)",
        f"{place.home}/.ssh/config:3  IdentityFile ~/id  (ignored)",  # ssh.config is off
        "file  oncall  ssh-ed25519  SHA256:",
        "✓ gate",
        "✓ hz-01",
        "✓ sh",
    ):
        assert words in said, said


def test_the_configuration_counts_when_the_settings_say_so(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.home / ".ssh" / "known_hosts").rename(place.home / "elsewhere")
    (place.home / "elsewhere").write_text(f"hz-01.real {place.server.public_key}\n")
    call("cp", str(place.home / "id"), str(place.home / ".ssh" / "release"))
    place.config(
        "Host *\n  IdentityFile ~/.ssh/release\nHost hz-01\n  HostKeyAlias hz-01.real\n  UserKnownHostsFile ~/elsewhere\n"
    )
    monkeypatch.setenv("COCKPIT_SSH__IDENTITY_FILES", "[]")
    capsys.readouterr()
    assert run(["host", "ssh", "hz-01", "--json"]) == 1  # off: nobody vouches and no key is offered
    assert json.loads(capsys.readouterr().out)["reached"][0]["problem"]["code"] == "permission_denied"
    monkeypatch.setenv("COCKPIT_SSH__CONFIG", "true")
    assert run(["host", "ssh", "hz-01", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [hop["vouched_by"] for hop in told["hops"]] == ["catalogue", "known_hosts"]
    assert [option["honoured"] for option in told["hops"][1]["options"]] == [True, True, True]


def test_the_hop_that_fails_is_named(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.server.stop()
    capsys.readouterr()
    assert run(["host", "ssh", "hz-01"]) == 1
    said = capsys.readouterr().out
    assert "✓ gate" in said
    assert "✗ hz-01" in said
    assert "from jump host gate" in said


def test_a_certificate_is_told_with_its_end(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    home = place.home
    call("ssh-keygen", "-q", "-s", str(home / "id"), "-I", "me", "-V", "20200101:20400102", str(home / "id.pub"))
    capsys.readouterr()
    assert run(["host", "ssh", "hz-01", "--json"]) == 0
    keys = json.loads(capsys.readouterr().out)["keys"]
    assert [key["expires_at"][:7] for key in keys if key["expires_at"]] == ["2040-01"]
    assert len({key["fingerprint"] for key in keys}) == 1


def test_an_unknown_host_is_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["host", "ssh", "nowhere"]) == 2
    assert "no host nowhere" in capsys.readouterr().err
