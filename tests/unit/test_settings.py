"""Settings by situation: which of the sources wins, and what an operator reads when one of them is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cockpit.settings import SettingsError, load_settings, store_url


@pytest.fixture(autouse=True)
def user_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's configuration of our own; nothing of the machine's is seen."""
    for name in (
        "COCKPIT_STORE",
        "COCKPIT_THEME",
        "COCKPIT_SSH__AGENT",
        "LC_ALL",
        "LC_MESSAGES",
        "LANG",
    ):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "user" / "config.toml"
    file.parent.mkdir()
    file.write_text("")
    monkeypatch.setenv("COCKPIT_CONFIG", str(file))
    return file


def beside(store: Path, text: str) -> str:
    store.parent.mkdir(parents=True, exist_ok=True)
    (store.parent / "config.toml").write_text(text)
    (store.parent / "config.toml").chmod(0o600)
    return f"sqlite:///{store}"


def refused(store: str | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(store)
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_the_environment_goes_before_the_stores_file_and_that_before_the_users(
    tmp_path: Path, user_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = beside(tmp_path / "lab" / "cockpit.db", 'theme = "beside"\nworkspace = "prod"\n')
    user_config.write_text('theme = "user"\nworkspace = "dev"\ntenant = "acme"\n')
    monkeypatch.setenv("COCKPIT_THEME", "environment")
    settings = load_settings(url)
    assert (settings.theme, settings.workspace, settings.tenant) == ("environment", "prod", "acme")


def test_the_store_named_on_the_command_line_goes_before_every_other(
    tmp_path: Path, user_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_config.write_text('store = "user.db"\n')
    assert load_settings().store == f"sqlite:///{user_config.parent}/user.db"
    monkeypatch.setenv("COCKPIT_STORE", f"sqlite:///{tmp_path}/environment.db")
    assert load_settings().store == f"sqlite:///{tmp_path}/environment.db"
    assert load_settings(str(tmp_path / "named.db")).store == f"sqlite:///{tmp_path}/named.db"


def test_settings_of_ssh_are_merged_key_by_key(
    tmp_path: Path, user_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = beside(tmp_path / "lab" / "cockpit.db", '[ssh]\nidentity_files = ["keys/id"]\nconnect_timeout_s = 3\n')
    user_config.write_text("[ssh]\nconnect_timeout_s = 7\nlogin_timeout_s = 9\n")
    monkeypatch.setenv("COCKPIT_SSH__AGENT", "false")
    ssh = load_settings(url).ssh
    assert ssh.identity_files == (tmp_path / "lab" / "keys" / "id",)
    assert (ssh.agent, ssh.connect_timeout_s, ssh.login_timeout_s) == (False, 3, 9)


def test_logs_lie_beside_an_sqlite_store_and_in_the_data_folder_otherwise(tmp_path: Path) -> None:
    assert load_settings(str(tmp_path / "s" / "cockpit.db")).log_dir == tmp_path / "s" / "logs"
    shared = load_settings("postgresql://db/cockpit")
    assert shared.store == "postgresql://db/cockpit"
    assert shared.log_dir == shared.data_dir / "logs"
    assert shared.folder == shared.data_dir


KNOWN_HOSTS = '[ssh]\nknown_hosts = "/evil/known_hosts"\n'


@pytest.mark.parametrize("mode", [0o666, 0o620, 0o602])
def test_a_file_beside_the_store_that_others_can_write_is_not_obeyed_and_named(tmp_path: Path, mode: int) -> None:
    url = beside(tmp_path / "s" / "cockpit.db", KNOWN_HOSTS)
    file = tmp_path / "s" / "config.toml"
    file.chmod(mode)
    settings = load_settings(url)
    assert settings.ssh.known_hosts is None
    assert settings.ignored is not None
    assert str(settings.ignored.what) == f"The settings in {file} are ignored: others can write them."
    file.chmod(0o644)
    assert load_settings(url).ssh.known_hosts == Path("/evil/known_hosts")
    assert load_settings(url).ignored is None


def test_a_file_beside_the_store_of_somebody_else_is_not_obeyed_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = beside(tmp_path / "s" / "cockpit.db", "this is no TOML, and nobody looks")
    own = os.geteuid()
    if own == 0:
        os.chown(tmp_path / "s" / "config.toml", 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    ignored = load_settings(url).ignored
    assert ignored is not None
    assert "ignored: they belong to " in str(ignored.what)


def test_a_link_beside_the_store_counts_by_its_target_as_well(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere.toml"
    target.write_text(KNOWN_HOSTS)
    target.chmod(0o666)
    (tmp_path / "config.toml").symlink_to(target)
    assert load_settings(str(tmp_path / "cockpit.db")).ignored is not None
    target.chmod(0o600)
    assert load_settings(str(tmp_path / "cockpit.db")).ignored is None


def test_an_unknown_key_is_named_with_its_file(tmp_path: Path, user_config: Path) -> None:
    url = beside(tmp_path / "lab" / "cockpit.db", "[ssh]\nidentity_file = 'x'\n")
    said = refused(url)
    assert f"ssh.identity_file in {tmp_path}/lab/config.toml: there is no such setting" in said
    user_config.write_text("colour = 'red'\n")
    assert f"colour in {user_config}: there is no such setting" in refused(url)


def test_a_value_that_does_not_fit_is_named_with_where_it_came_from(
    tmp_path: Path, user_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_config.write_text("engine_idle_s = 0\n")
    assert f"engine_idle_s in {user_config}" in refused()
    user_config.write_text("")
    monkeypatch.setenv("COCKPIT_SSH__AGENT", "perhaps")
    assert "ssh.agent in the environment" in refused()


def test_a_file_that_is_no_toml_is_named_with_the_line(user_config: Path) -> None:
    user_config.write_text("a = 1\nb = = 2\n")
    said = refused()
    assert str(user_config) in said
    assert "line 2" in said


def test_a_configuration_file_that_was_named_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COCKPIT_CONFIG", str(tmp_path / "nowhere.toml"))
    assert "nowhere.toml" in refused()


@pytest.mark.parametrize("store", ["mysql://db/cockpit", "sqlite://", "sqlite:///"])
def test_a_store_of_another_kind_is_refused(store: str) -> None:
    with pytest.raises(SettingsError):
        store_url(store)


@pytest.mark.parametrize(("locale", "language"), [("zh_CN.UTF-8", "zh_CN"), ("C.UTF-8", "en"), ("", "en")])
def test_the_language_is_the_terminals(locale: str, language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", locale)
    assert load_settings().language == language


def test_an_engine_started_with_the_settings_as_environment_reads_the_same_ones(
    tmp_path: Path, user_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_config.write_text(
        'ascii = true\nengine_idle_s = 7\ncredentials_file = "keys.ini"\n'
        '[ssh]\nidentity_files = ["a", "b c"]\nagent = false\nknown_hosts = "known"\n'
    )
    settings = load_settings(str(tmp_path / "cockpit.db"))
    user_config.write_text("")
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


@pytest.mark.parametrize(
    ("variable", "value", "key"),
    [
        ("COCKPIT_ENGINE_IDLE_S", "soon", "engine_idle_s"),
        ("COCKPIT_ASCII", "maybe", "ascii"),
        ("COCKPIT_LANGUAGE", "fr", "language"),
        ("COCKPIT_SSH__IDENTITY_FILES", "not json", "ssh.identity_files"),
        ("COCKPIT_SSH__IDENTITY_FILES", "[1]", "ssh.identity_files"),
        ("COCKPIT_SSH__IDENTITY_FILE", "x", "ssh.identity_file"),
        ("COCKPIT_SSH", "[]", "COCKPIT_SSH"),
    ],
)
def test_a_variable_that_does_not_fit_is_named(
    variable: str, value: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert key in refused()


def test_a_group_given_as_json_is_overruled_key_by_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COCKPIT_SSH", '{"agent": false, "connect_timeout_s": 3}')
    monkeypatch.setenv("COCKPIT_SSH__CONNECT_TIMEOUT_S", "4")
    ssh = load_settings().ssh
    assert (ssh.agent, ssh.connect_timeout_s) == (False, 4)
