"""Which identity files count for a hop, in order, and until when their certificates are good.

They are read again when a file has changed: certificates are renewed while an engine runs. What is in one file is
`identity_files`'; in which order keys are offered, the agent's among them, is `login_keys`'.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
from asyncssh.public_key import decode_ssh_certificate

from engine.remote.identity_files import NO_FILE, Identity, read_identity
from engine.remote.settings import SshSettings
from engine.remote.skipped import SkippedFile

_Seen = tuple[tuple[str, int, int, int], ...]
_FOREVER = 1 << 63  # OpenSSH writes 2^64-1 for a certificate without an end
_CERTIFIED = b"-cert-v01@openssh.com"
USUAL = ("id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk")  # in ~/.ssh, in the order of `ssh`


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
        self._read: dict[Path, tuple[_Seen, Identity]] = {}
        self._of_agents: dict[bytes, asyncssh.SSHKeyPair] = {}

    def read(self, more: Sequence[Path] = (), *, usual: bool = True) -> tuple[Identity, ...]:
        """The files `more`, then those of the settings; without either the usual ones in ~/.ssh that are there, unless `usual`
        says that they are not wanted."""
        named = tuple(dict.fromkeys((*more, *self._settings.identity_files)))
        if named or not usual:
            return tuple(self._fresh(path) for path in named)
        found = (self._fresh(Path.home() / ".ssh" / name) for name in USUAL)
        return tuple(identity for identity in found if identity.why is not NO_FILE or identity.public)

    def note_agent(self, pairs: Iterable[asyncssh.SSHKeyPair]) -> None:
        """Keys that an agent has shown: their certificates expire as well."""
        self._of_agents = {pair.public_data: pair for pair in pairs if pair.has_cert}

    def expiries(self) -> tuple[Expiry, ...]:
        """Of every certificate that was seen, soonest first."""
        files = (pair for _, identity in self._read.values() for pair in identity.pairs)
        return expiries_of((*files, *self._of_agents.values()))

    def expired(self) -> Expiry | None:
        """Servers do not say that a certificate has expired, so it is looked up here."""
        return next((expiry for expiry in self.expiries() if expiry.at < time.time()), None)

    def _fresh(self, path: Path) -> Identity:
        seen = _look(path.expanduser())
        before = self._read.get(path)
        if before is None or before[0] != seen:
            before = self._read[path] = (seen, read_identity(path))
        return before[1]


def skipped_of(identities: Iterable[Identity]) -> tuple[SkippedFile, ...]:
    """The files that are of no use, or not of the use that is expected."""
    return tuple(SkippedFile(identity.file, identity.why) for identity in identities if identity.why is not None)


def _look(path: Path) -> _Seen:
    """What tells that the file, or what stands beside it, has changed."""
    found = []
    for file in (path, path.with_name(f"{path.name}.pub"), path.with_name(f"{path.name}-cert.pub")):
        with suppress(OSError, ValueError):  # not there, or not for us: reading it says so
            facts = file.stat()
            found.append((str(file), facts.st_mtime_ns, facts.st_size, facts.st_mode))
    return tuple(found)


def expiries_of(pairs: Iterable[asyncssh.SSHKeyPair]) -> tuple[Expiry, ...]:
    found = {}
    for pair in pairs:
        before = _ends(pair)
        if before is not None and before < _FOREVER:
            found[label(pair), float(before)] = Expiry(label(pair), float(before))
    return tuple(sorted(found.values(), key=lambda expiry: expiry.at))


def _ends(pair: asyncssh.SSHKeyPair) -> int | None:
    if not pair.public_data[4:].startswith((b"ssh-", b"ecdsa-", b"sk-")) or _CERTIFIED not in pair.public_data[:80]:
        return None
    try:
        ends = getattr(decode_ssh_certificate(pair.public_data), "_valid_before", None)
    except (asyncssh.KeyImportError, ValueError):  # an agent may show anything
        return None
    return ends if isinstance(ends, int) else None


def label(pair: asyncssh.SSHKeyPair) -> str:
    return pair.get_comment() or pair.get_algorithm()
