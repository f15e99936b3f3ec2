"""Where the cloud's access key comes from: the environment, the settings' credentials file, the SDKs' default file.

Never writes, logs or shows a secret: `repr` hides it, and `redact` takes it out of any text of the SDKs before that text
becomes evidence.
"""

from __future__ import annotations

import configparser
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ENVIRONMENT_ID = "ALIBABA_CLOUD_ACCESS_KEY_ID"
ENVIRONMENT_SECRET = "ALIBABA_CLOUD_ACCESS_KEY_SECRET"
ENVIRONMENT_TOKEN = "ALIBABA_CLOUD_SECURITY_TOKEN"
DEFAULT_FILE = "~/.alibabacloud/credentials"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key, with a security token when it is a temporary one. `source` says where it was found."""

    access_key_id: str
    access_key_secret: str = field(repr=False)
    security_token: str = field(default="", repr=False)
    source: str = ""


class CredentialsMissing(Exception):
    """No usable access key. `looked` says where we looked and why each place would not do, one sentence part a place."""

    def __init__(self, looked: tuple[str, ...]) -> None:
        super().__init__("; ".join(looked))
        self.looked = looked


class CredentialsSource:
    """Finds the credentials when they are needed and follows changes of the file (temporary keys are renewed there)."""

    def __init__(
        self,
        credentials_file: Path | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        default_file: Path | None = None,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._files = tuple(
            dict.fromkeys(
                path.expanduser() for path in (credentials_file, default_file or Path(DEFAULT_FILE)) if path is not None
            )
        )
        self._lock = threading.Lock()
        self._read: dict[Path, tuple[tuple[int, int], Credentials | str]] = {}

    def find(self) -> Credentials:
        """The credentials of now. Raises CredentialsMissing."""
        looked: list[str] = []
        for found in (self._in_environment(), *(self._in_file(path) for path in self._files)):
            if isinstance(found, Credentials):
                return found
            looked.append(found)
        raise CredentialsMissing(tuple(looked))

    def _in_environment(self) -> Credentials | str:
        access_key_id = self._environ.get(ENVIRONMENT_ID, "").strip()
        secret = self._environ.get(ENVIRONMENT_SECRET, "").strip()
        if access_key_id and secret:
            token = self._environ.get(ENVIRONMENT_TOKEN, "").strip()
            return Credentials(access_key_id, secret, token, "environment")
        if access_key_id or secret:
            missing = ENVIRONMENT_SECRET if access_key_id else ENVIRONMENT_ID
            return f"environment (only half is set: {missing} is missing)"
        return f"environment ({ENVIRONMENT_ID} is not set)"

    def _in_file(self, path: Path) -> Credentials | str:
        try:
            stat = path.stat()
        except OSError as error:
            return f"{path} ({error.strerror or 'cannot be read'})"
        stamp = (stat.st_mtime_ns, stat.st_size)
        with self._lock:
            known = self._read.get(path)
            if known is None or known[0] != stamp:
                known = (stamp, _parse(path, self._environ.get("ALIBABA_CLOUD_PROFILE", "") or "default"))
                self._read[path] = known
            return known[1]


def _parse(path: Path, profile: str) -> Credentials | str:
    # No interpolation: a secret may hold a %. The parser's own messages quote the line, so they are not repeated.
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except OSError as error:
        return f"{path} ({error.strerror or 'cannot be read'})"
    except (configparser.Error, UnicodeDecodeError):
        return f"{path} (not an INI file)"
    if not parser.has_section(profile):
        return f"{path} (no section [{profile}])"
    section = parser[profile]
    kind = section.get("type", "access_key").strip()
    if kind not in ("access_key", "sts"):
        return f"{path} (type {kind} is not supported, only access_key and sts)"
    access_key_id = section.get("access_key_id", "").strip()
    secret = section.get("access_key_secret", "").strip()
    if not access_key_id or not secret:
        return f"{path} (access_key_id or access_key_secret is missing in [{profile}])"
    return Credentials(access_key_id, secret, section.get("security_token", "").strip(), str(path))


_SIGNED = re.compile(
    r"(?i)\b((?:x-oss-)?(?:signature|credential|security-token)|SecurityToken|SignatureNonce|AccessKeyId|OSSAccessKeyId)"
    r"(\s*[=:]\s*)[^&\s'\",;)<>]+"
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
