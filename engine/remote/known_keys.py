"""Which host key a hop must show: the one on the object, else those of known_hosts, read once and again only when it changed.

Never adds a key and never accepts one by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncssh
from asyncssh.known_hosts import SSHKnownHosts

from engine.remote import problems
from engine.remote.hops import Hop

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """What asyncssh takes as `known_hosts`: host keys, keys of certificate authorities, revoked keys."""

    keys: Sequence[asyncssh.SSHKey]
    authorities: Sequence[asyncssh.SSHKey] = ()
    revoked: Sequence[asyncssh.SSHKey] = ()

    def __bool__(self) -> bool:
        return bool(self.keys or self.authorities)

    def for_asyncssh(self) -> tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey], list[asyncssh.SSHKey]]:
        return list(self.keys), list(self.authorities), list(self.revoked)


class KnownKeys:
    def __init__(self, known_hosts: Path | None) -> None:
        self._usual = known_hosts
        self._files: dict[Path, _KnownFile] = {}

    def trusted(self, hop: Hop, *, alias: str = "", files: Sequence[Path] = ()) -> TrustedKeys:
        """The keys `hop` may show; empty when nobody has said. With `files` those are asked instead of the usual one, with
        `alias` for that name instead of the address and port. Raises RemoteError `host_key_unreadable`."""
        if hop.host_key:
            return TrustedKeys([_import(hop)])
        name, port = (alias, None) if alias else (hop.address, None if hop.port == 22 else hop.port)
        keys: list[asyncssh.SSHKey] = []
        authorities: list[asyncssh.SSHKey] = []
        revoked: list[asyncssh.SSHKey] = []
        for path in files or ([self._usual] if self._usual else []):
            file = self._files.setdefault(path, _KnownFile(path.expanduser()))
            its, signing, gone, *_ = file.read().match(name, "" if alias else hop.address, port)
            keys += its
            authorities += signing
            revoked += gone
        return TrustedKeys(keys, authorities, revoked)


class _KnownFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._known = SSHKnownHosts()

    def read(self) -> SSHKnownHosts:
        """What the file says now."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            self._seen, self._known = None, SSHKnownHosts()
            return self._known
        seen = (stat.st_mtime_ns, stat.st_size)
        if seen == self._seen:
            return self._known
        known = SSHKnownHosts()
        for number, line in enumerate(self._path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            try:
                known.load(line)
            except ValueError as error:  # one bad line must not take every host away; OpenSSH skips it as well
                _log.warning("%s, line %d is skipped: %s", self._path, number, error)
        self._seen, self._known = seen, known
        return known


def _import(hop: Hop) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_public_key(hop.host_key)
    except (asyncssh.KeyImportError, ValueError) as error:
        raise problems.host_key_unreadable(hop, str(error)) from error
