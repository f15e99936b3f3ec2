# ruff: noqa: RUF009 - `setting` makes a dataclass field, as `field` does
"""What an operator can set, where it comes from and what it means: one place that the app, the command line and the engine read.

Precedence, highest first: an option of the command line, `COCKPIT_*` in the environment, `config.toml` beside an SQLite
store's file, the user's `config.toml`, the defaults below. A path in a file is relative to that file's folder. Secrets are
never settings: a setting may only name the file that holds one. Nothing is written here and no store is opened.
"""

from __future__ import annotations

import json
import os
import pwd
import stat
import sys
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import platformdirs

from cockpit import setting_kinds as kinds
from cockpit.setting_kinds import Wrong, is_setting, read, setting
from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError
from engine.store.addresses import SQLITE, Kind, kind_of, scheme_of

CONFIG_FILE = "config.toml"
PREFIX = "COCKPIT_"
NEVER_SET: Mapping[tuple[str, ...], str] = {
    ("operator",): "who acts is the operating system's user, never a setting: remove this line"
}


class SettingsError(ProblemError):
    """A setting that can't be used: codes `settings_unreadable`, `settings_invalid`; the problem names the file and the key."""


@dataclass(frozen=True, slots=True)
class SshSettings:
    """How hosts and jump hosts are reached."""

    identity_files: tuple[Path, ...] = setting(
        kinds.paths, "Private keys to offer, in this order; empty: ~/.ssh/id_*.", ()
    )
    agent: bool = setting(kinds.yes_or_no, "Offer the keys of the SSH agent ($SSH_AUTH_SOCK) as well.", True)
    known_hosts: Path | None = setting(
        kinds.path_or_none, "Host keys that are trusted; none: ~/.ssh/known_hosts.", None
    )
    connect_timeout_s: float = setting(kinds.positive, "Longest wait for a TCP connection, per hop.", 10.0)
    login_timeout_s: float = setting(kinds.positive, "Longest wait for the handshake and the login, per hop.", 20.0)
    config: bool = setting(
        kinds.yes_or_no,
        "Honour IdentityFile, IdentitiesOnly, IdentityAgent, HostKeyAlias and UserKnownHostsFile of ~/.ssh/config.",
        False,
    )
    kex: tuple[str, ...] = setting(
        kinds.names, "Key exchanges to offer, the preferred first; empty: all that are safe, the fast ones first.", ()
    )
    ciphers: tuple[str, ...] = setting(kinds.names, "Ciphers to offer; likewise.", ())
    macs: tuple[str, ...] = setting(kinds.names, "MACs to offer; likewise.", ())
    host_key_algorithms: tuple[str, ...] = setting(
        kinds.names, "Kinds of host keys to ask for; empty: those that are recorded for the host.", ()
    )
    ask_at: str = setting(
        kinds.one_of("jump_hosts", "all", "nowhere"),
        "Where a server's question (a one-time password) is put to the operators.",
        "jump_hosts",
    )
    ask_deadline_s: float = setting(kinds.positive, "Longest wait for the answer to such a question.", 300.0)


@dataclass(frozen=True)
class Settings:
    """The settings of one run, resolved: every path absolute, every default filled in."""

    store: str = setting(
        kinds.text, "Where everything is kept: sqlite:///FILE or postgresql://USER@HOST/DATABASE, in any form of libpq."
    )
    data_dir: Path = setting(kinds.path, "The folder for the default store, and for logs when the store is not a file.")
    log_dir: Path = setting(
        kinds.path, "The hosts' logs, one file per order, host and attempt; default: logs/ beside the store."
    )
    language: str = setting(
        kinds.one_of("en", "zh_CN"), "en or zh_CN; default: what $LC_ALL, $LC_MESSAGES or $LANG asks for."
    )
    tenant: str = setting(kinds.text, "The tenant that the screens and the command line use.", "")
    workspace: str = setting(kinds.text, "The workspace that the screens and the command line use.", "")
    log_keep_days: int = setting(kinds.days, "The engine deletes logs of orders that ended longer ago; 0: never.", 90)
    theme: str = setting(kinds.text, "The screens' palette; empty: chosen for the terminal.", "")
    ascii: bool = setting(kinds.yes_or_no, "Draw with ASCII only; default: where the locale has no box drawing.", False)
    bell: bool = setting(
        kinds.yes_or_no,
        "Ring the terminal's bell when the order on the screen comes to wait for a person, fails or ends.",
        True,
    )
    engine_idle_s: float = setting(
        kinds.positive, "An embedded engine ends by itself after being idle for this long.", 600.0
    )
    engine_start_s: float = setting(kinds.positive, "Longest wait for an embedded engine to come up.", 20.0)
    balancer_outage_s: float = setting(
        kinds.seconds(3600),
        "A balancer whose API is away is waited for this long before an order halts; 0: not at all.",
        120.0,
    )
    credentials_file: Path | None = setting(
        kinds.path_or_none,
        "A file with cloud credentials, in the INI form of the Alibaba Cloud SDKs.",
        None,
    )
    ssh: SshSettings = setting(kinds.group(SshSettings), "How hosts and jump hosts are reached.", SshSettings())

    # No setting: a file beside the store that was left alone, and why.
    ignored: Problem | None = field(default=None, compare=False)

    @property
    def folder(self) -> Path:
        """Where this store's own files lie (engine log, command line log): beside an SQLite file, else the data folder."""
        file = store_file(self.store)
        return file.parent if file else self.data_dir

    @property
    def engine_log(self) -> Path:
        """Output of the engine that the cockpit starts by itself."""
        return self.folder / "engine.log"

    def as_environment(self) -> dict[str, str]:
        """`COCKPIT_*` variables from which `load_settings` makes exactly these settings."""
        given = {name: getattr(self, name) for name in _KEYS if name != "ssh"}
        ssh = {each.name: getattr(self.ssh, each.name) for each in fields(self.ssh)}
        plain = {f"{PREFIX}{key.upper()}": value for key, value in given.items()}
        nested = {f"{PREFIX}SSH__{key.upper()}": value for key, value in ssh.items()}
        return {name: _as_text(value) for name, value in {**plain, **nested}.items() if value is not None}


