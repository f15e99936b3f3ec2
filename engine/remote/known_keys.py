"""Which host keys count for a hop: the one on the object, else those that OpenSSH would find for it in known_hosts.

The files are read as `ssh` reads them, once and again only when they changed. A file or a line that is no good is skipped and
named. Never adds a key and never accepts one by itself: whether a key that was shown is trusted is `host_key_trust`'s.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import re
import stat
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import asyncssh

from engine.domain.message import message
from engine.remote import problems
from engine.remote.hops import Hop
from engine.remote.patterns import listed
from engine.remote.skipped import SkippedFile

_log = logging.getLogger(__name__)
_SSH_PORT = 22
_BLANKS = re.compile(r"[ \t]+")

Marker = Literal["", "@cert-authority", "@revoked"]


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """What is known of a hop: its host keys, the keys of authorities that may sign for it, revoked ones of either kind.

    `name` is what a host certificate must be made out to. `portless` are the keys of the same name without its port: one of them
    is taken, as `ssh` does, when nothing is known with the port; showing another one than those says nothing.
    """

    name: str = ""
    keys: tuple[asyncssh.SSHKey, ...] = ()
    authorities: tuple[asyncssh.SSHKey, ...] = ()
    revoked: tuple[asyncssh.SSHKey, ...] = ()
    portless: TrustedKeys | None = None
    skipped: tuple[SkippedFile, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.keys or self.authorities or self.portless)

    @property
    def every(self) -> tuple[asyncssh.SSHKey, ...]:
        """All keys that may vouch, in the order they were found."""
        beside = self.portless.every if self.portless else ()
        return (*self.keys, *self.authorities, *beside)


class KnownKeys:
    def __init__(self, known_hosts: Path | None) -> None:
        self._usual = known_hosts
        self._files: dict[Path, _KnownFile] = {}

    def trusted(self, hop: Hop, *, alias: str = "", files: Sequence[Path] | None = None) -> TrustedKeys:
        """What is known of `hop`; nothing when nobody has said. With `files` those are asked instead of the usual one, with
        `alias` for that name instead of the address and port. Keys that the files revoke are revoked whoever vouches for them.
        Raises RemoteError `host_key_unreadable`."""
        usual = (self._usual,) if self._usual else ()
        read = [self._file(path).read() for path in (usual if files is None else files)]
        skipped = tuple(file.skipped for file in read if file.skipped is not None)
        name = (alias or hop.address).lower()
        looked_up = name if alias or hop.port == _SSH_PORT else f"[{name}]:{hop.port}"
        known = _known(read, name, looked_up, skipped)
        if hop.host_key:
            return TrustedKeys(name, (_import(hop),), revoked=known.revoked, skipped=skipped)
        if known or looked_up == name:
            return known
        portless = _known(read, name, name, ())
        return TrustedKeys(name, revoked=known.revoked, portless=portless if portless else None, skipped=skipped)

    def _file(self, path: Path) -> _KnownFile:
        return self._files.setdefault(path, _KnownFile(path.expanduser()))


def _known(files: Iterable[_KnownFile], name: str, looked_up: str, skipped: tuple[SkippedFile, ...]) -> TrustedKeys:
    found: dict[Marker, list[asyncssh.SSHKey]] = defaultdict(list)
    for file in files:
        for line in file.lines_for(looked_up):
            if (key := line.key) is not None:
                found[line.marker].append(key)
    return TrustedKeys(
        name, tuple(found[""]), tuple(found["@cert-authority"]), tuple(found["@revoked"]), skipped=skipped
    )


# --------------------------------------------------------------------------------------------------------------- the file


class _Line:
    """One line that holds a key. The key is decoded when it is first asked for: most lines of a long file never are."""

    __slots__ = ("_decoded", "_key", "_text", "_where", "hashed", "marker", "patterns")

    def __init__(self, marker: Marker, names: str, text: str, where: str) -> None:
        self.marker: Marker = marker
        self.hashed = _hashed(names)
        self.patterns = () if self.hashed else tuple(names.lower().split(","))
        self._text = text
        self._where = where
        self._decoded = False
        self._key: asyncssh.SSHKey | None = None

    @property
    def key(self) -> asyncssh.SSHKey | None:
        """None for one that cannot be read: `ssh` skips the line as well."""
        if not self._decoded:
            self._decoded = True
            try:
                self._key = asyncssh.import_public_key(self._text)
            except (asyncssh.KeyImportError, ValueError) as error:
                _log.warning("%s is skipped: %s", self._where, error)
        return self._key

    @property
    def is_plain(self) -> bool:
        return not self.hashed and not any(sign in pattern for pattern in self.patterns for sign in "*?!")

    def names(self, name: str) -> bool:
        if self.hashed:
            salt, digest = self.hashed
            return hmac.compare_digest(hmac.digest(salt, name.encode(), "sha1"), digest)
        return listed(name, self.patterns)


class _KnownFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._exact: dict[str, list[tuple[int, _Line]]] = {}
        self._others: list[tuple[int, _Line]] = []
        self.skipped: SkippedFile | None = None

    def read(self) -> _KnownFile:
        """Look at the file again, and read it if it has changed. One that is not there knows nobody; one that cannot be read is
        `skipped`."""
        self.skipped = None
        try:
            facts = self._path.stat()
            if not (stat.S_ISREG(facts.st_mode) or stat.S_ISCHR(facts.st_mode)):
                why = message("it is a folder") if stat.S_ISDIR(facts.st_mode) else message("it is not a file")
                self._forget()
                self.skipped = SkippedFile(self._path, why)
                return self
            seen = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
            if seen != self._seen:
                text = "" if stat.S_ISCHR(facts.st_mode) else self._path.read_text(encoding="utf-8", errors="replace")
                self._parse(text)
                self._seen = seen
        except FileNotFoundError:
            self._forget()
        except OSError as error:
            self._forget()
            self.skipped = SkippedFile(self._path, message("{cause}", cause=error.strerror or str(error)))
        return self

    def lines_for(self, name: str) -> list[_Line]:
        """In the file's order."""
        found = [*self._exact.get(name, ()), *((number, line) for number, line in self._others if line.names(name))]
        return [line for _, line in sorted(found, key=lambda each: each[0])]

    def _forget(self) -> None:
        self._seen = None
        self._parse("")

    def _parse(self, text: str) -> None:
        self._exact, self._others = {}, []
        for number, raw in enumerate(text.split("\n"), start=1):
            line = _parse_line(raw, f"{self._path}, line {number},")
            if line is None:
                continue
            if line.is_plain:
                for name in dict.fromkeys(line.patterns):
                    self._exact.setdefault(name, []).append((number, line))
            else:
                self._others.append((number, line))


