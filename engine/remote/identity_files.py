"""One identity file as `ssh` takes it: the key in it, the certificate beside it, or why it is skipped.

A file is read as a whole or not at all, whatever is in it, and nothing here raises for it: the sentence says which file and why.
Never asks for a passphrase, never signs, never shows a private key.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from engine.domain.message import Message, message

_LONGEST = 1 << 20  # bytes; a private key has a few thousand
_PPK = b"PuTTY-User-Key-File-"
_SECURITY_KEY = "sk-"

NO_FILE = message("there is no such file")


@dataclass(frozen=True, slots=True)
class Identity:
    """`public` may be offered if the agent holds its private half; `pairs` can sign by themselves, with the certificate first, then
    without. `why` says what is of no use: the whole file without `pairs`, else the certificate beside it."""

    file: Path
    public: asyncssh.SSHKey | None = None
    pairs: tuple[asyncssh.SSHKeyPair, ...] = ()
    why: Message | None = None


def read_identity(file: Path) -> Identity:
    """`file` as it is on the disk now."""
    file = file.expanduser()
    beside = _public(file.with_name(f"{file.name}.pub"))
    data, why = _bytes(file)
    if data is None:
        return Identity(file, beside, why=why)
    inside = _public(file)
    if data.startswith((b"ssh-", b"sk-", b"ecdsa-")) and inside is not None:
        return Identity(file, inside, why=message("it is a public key: only the agent can sign for it"))
    open_to_others = _too_open(file)
    if open_to_others is not None:
        return Identity(file, beside or inside, why=open_to_others)
    try:
        key = asyncssh.import_private_key(data)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError) as error:
        return Identity(file, beside or inside, why=_why_not(data, error))
    key.set_filename(file)
    if beside is not None and beside.public_data != key.public_data:
        return Identity(file, beside, why=message("{name}.pub beside it belongs to another key", name=file.name))
    public = key.convert_to_public()
    if key.get_algorithm().startswith(_SECURITY_KEY):
        return Identity(file, public, why=message("it needs its security key: add it to the agent (ssh-add)"))
    certificate, why = _certificate(file, key)
    if beside is not None and beside.has_comment() and not key.has_comment():
        key.set_comment(beside.get_comment_bytes())
    pairs = asyncssh.load_keypairs([(key, certificate)] if certificate is not None else [key])
    return Identity(file, public, tuple(pairs), why)


def _bytes(file: Path) -> tuple[bytes | None, Message | None]:
    try:
        facts = file.stat()
        if stat.S_ISDIR(facts.st_mode):
            return None, message("it is a folder")
        if not stat.S_ISREG(facts.st_mode):
            return None, message("it is not a file")
        if facts.st_size > _LONGEST:
            return None, message("it is too long for a key")
        data = file.read_bytes()
    except FileNotFoundError:
        return None, NO_FILE
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        return None, message("{cause}", cause=getattr(error, "strerror", None) or str(error))
    return (data, None) if data.strip() else (None, message("it is empty"))


def _too_open(file: Path) -> Message | None:
    """As `ssh`: a private key of ours that others may read is not used."""
    facts = file.stat()
    if facts.st_uid == os.getuid() and stat.S_IMODE(facts.st_mode) & 0o077:
        return message("others may read it (mode {mode}): chmod 600 it", mode=f"{stat.S_IMODE(facts.st_mode):04o}")
    return None


def _why_not(data: bytes, error: Exception) -> Message:
    if data.startswith(_PPK):
        return message("it is a PuTTY key: convert it with `puttygen KEY -O private-openssh -o FILE`")
    if str(error).startswith("Passphrase must be specified"):
        return message("it is locked with a passphrase: add it to the agent (ssh-add)")
    if b"PRIVATE KEY" in data[:64]:
        return message("it is cut short or damaged ({cause})", cause=str(error))
    return message("it holds no private key ({cause})", cause=str(error))


def _public(file: Path) -> asyncssh.SSHKey | None:
    data, _ = _bytes(file)
    try:
        return asyncssh.import_public_key(data) if data else None
    except (asyncssh.KeyImportError, ValueError):
        return None


def _certificate(file: Path, key: asyncssh.SSHKey) -> tuple[asyncssh.SSHCertificate | None, Message | None]:
    beside = file.with_name(f"{file.name}-cert.pub")
    data, why = _bytes(beside)
    if data is None:
        missing = why is NO_FILE or why is None
        return None, None if missing else message("{name} beside it: {why}", name=beside.name, why=str(why))
    try:
        found = asyncssh.import_certificate(data)
    except (asyncssh.KeyImportError, ValueError) as error:
        return None, message("the certificate {name} cannot be read ({cause})", name=beside.name, cause=str(error))
    if found.key.public_data != key.public_data:
        return None, message("the certificate {name} belongs to another key", name=beside.name)
    return found, None
