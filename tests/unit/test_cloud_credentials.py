"""Where the access key is looked for, and that no text we make ever shows it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.cloud.calls import proxies_for, split_endpoint
from engine.cloud.credentials import Credentials, CredentialsMissing, CredentialsSource, redact

SECRET = "p%40ss/w0rd+secret="
ENVIRONMENT = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "env-id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET}


def ini(path: Path, access_key_id: str = "file-id", more: str = "") -> Path:
    path.write_text(
        f"[default]\ntype = access_key\naccess_key_id = {access_key_id}\naccess_key_secret = {SECRET}\n{more}"
    )
    return path


def test_the_environment_goes_before_the_settings_file_and_that_before_the_default_file(tmp_path: Path) -> None:
    mine, default = ini(tmp_path / "mine", "mine-id"), ini(tmp_path / "default", "default-id")
    assert CredentialsSource(mine, environ=ENVIRONMENT, default_file=default).find().access_key_id == "env-id"
    assert CredentialsSource(mine, environ={}, default_file=default).find().access_key_id == "mine-id"
    assert CredentialsSource(None, environ={}, default_file=default).find().access_key_id == "default-id"
    assert CredentialsSource(tmp_path / "gone", environ={}, default_file=default).find().access_key_id == "default-id"


def test_a_secret_with_a_percent_sign_is_read_as_it_is(tmp_path: Path) -> None:
    found = CredentialsSource(ini(tmp_path / "mine"), environ={}).find()
    assert found.access_key_secret == SECRET
    assert found.source == str(tmp_path / "mine")


def test_a_temporary_key_brings_its_token(tmp_path: Path) -> None:
    path = ini(tmp_path / "mine", more="security_token = tok\n")
    path.write_text(path.read_text().replace("access_key\n", "sts\n", 1))
    assert CredentialsSource(path, environ={}).find().security_token == "tok"
    assert (
        CredentialsSource(environ={**ENVIRONMENT, "ALIBABA_CLOUD_SECURITY_TOKEN": "t2"}).find().security_token == "t2"
    )


def test_a_renewed_file_is_read_again(tmp_path: Path) -> None:
    source = CredentialsSource(ini(tmp_path / "mine", "first"), environ={})
    assert source.find().access_key_id == "first"
    ini(tmp_path / "mine", "second-one")
    os.utime(tmp_path / "mine", ns=(1, 1))
    assert source.find().access_key_id == "second-one"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[default]\ntype = ram_role_arn\n", "type ram_role_arn is not supported"),
        (b"[default]\naccess_key_id = x\n", "access_key_secret is missing"),
        (b"[other]\naccess_key_id = x\n", "no section [default]"),
        (b"access_key_secret = " + SECRET.encode() + b"\n", "not an INI file"),
        (b"\xff\xfe", "not an INI file"),
    ],
)
def test_a_file_that_will_not_do_is_named_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "mine").write_bytes(content)
    with pytest.raises(CredentialsMissing) as caught:
        CredentialsSource(tmp_path / "mine", environ={}, default_file=tmp_path / "none").find()
    said = str(caught.value)
    assert reason in said
    assert str(tmp_path / "none") in said
    assert SECRET not in said


def test_half_an_environment_says_which_half_is_missing(tmp_path: Path) -> None:
    half = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "id"}
    with pytest.raises(CredentialsMissing, match="ALIBABA_CLOUD_ACCESS_KEY_SECRET is missing"):
        CredentialsSource(environ=half, default_file=tmp_path / "none").find()


def test_nothing_printed_of_credentials_shows_the_secret() -> None:
    credentials = Credentials("id", SECRET, "the-token")
    for text in (repr(credentials), str(credentials), f"{[credentials]}"):
        assert SECRET not in text
        assert "the-token" not in text


@pytest.mark.parametrize(
    "text",
    [
        "Max retries exceeded with url: /?Action=Set&AccessKeyId=AKID&Signature=c2ln%3D&SecurityToken=the-token (Caused by X)",
        "GET https://b.oss/k?x-oss-credential=AKID%2F2026&x-oss-signature=c2ln%3D failed (Caused by X)",
        "StringToSign: GET\n\nAKID\nc2ln%3D",
        "Signature: c2ln%3D of AKID with the-token, " + SECRET,
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