@dataclass(frozen=True, slots=True)
class _Source:
    """Values of one place, `name` as an operator would look for it."""

    name: str
    values: Mapping[str, Any]


def load_settings(store: str | None = None) -> Settings:
    """The settings for `store` (an SQLAlchemy URL or the path of an SQLite file; None: the one that is set, else the default).

    Raises SettingsError in one line: which file or variable, which key, what is wrong with it.
    """
    environment = _environment()
    user = _file(user_config_file(), required="COCKPIT_CONFIG" in os.environ)
    data_dir = Path(_first("data_dir", environment, user) or platformdirs.user_data_dir("cockpit"))
    chosen = store or _first("store", environment, user) or str(data_dir / "cockpit.db")
    url = store_url(str(chosen))
    file = store_file(url)
    beside = file.parent / CONFIG_FILE if file else None
    ignored = _not_obeyed(beside) if beside else None
    sources = [environment, *([_file(beside)] if beside and ignored is None else []), user]
    values = _merge([_Source("--store", {"store": url}), *sources, _defaults(url, data_dir)])
    settings, wrong = read(Settings, values)
    if settings is None:
        raise _invalid(wrong, sources)
    return replace(_absolute(settings), ignored=ignored)


def user_config_file() -> Path:
    """The user's own file: `$COCKPIT_CONFIG`, else `config.toml` in the user's configuration folder."""
    named = os.environ.get("COCKPIT_CONFIG")
    return Path(named).expanduser().absolute() if named else Path(platformdirs.user_config_dir("cockpit")) / CONFIG_FILE


def store_url(store: str) -> str:
    """The address as the store takes it: an SQLite path made absolute, with its scheme; PostgreSQL's as it is, in any form of
    libpq; anything without a scheme is the path of an SQLite file. Raises SettingsError for any other kind of store."""
    kind = kind_of(store)
    if kind is Kind.POSTGRESQL:
        return store
    if kind is Kind.SQLITE and store != SQLITE:
        return SQLITE + str(Path(store.removeprefix(SQLITE)).expanduser().absolute())
    if kind is Kind.PATH:
        return SQLITE + str(Path(store).expanduser().absolute())
    raise SettingsError(
        Problem(
            "settings_invalid",
            message("A store of kind {scheme} can't be used.", scheme=scheme_of(store) or "?"),
            message("Name the path of an SQLite file, or postgresql://USER@HOST/DATABASE."),
        )
    )


def store_file(url: str) -> Path | None:
    """The SQLite file of a store's address, None for a database server."""
    return Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None


def _defaults(url: str, data_dir: Path) -> _Source:
    file = store_file(url)
    logs = (file.parent if file else data_dir) / "logs"
    of_here = {"language": _language_of_the_terminal(), "ascii": not _terminal_draws()}
    return _Source("", {"data_dir": data_dir, "log_dir": logs, **of_here})


