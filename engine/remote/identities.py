"""Whose keys are offered: the identity files and their certificates, read once, and until when they are good.

Never asks for a passphrase and never shows a private key; keys that live in an agent are the agent's business.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
from asyncssh.public_key import load_default_keypairs

from engine.remote import problems
from engine.remote.settings import SshSettings

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
        self._loaded: list[asyncssh.SSHKeyPair] | None = None
        self._more: dict[tuple[Path, ...], list[asyncssh.SSHKeyPair]] = {}

    def load(self, more: tuple[Path, ...] = ()) -> list[asyncssh.SSHKeyPair]:
        """Those of the settings, and before them those of the files `more`. Raises RemoteError `permission_denied` for one that
        cannot be used."""
        if self._loaded is None:
            names = self._settings.identity_files
            # Named files must be usable; of the usual ones a locked one is left to the agent.
            self._loaded = _read(names) if names else list(load_default_keypairs())
        if more not in self._more:
            self._more[more] = _read(more)
        return [*self._more[more], *self._loaded]

    def expiries(self) -> tuple[Expiry, ...]:
        """Of every certificate that was loaded, soonest first."""
        return expiries_of([*(self._loaded or ()), *(pair for pairs in self._more.values() for pair in pairs)])

    def expired(self) -> Expiry | None:
        """Servers do not say that a certificate has expired, so it is looked up here."""
        return next((expiry for expiry in self.expiries() if expiry.at < time.time()), None)


def expiries_of(pairs: Iterable[asyncssh.SSHKeyPair]) -> tuple[Expiry, ...]:
    found = {}
    for pair in pairs:
        before = getattr(getattr(pair, "_cert", None), "_valid_before", None)
        if isinstance(before, int) and before < _FOREVER:
            found[label(pair), float(before)] = Expiry(label(pair), float(before))
    return tuple(sorted(found.values(), key=lambda expiry: expiry.at))


def label(pair: asyncssh.SSHKeyPair) -> str:
    return pair.get_comment() or pair.get_algorithm()


def _read(paths: Sequence[Path]) -> list[asyncssh.SSHKeyPair]:
    try:
        return list(asyncssh.load_keypairs([str(path.expanduser()) for path in paths])) if paths else []
    except (OSError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise problems.identity_unusable(cause) from error
