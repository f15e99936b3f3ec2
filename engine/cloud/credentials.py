"""Where the cloud's access key comes from: the places where the vendor's tools look, in their order, and when it is renewed.

Never writes, logs or shows a secret: `repr` hides it, and `redact` takes it out of any text of the SDKs before that text
becomes evidence. Files are read again when they change; temporary keys are renewed a quarter of an hour before they end.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from engine.cloud import credential_files as files
from engine.cloud import role_providers
from engine.cloud.credential_files import MachineRole, OidcRole, Recipe, StaticKey, Useless
from engine.cloud.role_providers import NoKeys, Places

ENVIRONMENT_ID = "ALIBABA_CLOUD_ACCESS_KEY_ID"
ENVIRONMENT_SECRET = "ALIBABA_CLOUD_ACCESS_KEY_SECRET"
ENVIRONMENT_TOKEN = "ALIBABA_CLOUD_SECURITY_TOKEN"
COMMAND_LINE_FILE = ".aliyun/config.json"
DEFAULT_FILES = (".alibabacloud/credentials.ini", ".alibabacloud/credentials")
RENEW_BEFORE_S = 900.0
RENEW_AT_LEAST_S = 60.0  # with less left it is waited for, otherwise it happens behind
AGAIN_AFTER_S = 30.0  # a place that gave nothing, or a renewal that failed, is not tried again for so long

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key, with a security token when it is a temporary one. `source` says where it was found."""

    access_key_id: str
    access_key_secret: str = field(repr=False)
    security_token: str = field(default="", repr=False)
    source: str = ""
    expires_at: float | None = None  # epoch seconds

    @property
    def until(self) -> str:
        """When it ends, UTC; empty for one that does not."""
        return datetime.fromtimestamp(self.expires_at, UTC).isoformat(timespec="minutes") if self.expires_at else ""


class CredentialsMissing(Exception):
    """No usable access key. `looked` says where we looked and why each place would not do, one sentence part a place."""

    def __init__(self, looked: tuple[str, ...]) -> None:
        super().__init__("; ".join(looked))
        self.looked = looked


@dataclass(frozen=True, slots=True)
class Using:
    """What is used at the moment, and since when (epoch seconds)."""

    source: str
    since: float
    until: str


@dataclass(slots=True)
class _Kept:
    """What a recipe gave, or why it gave nothing, and when it was asked last."""

    credentials: Credentials | None = None
    why: str = ""
    asked_at: float = 0.0
    renewing: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


Found = tuple[str, Recipe] | str  # (source, recipe), or why a place will not do


