"""Whose keys are offered: the identity files and their certificates, and until when they are good.

They are read again when a file has changed: certificates are renewed while an engine runs.

Never asks for a passphrase and never shows a private key; keys that live in an agent are the agent's business.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
from asyncssh.public_key import load_default_keypairs

from engine.remote import problems
from engine.remote.settings import SshSettings

_Seen = tuple[tuple[str, int, int], ...]
_FOREVER = 1 << 63  # OpenSSH writes 2^64-1 for a certificate without an end


@dataclass(frozen=True, slots=True)
class Expiry:
    """A user certificate and when it ends, epoch seconds."""

    identity: str
    at: float

    @property
    def text(self) -> str:
        return datetime.fromtimestamp(self.at, UTC).isoformat(timespec="minutes")


class Identities:
    def __init__(self, settings: SshSettings) -> None:
        self._settings = settings
        self._read: dict[tuple[Path, ...], tuple[_Seen, list[asyncssh.SSHKeyPair]]] = {}
        self.generation = 0  # grows whenever some were read anew

    def load(self, more: tuple[Path, ...] = ()) -> list[asyncssh.SSHKeyPair]:
        """Those of the settings (none named: the usual ones), and before them those of the files `more`. Raises RemoteError
        `permission_denied` for one that cannot be used."""
        return [*(self._fresh(more) if more else ()), *self._fresh(self._settings.identity_files)]

    def expiries(self) -> tuple[Expiry, ...]:
        """Of every certificate that was loaded, soonest first."""
        return expiries_of(pair for _, pairs in self._read.values() for pair in pairs)

    def expired(self) -> Expiry | None:
        """Servers do not say that a certificate has expired, so it is looked up here."""
        return next((expiry for expiry in self.expiries() if expiry.at < time.time()), None)

    def _fresh(self, paths: tuple[Path, ...]) -> list[asyncssh.SSHKeyPair]:
        seen = _look(paths)
        before, pairs = self._read.get(paths, (None, []))
        if seen != before:
            # Named files must be usable; of the usual ones a locked one is left to the agent.
            pairs = _load(paths) if paths else list(load_default_keypairs())
            self._read[paths] = (seen, pairs)
            self.generation += 1
        return pairs


def _look(paths: Sequence[Path]) -> _Seen:
    """What tells that one of the files, or a certificate beside it, has changed."""
    named = [path.expanduser() for path in paths]
    every = [*named, *(path.with_name(f"{path.name}-cert.pub") for path in named)]
    found = []
    for path in every or sorted((Path.home() / ".ssh").glob("id_*")):
        with suppress(OSError):  # not there, or not for us: loading it says so
            stat = path.stat()
            found.append((str(path), stat.st_mtime_ns, stat.st_size))
    return tuple(found)


def expiries_of(pairs: Iterable[asyncssh.SSHKeyPair]) -> tuple[Expiry, ...]:
    found = {}
    for pair in pairs:
        before = getattr(getattr(pair, "_cert", None), "_valid_before", None)
        if isinstance(before, int) and before < _FOREVER:
            found[label(pair), float(before)] = Expiry(label(pair), float(before))
    return tuple(sorted(found.values(), key=lambda expiry: expiry.at))


def label(pair: asyncssh.SSHKeyPair) -> str:
    return pair.get_comment() or pair.get_algorithm()


def _load(paths: Sequence[Path]) -> list[asyncssh.SSHKeyPair]:
    try:
        return list(asyncssh.load_keypairs([str(path.expanduser()) for path in paths])) if paths else []
    except (OSError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise problems.identity_unusable(cause) from error