def _terminal_draws() -> bool:
    """Whether the encoding that the screens write in has box drawing and marks."""
    try:
        "╭─│●✓▁".encode(getattr(sys.__stderr__, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _language_of_the_terminal() -> str:
    """The first of the usual variables that says anything decides, as for every other program."""
    said = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    return "zh_CN" if said.startswith("zh") else "en"


def _environment() -> _Source:
    """What is set for known keys, `COCKPIT_SSH__…` below `ssh`; a variable that is empty counts as given."""
    given = {name.upper().removeprefix(PREFIX): value for name, value in os.environ.items() if _is_ours(name)}
    values: dict[str, Any] = {key: given[key.upper()] for key in _KEYS if key.upper() in given}
    nested = {name[5:].lower(): value for name, value in given.items() if name.startswith("SSH__")}
    if nested:
        values["ssh"] = {**_group(values.get("ssh", "{}")), **nested}
    elif "ssh" in values:
        values["ssh"] = _group(values["ssh"])
    return _Source("the environment", values)


def _is_ours(name: str) -> bool:
    return name.upper().startswith(PREFIX)


def _group(value: str) -> dict[str, Any]:
    try:
        found = json.loads(value)
    except ValueError as error:
        found = error
    if isinstance(found, dict):
        return found
    raise SettingsError(
        Problem(
            "settings_unreadable",
            message("A COCKPIT_ variable in the environment can't be read: {error}.", error=f"COCKPIT_SSH: {found}"),
            message("Lists and groups of settings are written as JSON there."),
        )
    )


def _as_text(value: Any) -> str:
    if isinstance(value, tuple):
        return json.dumps([str(each) for each in value])
    return str(value)


def _file(path: Path, *, required: bool = False) -> _Source:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if not required:
            return _Source(str(path), {})
        raise _unreadable(path, "it does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, getattr(error, "strerror", None) or "it is not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(path, str(error)) from error
    return _Source(str(path), _based_on(path.parent, values))


def _not_obeyed(path: Path) -> Problem | None:
    """Why a settings file in the store's folder, which others may be able to write to, is left alone: it can name known hosts and
    credentials. It counts when it is this user's or the administrator's, and nobody else can write it."""
    facts = []
    for look in (path.lstat, path.stat):  # a link's owner decides as well as the file's
        with suppress(OSError):
            facts.append(look())
    foreign = next((each.st_uid for each in facts if each.st_uid not in (0, os.geteuid())), None)
    if foreign is not None:
        what = message(
            "The settings in {file} are ignored: they belong to {owner}.", file=str(path), owner=_account(foreign)
        )
    elif any(each.st_mode & 0o022 and not stat.S_ISLNK(each.st_mode) for each in facts):
        what = message("The settings in {file} are ignored: others can write them.", file=str(path))
    else:
        return None
    return Problem(
        "settings_not_obeyed",
        what,
        message(
            "If you want them, make the file yours and writable by you alone (chown, chmod go-w); otherwise remove it."
        ),
    )


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _unreadable(path: Path, why: str) -> SettingsError:
    return SettingsError(
        Problem(
            "settings_unreadable",
            message("The settings in {file} can't be read: {why}.", file=str(path), why=why),
            message("Correct the file, or name another one with COCKPIT_CONFIG."),
        )
    )


def _based_on(folder: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """The file's values with their paths made absolute."""
    ssh = values.get("ssh")
    based = {key: _path(folder, value) if key in _PATHS else value for key, value in values.items()}
    if isinstance(ssh, dict):
        based["ssh"] = {key: _path(folder, value) if key in _SSH_PATHS else value for key, value in ssh.items()}
    if isinstance(values.get("store"), str) and kind_of(values["store"]) is Kind.PATH:
        based["store"] = str(_path(folder, values["store"]))
    return based


_PATHS = ("data_dir", "log_dir", "credentials_file")
_SSH_PATHS = ("identity_files", "known_hosts")


def _path(folder: Path, value: Any) -> Any:
    if isinstance(value, list):
        return [_path(folder, each) for each in value]
    return str(folder / Path(value).expanduser()) if isinstance(value, str) else value


def _absolute(settings: Settings) -> Settings:
    """Whatever was given relative to the current folder (in the environment) named absolutely: the engine runs in another one."""
    ssh = replace(
        settings.ssh,
        identity_files=tuple(path.expanduser().absolute() for path in settings.ssh.identity_files),
        known_hosts=settings.ssh.known_hosts and settings.ssh.known_hosts.expanduser().absolute(),
    )
    return replace(
        settings,
        data_dir=settings.data_dir.expanduser().absolute(),
        log_dir=settings.log_dir.expanduser().absolute(),
        credentials_file=settings.credentials_file and settings.credentials_file.expanduser().absolute(),
        ssh=ssh,
    )


def _first(key: str, *sources: _Source) -> Any:
    return next((source.values[key] for source in sources if source.values.get(key)), None)


def _merge(sources: list[_Source]) -> dict[str, Any]:
    """Highest first; `ssh` is merged key by key."""
    merged: dict[str, Any] = {}
    for source in reversed(sources):
        for key, value in source.values.items():
            both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
            merged[key] = {**merged[key], **value} if both else value
    return merged


def _invalid(wrong: list[Wrong], sources: list[_Source]) -> SettingsError:
    """All wrong keys in one line, each with the place it came from."""
    said = "; ".join(dict.fromkeys(_wrong(each, sources) for each in wrong))
    return SettingsError(
        Problem(
            "settings_invalid",
            message("Settings that can't be used: {wrong}.", wrong=said),
            message("Correct or remove them; the settings are listed in docs/settings.md."),
        )
    )


def _wrong(wrong: Wrong, sources: list[_Source]) -> str:
    where = next((source.name for source in sources if _holds(source.values, wrong.path)), "the command line")
    why = NEVER_SET.get(wrong.path, wrong.why)
    return f"{'.'.join(wrong.path)} in {where}: {why}"


def _holds(values: Any, path: tuple[str, ...]) -> bool:
    for part in path:
        if not isinstance(values, Mapping) or part not in values:
            return False
        values = values[part]
    return True


_KEYS = tuple(each.name for each in fields(Settings) if is_setting(each))