def _parse_line(raw: str, where: str) -> _Line | None:
    words = _BLANKS.split(raw.strip(" \t\r"), 1)
    if not words[0] or words[0].startswith("#"):
        return None
    marker: Marker = ""
    if words[0].startswith("@"):
        if words[0] not in ("@cert-authority", "@revoked") or len(words) < 2:
            _log.warning("%s is skipped: the marker %s is unknown", where, words[0])
            return None
        marker = "@cert-authority" if words[0] == "@cert-authority" else "@revoked"
        words = _BLANKS.split(words[1], 1)
    if len(words) < 2:
        _log.warning("%s is skipped: there is no key in it", where)
        return None
    return _Line(marker, words[0], words[1], where)


def _hashed(names: str) -> tuple[bytes, bytes] | None:
    """(salt, digest) of a hashed name, `|1|salt|digest`."""
    if not names.startswith("|"):
        return None
    try:
        magic, salt, digest = names[1:].split("|")
        if magic == "1":
            return base64.b64decode(salt, validate=True), base64.b64decode(digest, validate=True)
    except (ValueError, binascii.Error):
        return b"", b""
    return b"", b""  # damaged, or of a kind nobody knows: it names nobody


def _import(hop: Hop) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_public_key(hop.host_key)
    except (asyncssh.KeyImportError, ValueError) as error:
        raise problems.host_key_unreadable(hop, str(error)) from error
