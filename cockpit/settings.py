"""What an operator can set, where it comes from and what it means: one place that the app, the command line and the engine read.

Precedence, highest first: an option of the command line, `COCKPIT_*` in the environment, `config.toml` beside an SQLite
store's file, the user's `config.toml`, the defaults below. A path in a file is relative to that file's folder. Secrets are
never settings: a setting may only name the file that holds one. Nothing is written here and no store is opened.
"""

from __future__ import annotations

import getpass
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as EnvironmentUnreadable

from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError

CONFIG_FILE = "config.toml"
SQLITE_PREFIX = "sqlite:///"


class SettingsError(ProblemError):
    """A setting that can't be used: codes `settings_unreadable`, `settings_invalid`; the problem names the file and the key."""


class SshSettings(BaseModel):
    """How hosts and jump hosts are reached."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    identity_files: tuple[Path, ...] = Field(
        default=(), description="Private keys to offer, in this order; empty: ~/.ssh/id_*."
    )
    agent: bool = Field(default=True, description="Offer the keys of the SSH agent ($SSH_AUTH_SOCK) as well.")
    known_hosts: Path | None = Field(default=None, description="Host keys that are trusted; none: ~/.ssh/known_hosts.")
    connect_timeout_s: float = Field(default=10.0, gt=0, description="Longest wait for a TCP connection, each hop.")
    login_timeout_s: float = Field(
        default=20.0, gt=0, description="Longest wait for the handshake and the login, each hop."
    )
    config: bool = Field(
        default=False, description="Honour IdentityFile, HostKeyAlias and UserKnownHostsFile of ~/.ssh/config."
    )
    ask_at: Literal["jump_hosts", "all", "nowhere"] = Field(
        default="jump_hosts", description="Where a server's question (a one-time password) is put to the operators."
    )
    ask_deadline_s: float = Field(default=300.0, gt=0, description="Longest wait for the answer to such a question.")


class Settings(BaseSettings):
    """The settings of one run, resolved: every path absolute, every default filled in."""

    model_config = SettingsConfigDict(env_prefix="COCKPIT_", env_nested_delimiter="__", extra="forbid", frozen=True)

    store: str = Field(
        description="Where everything is kept: sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE."
    )
    data_dir: Path = Field(description="The folder for the default store, and for logs when the store is not a file.")
    log_dir: Path = Field(
        description="The hosts' logs, one file an order, host and attempt; default: logs/ beside the store."
    )
    log_keep_days: int = Field(
        default=90, ge=0, description="The engine clears logs of orders that ended longer ago; 0: never."
    )
    operator: str = Field(
        min_length=1, description="Who acts: the name in orders and in the audit; default: the login name."
    )
    tenant: str = Field(default="", description="The tenant the app opens on and the command line asks about.")
    workspace: str = Field(default="", description="The workspace the app opens on and the command line asks about.")
    language: Literal["en", "zh_CN"] = Field(
        description="en or zh_CN; default: what $LC_ALL, $LC_MESSAGES or $LANG asks for."
    )
    theme: str = Field(default="", description="The screens' palette; empty: chosen for the terminal.")
    ascii: bool = Field(default=False, description="Draw with ASCII only, for terminals and fonts without box drawing.")
    engine_idle_s: float = Field(
        600.0, gt=0, description="An embedded engine ends by itself after so long with nothing to do."
    )
    engine_start_s: float = Field(default=20.0, gt=0, description="Longest wait for an embedded engine to come up.")
    credentials_file: Path | None = Field(
        default=None,
        description="Cloud credentials in the INI form of the Alibaba Cloud SDKs; none: ~/.alibabacloud/credentials.",
    )
    ssh: SshSettings = Field(default=SshSettings(), description="How hosts and jump hosts are reached.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """`load_settings` merges the sources itself, so that an error can name the file a value came from."""
        return (init_settings,)

    @property
    def folder(self) -> Path:
        """Where this store's own files lie (engine log, command line log): beside an SQLite file, else the data folder."""
        file = store_file(self.store)
        return file.parent if file else self.data_dir

    @property
    def engine_log(self) -> Path:
        """Output of the engine that the cockpit starts by itself."""
        return self.folder / "engine.log"


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
    beside = store_file(url)
    sources = [environment, *([_file(beside.parent / CONFIG_FILE)] if beside else []), user]
    values = _merge([_Source("--store", {"store": url}), *sources, _defaults(url, data_dir)])
    try:
        return _absolute(Settings(**values))
    except ValidationError as error:
        raise _invalid(error, sources) from error


