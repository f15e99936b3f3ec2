"""Credentials from the cloud's own services on loopback: the machine's RAM role, assumed roles, OIDC, a profile's program."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cockpit.lab.oss import OssEndpoint
from cockpit.lab.oss_signature import AccessKey
from engine.cloud import machine_role
from engine.cloud.credentials import Credentials, CredentialsMissing, CredentialsSource
from engine.cloud.oss import OssPackages
from engine.cloud.role_providers import Places
from engine.domain.fleet import ObjectRef, Region
from tests.support.cloud_services import ROLE, Metadata, Sts, metadata_service, token_service

KEY = ("AKID", "ak-secret")


@dataclass
class Cloud:
    metadata: Metadata
    sts: Sts
    home: Path

    def source(self, **environ: str) -> CredentialsSource:
        places = Places(self.metadata.address, self.sts.address, self.sts.certificate)
        return CredentialsSource(environ={"HOME": str(self.home), **environ}, places=places)

    def profile(self, *profiles: dict[str, Any]) -> None:
        (self.home / ".aliyun").mkdir(exist_ok=True)
        config = {"current": profiles[0]["name"], "profiles": list(profiles)}
        (self.home / ".aliyun" / "config.json").write_text(json.dumps(config))


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with metadata_service(Metadata()) as metadata, token_service(Sts({KEY[0]: (KEY[1], "")}), tmp_path) as sts:
        yield Cloud(metadata, sts, tmp_path)


# ------------------------------------------------------------------------------------------------------- the machine's role


@pytest.mark.parametrize("tokens", [True, False])
def test_the_role_of_the_machine_is_found_without_a_word_about_it(cloud: Cloud, tokens: bool) -> None:
    cloud.metadata.tokens, cloud.metadata.needs_token = tokens, tokens
    found = cloud.source().find()
    assert (found.access_key_id, found.security_token) == ("STS.machine1", "machine-token")
    assert found.source == f"RAM role of this machine {ROLE}"
    assert found.expires_at is not None
    assert 3500 < found.expires_at - time.time() <= 3600


def test_a_role_that_is_named_is_not_looked_up(cloud: Cloud) -> None:
    cloud.source(ALIBABA_CLOUD_ECS_METADATA=ROLE).find()
    assert cloud.metadata.asked[-1].endswith(ROLE)
    assert len(cloud.metadata.asked) == 2  # the token, the keys


def test_a_proxy_of_the_environment_is_never_told_the_machines_keys(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        assert cloud.source().find().access_key_id == "STS.machine1"
        proxy.settimeout(0.1)
        with pytest.raises(TimeoutError):
            proxy.accept()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"role": ""}, "no such RAM role"),
        ({"answer": "<html>"}, "cannot be read"),
        ({"answer": '{"Code": "Failed", "AccessKeySecret": "s3cret"}'}, "says 'Failed'"),
        ({"needs_token": True, "tokens": False}, "answers 403"),
        ({"expires": "2020-01-01T00:00:00Z"}, "clock"),
    ],
)
def test_a_metadata_service_that_gives_no_keys_is_said_with_its_reason(
    cloud: Cloud, change: dict[str, Any], why: str
) -> None:
    for name, value in change.items():
        setattr(cloud.metadata, name, value)
    with pytest.raises(CredentialsMissing) as missing:
        cloud.source().find()
    assert why in str(missing.value)
    assert "s3cret" not in str(missing.value)


def test_asking_without_a_token_can_be_forbidden(cloud: Cloud) -> None:
    cloud.metadata.tokens = False
    with pytest.raises(CredentialsMissing) as missing:
        cloud.source(ALIBABA_CLOUD_IMDSV1_DISABLED="true").find()
    assert "gives no token" in str(missing.value)


def test_the_machine_is_not_asked_when_it_is_switched_off(cloud: Cloud) -> None:
    with pytest.raises(CredentialsMissing) as missing:
        cloud.source(ALIBABA_CLOUD_ECS_METADATA_DISABLED="true").find()
    assert "RAM role of this machine (switched off)" in str(missing.value)
    assert not cloud.metadata.asked


def test_off_the_cloud_it_fails_fast_and_once(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address where nobody takes the connection, as 100.100.100.200 outside: a listener whose queue is full."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        filling = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
            filling.append(filler)
        source = CredentialsSource(environ={}, places=Places(address))
        began = time.monotonic()
        for _ in range(5):
            with pytest.raises(CredentialsMissing) as missing:
                source.find()
        assert time.monotonic() - began < 3 * machine_role.CONNECT_S
        assert "this is no machine of the cloud" in str(missing.value)
        for filler in filling:
            filler.close()


def test_a_metadata_service_that_hangs_is_given_up(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_role, "ANSWER_S", 0.3)
    cloud.metadata.silent = True
    began = time.monotonic()
    with pytest.raises(CredentialsMissing):
        cloud.source().find()
    assert time.monotonic() - began < 2


# ------------------------------------------------------------------------------------------------------------- other roles


ROLE_ARN = "acs:ram::123:role/release"


def assumed(found: Credentials) -> None:
    assert found.access_key_id.startswith("STS.")
    assert (found.access_key_secret, found.security_token) == ("sts-secret", "sts-token")
    assert found.expires_at is not None


def test_a_role_is_assumed_with_the_keys_of_an_ini_file(cloud: Cloud) -> None:
    file = cloud.home / "named.ini"
    file.write_text(
        f"[prod]\ntype = ram_role_arn\naccess_key_id = {KEY[0]}\naccess_key_secret = {KEY[1]}\nrole_arn = {ROLE_ARN}\n"
    )
    found = cloud.source(ALIBABA_CLOUD_CREDENTIALS_FILE=str(file), ALIBABA_CLOUD_PROFILE="prod").find()
    assumed(found)
    assert found.source == f"{file} [prod]"
    assert cloud.sts.asked[-1]["RoleArn"] == ROLE_ARN


def test_a_role_is_assumed_by_a_profile_of_the_command_line(cloud: Cloud) -> None:
    cloud.profile(
        {
            "name": "prod",
            "mode": "RamRoleArn",
            "access_key_id": KEY[0],
            "access_key_secret": KEY[1],
            "ram_role_arn": ROLE_ARN,
            "ram_session_name": "night-shift",
            "expired_seconds": 1800,
        }
    )
    source = cloud.source()
    assumed(source.find())
    assert source.find().source.endswith("config.json (profile prod)")
    assert [asked["RoleSessionName"] for asked in cloud.sts.asked] == ["night-shift"]
    assert cloud.sts.asked[0]["DurationSeconds"] == "1800"


def test_a_role_may_be_assumed_with_the_keys_of_the_machines_role(cloud: Cloud) -> None:
    cloud.sts.keys["STS.machine1"] = ("machine-secret", "machine-token")
    cloud.profile(
        {"name": "prod", "mode": "ChainableRamRoleArn", "source_profile": "here", "ram_role_arn": ROLE_ARN},
        {"name": "here", "mode": "EcsRamRole", "ram_role_name": ROLE},
    )
    assumed(cloud.source().find())


@pytest.mark.parametrize("where", ["environment", "ini", "command line"])
def test_a_pods_token_gives_a_role(cloud: Cloud, where: str) -> None:
    token = cloud.home / "token"
    token.write_text(cloud.sts.oidc_token)
    provider, environ = "acs:ram::123:oidc-provider/k8s", {}
    if where == "environment":
        environ = {
            "ALIBABA_CLOUD_ROLE_ARN": ROLE_ARN,
            "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": provider,
            "ALIBABA_CLOUD_OIDC_TOKEN_FILE": str(token),
        }
    elif where == "ini":
        (cloud.home / ".alibabacloud").mkdir()
        (cloud.home / ".alibabacloud" / "credentials.ini").write_text(
            f"[default]\ntype = oidc_role_arn\nrole_arn = {ROLE_ARN}\noidc_provider_arn = {provider}\n"
            f"oidc_token_file_path = {token}\n"
        )
    else:
        profile = {
            "mode": "OIDC",
            "ram_role_arn": ROLE_ARN,
            "oidc_provider_arn": provider,
            "oidc_token_file": str(token),
        }
        cloud.profile({"name": "pod", **profile})
    assumed(cloud.source(**environ).find())
    assert cloud.sts.asked[-1]["OIDCProviderArn"] == provider


def test_a_program_that_a_profile_names_gives_keys(cloud: Cloud) -> None:
    answer = {"mode": "AK", "access_key_id": "from-program", "access_key_secret": "s"}
    (cloud.home / "answer.json").write_text(json.dumps(answer))
    cloud.profile({"name": "mine", "mode": "External", "process_command": f"cat {cloud.home}/answer.json"})
    found = cloud.source().find()
    assert found.access_key_id == "from-program"
    assert found.source.endswith("(profile mine)")


def test_a_refusal_of_the_token_service_is_said_without_a_secret_and_the_next_place_is_asked(
    cloud: Cloud, capfd: pytest.CaptureFixture[str]
) -> None:
    cloud.sts.refuse = "NoPermission"
    role = {"mode": "RamRoleArn", "access_key_id": KEY[0], "access_key_secret": KEY[1], "ram_role_arn": ROLE_ARN}
    cloud.profile({"name": "prod", **role})
    with pytest.raises(CredentialsMissing) as missing:
        cloud.source(ALIBABA_CLOUD_ECS_METADATA_DISABLED="true").find()
    assert "NoPermission" in str(missing.value)
    assert KEY[1] not in str(missing.value)
    assert cloud.source().find().access_key_id == "STS.machine1"
    said = capfd.readouterr()
    assert not said.out  # the library logs to standard error by itself; it is kept silent
    assert not said.err


async def test_the_machines_role_signs_and_is_renewed_while_an_order_runs(cloud: Cloud, tmp_path: Path) -> None:
    """OSS by the real SDK: keys that are about to end are replaced before the next call, which succeeds with the new ones."""
    first, second = (AccessKey(f"STS.machine{n}", "machine-secret", "machine-token") for n in (1, 2))
    endpoint = OssEndpoint(tmp_path / "oss", keys=(first, second), region="cn-hangzhou")
    await endpoint.start()
    try:
        endpoint.put_local("lab", "k.tgz", b"x" * 10)
        cloud.metadata.expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 59))
        now = [time.time()]
        source = CredentialsSource(environ={}, places=Places(cloud.metadata.address), clock=lambda: now[0])
        packages = OssPackages([Region("cn-hangzhou", oss_endpoint=endpoint.url)], source)
        ref = ObjectRef("cn-hangzhou", "lab", "k.tgz")
        assert (await packages.head(ref)).size == 10
        endpoint.keys.pop("STS.machine1")
        cloud.metadata.expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 7200))
        now[0] += 31
        assert (await packages.head(ref)).size == 10
        assert source.find().access_key_id == "STS.machine2"
    finally:
        await endpoint.stop()
