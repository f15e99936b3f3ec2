"""Where the access key is found and in which order, that temporary ones are renewed in time, and that secrets never show."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from engine.cloud import role_providers
from engine.cloud.calls import proxies_for, split_endpoint
from engine.cloud.credentials import Credentials, CredentialsMissing, CredentialsSource, redact
from engine.cloud.role_providers import Keys, NoKeys, Places

ENVIRONMENT = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "env-id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "env-secret"}
NOWHERE = Places(metadata="")
SECRET = "s3cr3t/with+signs="


def ini(path: Path, access_key_id: str = "file-id", secret: str = "file-s%cret", more: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"[default]\ntype = access_key\naccess_key_id = {access_key_id}\naccess_key_secret = {secret}\n{more}"
    )
    return path


def config_json(home: Path, *profiles: dict[str, Any], current: str = "") -> Path:
    path = home / ".aliyun" / "config.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"current": current or profiles[0]["name"], "profiles": list(profiles)}))
    return path


def ak(name: str, access_key_id: str) -> dict[str, Any]:
    return {"name": name, "mode": "AK", "access_key_id": access_key_id, "access_key_secret": "s"}


def test_the_places_are_asked_in_the_order_of_the_vendors_tools_with_the_settings_file_second(tmp_path: Path) -> None:
    mine, home = ini(tmp_path / "mine", "mine-id"), tmp_path / "home"
    config_json(home, ak("default", "cli-id"))
    ini(home / ".alibabacloud" / "credentials.ini", "ini-id")
    ini(home / ".alibabacloud" / "credentials", "old-id")
    named = ini(tmp_path / "named", "named-id")
    environ = {"HOME": str(home)}

    def found(file: Path | None = None, **more: str) -> str:
        return CredentialsSource(file, environ={**environ, **more}, places=NOWHERE).find().access_key_id

    assert found(mine, **ENVIRONMENT) == "env-id"
    assert found(mine) == "mine-id"
    assert found() == "cli-id"
    assert found(ALIBABA_CLOUD_CLI_PROFILE_DISABLED="true") == "ini-id"
    assert found(ALIBABA_CLOUD_CREDENTIALS_FILE=str(named), ALIBABA_CLOUD_CLI_PROFILE_DISABLED="true") == "named-id"
    (home / ".aliyun" / "config.json").unlink()
    assert found() == "ini-id"
    (home / ".alibabacloud" / "credentials.ini").unlink()
    assert found() == "old-id"


def test_a_temporary_key_has_its_token(tmp_path: Path) -> None:
    path = tmp_path / "sts"
    path.write_text("[default]\ntype = sts\naccess_key_id = i\naccess_key_secret = s\nsecurity_token = tok\n")
    assert CredentialsSource(path, environ={}, places=NOWHERE).find().security_token == "tok"
    environ = {**ENVIRONMENT, "ALIBABA_CLOUD_SECURITY_TOKEN": "t2"}
    assert CredentialsSource(environ=environ, places=NOWHERE).find().security_token == "t2"
    config_json(
        tmp_path, {"name": "p", "mode": "StsToken", "access_key_id": "i", "access_key_secret": "s", "sts_token": "t3"}
    )
    assert CredentialsSource(environ={"HOME": str(tmp_path)}, places=NOWHERE).find().security_token == "t3"


def test_the_profile_is_the_named_one(tmp_path: Path) -> None:
    config_json(tmp_path, ak("one", "id-1"), ak("two", "id-2"), current="one")
    environ = {"HOME": str(tmp_path)}
    assert CredentialsSource(environ=environ, places=NOWHERE).find().source.endswith("config.json (profile one)")
    named = CredentialsSource(environ={**environ, "ALIBABA_CLOUD_PROFILE": "two"}, places=NOWHERE).find()
    assert named.access_key_id == "id-2"


def test_a_percent_and_a_hash_in_a_secret_are_part_of_it(tmp_path: Path) -> None:
    assert CredentialsSource(ini(tmp_path / "mine", secret="a%b#c"), environ={}).find().access_key_secret == "a%b#c"


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = ini(tmp_path / "mine", "first")
    source = CredentialsSource(path, environ={})
    assert source.find().access_key_id == "first"
    ini(path, "second-one")
    os.utime(path, (1, 1))
    assert source.find().access_key_id == "second-one"


def test_another_environment_that_is_lent_counts_at_once() -> None:
    environ: dict[str, str] = dict(ENVIRONMENT)
    source = CredentialsSource(environ=lambda: environ, places=NOWHERE)
    assert source.find().access_key_id == "env-id"
    environ = {**ENVIRONMENT, "ALIBABA_CLOUD_ACCESS_KEY_ID": "lent-id"}
    assert source.find().access_key_id == "lent-id"


AK_WITHOUT_SECRET = json.dumps({"current": "a", "profiles": [{"name": "a", "mode": "AK", "access_key_id": "i"}]})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("[default]\naccess_key_id = i\n", "access_key_secret is missing in [default]"),
        ("[other]\naccess_key_id = i\naccess_key_secret = s3cret\n", "no section [default]"),
        ("[default]\ntype = rsa_key_pair\n", "type rsa_key_pair is not supported"),
        ("access_key_secret = s3cret\n", "not an INI file"),
        ("[default]\naccess_key_secret\n", "not an INI file"),
        ("[default]\ntype = oidc_role_arn\nrole_arn = a\n", "oidc_provider_arn is missing"),
        (b"[default]\naccess_key_secret = \xff\xfe", "not UTF-8"),
    ],
)
def test_a_useless_file_is_named_with_the_reason_and_without_its_contents(
    tmp_path: Path, content: str | bytes, why: str
) -> None:
    (tmp_path / "mine").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CredentialsMissing) as missing:
        CredentialsSource(tmp_path / "mine", environ={}, default_file=tmp_path / "none", places=NOWHERE).find()
    assert why in str(missing.value)
    assert "s3cret" not in str(missing.value)
    assert "ALIBABA_CLOUD_ACCESS_KEY_ID is not set" in str(missing.value)
    assert "none (No such file or directory)" in str(missing.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "not JSON"),
        ("[]", "no profiles in it"),
        ('{"current": "a", "profiles": []}', "no profile 'a'"),
        (AK_WITHOUT_SECRET, "access_key_secret is missing in profile 'a'"),
        ('{"current": "a", "profiles": [{"name": "a", "mode": "Strange"}]}', "mode 'Strange' is not supported"),
        (
            '{"current": "a", "profiles": [{"name": "a", "mode": "ChainableRamRoleArn", "source_profile": "a"}]}',
            "too many",
        ),
    ],
)
def test_a_useless_config_json_is_named_with_the_reason(tmp_path: Path, content: str, why: str) -> None:
    path = tmp_path / ".aliyun" / "config.json"
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(CredentialsMissing) as missing:
        CredentialsSource(environ={"HOME": str(tmp_path)}, places=NOWHERE).find()
    assert f"{path} (" in str(missing.value)
    assert why in str(missing.value)


def test_a_folder_and_a_pipe_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("", "it is a folder"), ("pipe", "it is not a file")):
        with pytest.raises(CredentialsMissing) as missing:
            CredentialsSource(tmp_path / name, environ={}, default_file=tmp_path / "none", places=NOWHERE).find()
        assert why in str(missing.value)


@pytest.mark.parametrize("name", list(ENVIRONMENT))
def test_half_of_a_key_in_the_environment_is_said(tmp_path: Path, name: str) -> None:
    half = {**ENVIRONMENT, name: ""}
    with pytest.raises(CredentialsMissing) as missing:
        CredentialsSource(environ=half, default_file=tmp_path / "none", places=NOWHERE).find()
    assert f"only half is set: {name} is missing" in str(missing.value)


# ----------------------------------------------------------------------------------------------------------------- renewal


class Role:
    """A role whose keys last an hour, on a clock that the test moves. `broken`: it gives none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        self.now = 1_800_000_000.0
        self.asked = 0
        self.broken = False
        self.may_answer = threading.Event()
        self.may_answer.set()
        monkeypatch.setattr(role_providers, "get", self._get)
        path.write_text("[default]\ntype = ecs_ram_role\nrole_name = release\n")
        self.source = CredentialsSource(
            path, environ={"ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}, clock=lambda: self.now
        )

    def _get(self, recipe: object, places: Places) -> Keys:
        assert self.may_answer.wait(10)
        self.asked += 1
        if self.broken:
            raise NoKeys("it answers 503, AccessKeySecret=topsecret")
        return Keys(f"id-{self.asked}", "secret", "token", self.now + 3600, "release")

    def key(self) -> str:
        return self.source.find().access_key_id

    def becomes(self, key: str) -> bool:
        end = time.monotonic() + 10
        while self.key() != key:
            assert time.monotonic() < end
            time.sleep(0.01)
        return True


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Role:
    return Role(monkeypatch, tmp_path / "mine")


def test_temporary_keys_are_renewed_behind_a_quarter_of_an_hour_before_they_end(role: Role) -> None:
    assert [role.key() for _ in range(3)] == ["id-1"] * 3
    role.now += 44 * 60
    assert role.key() == "id-1"
    role.now += 2 * 60
    role.may_answer.clear()
    assert role.key() == "id-1"  # nobody waits while there is time
    role.may_answer.set()
    assert role.becomes("id-2")
    assert role.asked == 2


def test_in_the_last_minute_new_keys_are_waited_for(role: Role) -> None:
    assert role.key() == "id-1"
    role.now += 3600 - 30
    assert role.key() == "id-2"


def test_keys_that_cannot_be_renewed_are_used_until_they_end_and_then_said(
    role: Role, caplog: pytest.LogCaptureFixture
) -> None:
    assert role.key() == "id-1"
    role.broken = True
    role.now += 50 * 60
    assert role.key() == "id-1"
    role.now += 9 * 60 + 30
    with caplog.at_level(logging.WARNING):
        assert role.key() == "id-1"
    assert "could not be renewed" in caplog.text
    assert "topsecret" not in caplog.text
    role.now += 60
    with pytest.raises(CredentialsMissing) as missing:
        role.key()
    assert "it answers 503" in str(missing.value)
    assert "topsecret" not in str(missing.value)
    role.broken = False
    role.now += 60
    assert role.key().startswith("id-")


def test_a_place_that_gave_nothing_is_not_asked_for_each_call(role: Role) -> None:
    role.broken = True
    for _ in range(5):
        with pytest.raises(CredentialsMissing):
            role.key()
    assert role.asked == 1


def test_many_threads_ask_once(role: Role) -> None:
    threads = [threading.Thread(target=role.key) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert role.asked == 1


def test_which_source_is_used_is_said_once_and_can_be_asked(role: Role, caplog: pytest.LogCaptureFixture) -> None:
    assert role.source.using is None
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            role.key()
    assert caplog.text.count("cloud credentials: ") == 1
    using = role.source.using
    assert using is not None
    assert using.source.endswith("mine [default] release")
    assert using.since == role.now
    assert using.until == "2027-01-15T09:00+00:00"


# ----------------------------------------------------------------------------------------------------------------- secrets


def test_a_secret_shows_in_no_representation() -> None:
    shown = repr(Credentials("id", "s3cret", "t0ken", "environment"))
    assert "s3cret" not in shown
    assert "t0ken" not in shown
    assert "s3cret" not in repr(
        CredentialsSource(environ={**ENVIRONMENT, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "s3cret"}).find()
    )
    assert "s3cret" not in repr(Keys("id", "s3cret", "t0ken", None, ""))


@pytest.mark.parametrize(
    "text",
    [
        "Max retries exceeded with url: /?Action=Set&AccessKeyId=AKID&Signature=c2ln%3D&SecurityToken=the-token (Caused by X)",
        "GET https://b.oss/k?x-oss-credential=AKID%2F2026&x-oss-signature=c2ln%3D failed (Caused by X)",
        "StringToSign: GET\n\nAKID\nc2ln%3D",
        "Signature: c2ln%3D of AKID with the-token, " + SECRET,
        'result: {"AccessKeySecret": "c2ln", "SecurityToken":"the-token"} of AKID',
    ],
)
def test_redaction_takes_keys_and_signatures_out_of_the_sdks_texts(text: str) -> None:
    cleaned = redact(text, Credentials("AKID", SECRET, "the-token"))
    for secret in ("AKID", "c2ln", "the-token", SECRET):
        assert secret not in cleaned
    if "Caused by" in text:
        assert "(Caused by X)" in cleaned  # what broke is still said


def test_redaction_keeps_ordinary_messages_and_bounds_long_ones() -> None:
    assert redact("The specified key does not exist.") == "The specified key does not exist."
    assert len(redact("x" * 10_000)) == 500


def test_an_endpoint_is_https_unless_it_says_http() -> None:
    assert split_endpoint("slb.internal") == ("https", "slb.internal")
    assert split_endpoint("https://slb.internal/") == ("https", "slb.internal")
    assert split_endpoint("http://127.0.0.1:4002") == ("http", "127.0.0.1:4002")


def test_loopback_and_no_proxy_go_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "internal.example")
    assert proxies_for("https://slb.aliyuncs.com")["https"] == "http://proxy:3128"
    assert proxies_for("http://127.0.0.1:4002")["https"] == ""
    assert proxies_for("https://slb.internal.example")["https"] == ""