def user_config_file() -> Path:
    """The user's own file: `$COCKPIT_CONFIG`, else `config.toml` in the user's configuration folder."""
    named = os.environ.get("COCKPIT_CONFIG")
    return Path(named).expanduser().absolute() if named else Path(platformdirs.user_config_dir("cockpit")) / CONFIG_FILE


def store_url(store: str) -> str:
    """The SQLAlchemy URL of a store: an SQLite path made absolute, psycopg named for PostgreSQL; anything without a scheme is
    the path of an SQLite file. Raises SettingsError for any other kind of store."""
    scheme, found, rest = store.partition("://")
    if not found:
        return SQLITE_PREFIX + str(Path(store).expanduser().absolute())
    if scheme == "sqlite" and rest.startswith("/") and rest != "/":
        return SQLITE_PREFIX + str(Path(rest[1:]).expanduser().absolute())
    if scheme in ("postgresql", "postgresql+psycopg"):
        return f"postgresql+psycopg://{rest}"
    raise SettingsError(
        Problem(
            "settings_invalid",
            message("A store of kind {scheme} can't be used.", scheme=f"{scheme}://"),
            message("Name the path of an SQLite file, or postgresql://USER@HOST/DATABASE."),
        )
    )


def store_file(url: str) -> Path | None:
    """The SQLite file of a store's URL, None for a database server."""
    return Path(url.removeprefix(SQLITE_PREFIX)) if url.startswith(SQLITE_PREFIX) else None


def _defaults(url: str, data_dir: Path) -> _Source:
    file = store_file(url)
    logs = (file.parent if file else data_dir) / "logs"
    return _Source(
        "", {"data_dir": data_dir, "log_dir": logs, "operator": _login_name(), "language": _language_of_the_terminal()}
    )


def _language_of_the_terminal() -> str:
    """The first of the usual variables that says anything decides, as for every other program."""
    said = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    return "zh_CN" if said.startswith("zh") else "en"


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user in a container: KeyError before Python 3.13, OSError since
        return f"uid-{os.getuid()}"


def _environment() -> _Source:
    try:
        return _Source("the environment", EnvSettingsSource(Settings)())
    except EnvironmentUnreadable as error:
        raise SettingsError(
            Problem(
                "settings_unreadable",
                message("A COCKPIT_ variable in the environment can't be read: {error}.", error=str(error)),
                message("Lists and groups of settings are written as JSON there."),
            )
        ) from error


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
    if isinstance(values.get("store"), str) and "://" not in values["store"]:
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
    ssh = settings.ssh.model_copy(
        update={
            "identity_files": tuple(path.expanduser().absolute() for path in settings.ssh.identity_files),
            "known_hosts": settings.ssh.known_hosts and settings.ssh.known_hosts.expanduser().absolute(),
        }
    )
    return settings.model_copy(
        update={
            "data_dir": settings.data_dir.expanduser().absolute(),
            "log_dir": settings.log_dir.expanduser().absolute(),
            "credentials_file": settings.credentials_file and settings.credentials_file.expanduser().absolute(),
            "ssh": ssh,
        }
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


def _invalid(error: ValidationError, sources: list[_Source]) -> SettingsError:
    """All wrong keys in one line, each with the place it came from."""
    wrong = "; ".join(dict.fromkeys(_wrong(error, sources)))
    return SettingsError(
        Problem(
            "settings_invalid",
            message("Settings that can't be used: {wrong}.", wrong=wrong),
            message("Correct or remove them; the settings are listed in docs/settings.md."),
        )
    )


def _wrong(error: ValidationError, sources: list[_Source]) -> Iterator[str]:
    for each in error.errors():
        key = ".".join(str(part) for part in each["loc"] if not isinstance(part, int))
        where = next((source.name for source in sources if _holds(source.values, each["loc"])), "the command line")
        why = "there is no such setting" if each["type"] == "extra_forbidden" else each["msg"]
        yield f"{key} in {where}: {why}"


def _holds(values: Any, loc: tuple[int | str, ...]) -> bool:
    for part in loc:
        if isinstance(part, int):
            return True
        if not isinstance(values, Mapping) or part not in values:
            return False
        values = values[part]
    return True