class CredentialsSource:
    """Finds the credentials when they are needed. Safe to be asked from several threads.

    `environ` may be a function: whoever is at the cockpit now may lend another environment than the engine's own."""

    def __init__(
        self,
        credentials_file: Path | None = None,
        *,
        environ: Mapping[str, str] | Callable[[], Mapping[str, str]] | None = None,
        default_file: Path | None = None,
        places: Places | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`default_file` stands for the files in the home; with it nothing else there is looked at."""
        environ = os.environ if environ is None else environ
        self._environ: Callable[[], Mapping[str, str]] = environ if callable(environ) else lambda: environ
        self._file = credentials_file
        self._default_file = default_file
        self._places = places or Places()
        self._clock = clock
        self._lock = threading.Lock()
        self._read: dict[tuple[Path, str], tuple[tuple[int, int, int], Found]] = {}
        self._kept: dict[Recipe, _Kept] = {}
        self._using: Using | None = None

    @property
    def using(self) -> Using | None:
        """What was handed out last; None before the first time."""
        return self._using

    def find(self) -> Credentials:
        """The credentials of now. Blocks only where a role has to be asked for its first keys, or for new ones in the last
        minute of the old: for some seconds at most. Raises CredentialsMissing."""
        looked: list[str] = []
        for found in self._places_of(self._environ()):
            if isinstance(found, str):
                looked.append(found)
                continue
            source, recipe = found
            credentials = self._of(source, recipe)
            if isinstance(credentials, Credentials):
                self._note(credentials)
                return credentials
            looked.append(credentials)
        raise CredentialsMissing(tuple(looked))

    # ------------------------------------------------------------------------------------------------------------ places

    def _places_of(self, environ: Mapping[str, str]) -> Iterator[Found]:
        """In the order of the vendor's tools; the file of the settings, named for us alone, comes right after the environment."""
        profile = environ.get("ALIBABA_CLOUD_PROFILE", "").strip()
        yield _in_environment(environ)
        if self._file is not None:
            yield self._in_ini(self._file.expanduser(), profile or "default")
        yield _oidc(environ)
        home = Path(environ["HOME"]) if environ.get("HOME") else None
        if (
            home is not None
            and self._default_file is None
            and not _is_set(environ, "ALIBABA_CLOUD_CLI_PROFILE_DISABLED")
        ):
            yield self._in_command_line(home / COMMAND_LINE_FILE, profile)
        for file in self._ini_files(environ, home):
            yield self._in_ini(file, profile or "default")
        yield self._machine(environ)

    def _ini_files(self, environ: Mapping[str, str], home: Path | None) -> list[Path]:
        named = environ.get("ALIBABA_CLOUD_CREDENTIALS_FILE", "").strip()
        if named:
            return [Path(named).expanduser()]
        if self._default_file is not None:
            return [self._default_file.expanduser()]
        return [home / name for name in DEFAULT_FILES] if home is not None else []

    def _machine(self, environ: Mapping[str, str]) -> Found:
        if not self._places.metadata or _is_set(environ, "ALIBABA_CLOUD_ECS_METADATA_DISABLED"):
            return "RAM role of this machine (switched off)"
        name = environ.get("ALIBABA_CLOUD_ECS_METADATA", "").strip()
        return "RAM role of this machine", MachineRole(name)

    def _in_ini(self, path: Path, profile: str) -> Found:
        return self._from_file(path, profile, lambda: (f"{path} [{profile}]", files.read_ini(path, profile)))

    def _in_command_line(self, path: Path, profile: str) -> Found:
        def read() -> tuple[str, Recipe]:
            name, recipe = files.read_command_line(path, profile)
            return f"{path} (profile {name})", recipe

        return self._from_file(path, f"cli:{profile}", read)

    def _from_file(self, path: Path, profile: str, read: Callable[[], tuple[str, Recipe]]) -> Found:
        try:
            stamp = files.stamp(path)
        except Useless as why:
            return f"{path} ({why})"
        with self._lock:
            known = self._read.get((path, profile))
        if known is not None and known[0] == stamp:
            return known[1]
        try:
            found: Found = read()
        except Useless as why:
            found = f"{path} ({why})"
        with self._lock:
            self._read[path, profile] = (stamp, found)
        return found

    # -------------------------------------------------------------------------------------------------------------- keys

    def _of(self, source: str, recipe: Recipe) -> Credentials | str:
        if isinstance(recipe, StaticKey):
            return Credentials(recipe.access_key_id, recipe.access_key_secret, recipe.security_token, source)
        with self._lock:
            kept = self._kept.setdefault(recipe, _Kept())
        left = self._left(kept)
        if kept.credentials is not None and left > RENEW_BEFORE_S:
            return kept.credentials
        if kept.credentials is not None and left > RENEW_AT_LEAST_S:
            self._renew_behind(kept, source, recipe)
            return kept.credentials
        with kept.lock:
            if self._left(kept) <= RENEW_AT_LEAST_S and self._clock() - kept.asked_at >= AGAIN_AFTER_S:
                self._ask(kept, source, recipe)
            if kept.credentials is not None and self._left(kept) > 0:
                return kept.credentials
        return f"{source} ({kept.why})"

    def _left(self, kept: _Kept) -> float:
        """Seconds until the end of what is kept."""
        if kept.credentials is None:
            return 0.0
        ends = kept.credentials.expires_at
        return ends - self._clock() if ends is not None else kept.asked_at + RENEW_BEFORE_S * 2 - self._clock()

    def _renew_behind(self, kept: _Kept, source: str, recipe: Recipe) -> None:
        with self._lock:
            if kept.renewing or self._clock() - kept.asked_at < AGAIN_AFTER_S:
                return
            kept.renewing = True

        def renew() -> None:
            try:
                with kept.lock:
                    self._ask(kept, source, recipe)
            finally:
                kept.renewing = False

        threading.Thread(target=renew, name="renew credentials", daemon=True).start()

    def _ask(self, kept: _Kept, source: str, recipe: Recipe) -> None:
        """Ask for new keys. Those that are kept stay until they end if none are given."""
        try:
            keys = role_providers.get(recipe, self._places_for(self._environ()))
        except NoKeys as error:
            kept.why = redact(str(error), kept.credentials)
            if kept.credentials is not None:
                _log.warning("the credentials of %s could not be renewed: %s", source, kept.why)
        else:
            named = f"{source} {keys.who}".strip()
            kept.credentials = Credentials(
                keys.access_key_id, keys.access_key_secret, keys.security_token, named, keys.expires_at
            )
            kept.why = "" if self._left(kept) > 0 else "its keys have ended already: check this machine's clock"
        finally:
            kept.asked_at = self._clock()

    def _places_for(self, environ: Mapping[str, str]) -> Places:
        if not _is_set(environ, "ALIBABA_CLOUD_IMDSV1_DISABLED"):
            return self._places
        return Places(self._places.metadata, self._places.sts, self._places.sts_ca, metadata_without_token=False)

    def _note(self, credentials: Credentials) -> None:
        before = self._using
        if before is not None and before.source == credentials.source:
            if before.until != credentials.until:
                self._using = Using(credentials.source, before.since, credentials.until)
            return
        self._using = Using(credentials.source, self._clock(), credentials.until)
        ends = f", good until {credentials.until}" if credentials.until else ""
        _log.info("cloud credentials: %s%s", credentials.source, ends)


def _is_set(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").strip().lower() == "true"


def _in_environment(environ: Mapping[str, str]) -> Found:
    access_key_id = environ.get(ENVIRONMENT_ID, "").strip()
    secret = environ.get(ENVIRONMENT_SECRET, "").strip()
    if access_key_id and secret:
        return "environment", StaticKey(access_key_id, secret, environ.get(ENVIRONMENT_TOKEN, "").strip())
    if access_key_id or secret:
        missing = ENVIRONMENT_SECRET if access_key_id else ENVIRONMENT_ID
        return f"environment (only half is set: {missing} is missing)"
    return f"environment ({ENVIRONMENT_ID} is not set)"


def _oidc(environ: Mapping[str, str]) -> Found:
    names = ("ALIBABA_CLOUD_ROLE_ARN", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "ALIBABA_CLOUD_OIDC_TOKEN_FILE")
    role, provider, token_file = (environ.get(name, "").strip() for name in names)
    if role and provider and token_file:
        session, region = (
            environ.get("ALIBABA_CLOUD_ROLE_SESSION_NAME", ""),
            environ.get("ALIBABA_CLOUD_STS_REGION", ""),
        )
        vpc = True if _is_set(environ, "ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED") else None
        return f"OIDC role {role}", OidcRole(
            role, provider, token_file, session.strip(), region=region.strip(), vpc=vpc
        )
    missing = [name for name in names if not environ.get(name, "").strip()]
    return f"OIDC role ({missing[0]} is not set)"


_SIGNED = re.compile(
    r"(?i)\b((?:x-oss-)?(?:signature|credential|security-token)|SecurityToken|SignatureNonce|AccessKeyId|AccessKeySecret|"
    r"OSSAccessKeyId|OIDCToken)(['\"]?\s*[=:]\s*['\"]?)[^&\s'\",;)<>]+"
)
_QUERY = re.compile(r"\?[^\s?'\"()<>]*=[^\s'\"()<>]*")
_STRING_TO_SIGN = re.compile(r"(?is)(string ?to ?sign[^:=]*[:=]).*")


def redact(text: str, credentials: Credentials | None = None) -> str:
    """`text` without keys, tokens, signatures and strings to sign, at most 500 characters, for evidence and messages."""
    text = _STRING_TO_SIGN.sub(r"\1…", text)
    text = _QUERY.sub("?…", text)
    text = _SIGNED.sub(r"\1\2***", text)
    if credentials is not None:
        for secret in (credentials.access_key_secret, credentials.security_token, credentials.access_key_id):
            if secret:
                text = text.replace(secret, "***")
    return text if len(text) <= 500 else text[:499] + "…"
