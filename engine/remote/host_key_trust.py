"""Whether the host key or host certificate that a server shows is trusted, and if not, why: one verdict per reason.

The rules are OpenSSH's: a revoked key is never trusted; a certificate counts when a known authority signed it, for hosts, for
now and for exactly this name; one that does not count is looked at once more as the plain key in it.
Pure: it is told what was shown, what is known and what time it is. It opens no connection and accepts nothing for the next time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import asyncssh
from asyncssh.public_key import (
    CERT_TYPE_HOST,
    SSHOpenSSHCertificate,
    decode_ssh_certificate,
    decode_ssh_public_key,
)

from engine.remote.known_keys import TrustedKeys

_CERTIFICATE = b"-cert-v01@openssh.com"
# As `ssh -Q HostKeyAlgorithms` of today without SHA-1, the fast ones first.
_PLAIN_ALGORITHMS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_USUAL = tuple(name.partition("@")[0] + _CERTIFICATE.decode() for name in _PLAIN_ALGORITHMS) + _PLAIN_ALGORITHMS


class Distrust(StrEnum):
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"
    AUTHORITY_REVOKED = "authority_revoked"
    AUTHORITY_UNKNOWN = "authority_unknown"
    EXPIRED = "expired"
    EARLY = "early"
    OTHER_NAME = "other_name"
    NOT_FOR_HOSTS = "not_for_hosts"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` None: trusted, and `key` proves it. Otherwise what was shown, as far as it could be read: of a certificate its
    `authority`, the names it is made out to and the moment (UTC) at which it begins or ended, where that is the reason."""

    reason: Distrust | None
    key: asyncssh.SSHKey | None = None
    authority: asyncssh.SSHKey | None = None
    principals: tuple[str, ...] = ()
    at: str = ""
    detail: str = ""


def judge(shown: bytes, known: TrustedKeys, now: float) -> Verdict:
    """`shown` is the key or certificate as it came over the wire; `now` epoch seconds."""
    try:
        certificate = decode_ssh_certificate(shown)
    except (asyncssh.KeyImportError, ValueError) as no_certificate:
        try:
            return _plain(decode_ssh_public_key(shown), known)
        except (asyncssh.KeyImportError, ValueError) as error:
            is_certificate = _CERTIFICATE in shown[:64]
            return Verdict(Distrust.UNREADABLE, detail=str(no_certificate if is_certificate else error))
    if not isinstance(certificate, SSHOpenSSHCertificate):
        return Verdict(Distrust.UNREADABLE, detail="an X.509 certificate")
    return _certified(certificate, known, now)


def _plain(key: asyncssh.SSHKey, known: TrustedKeys) -> Verdict:
    if key in known.revoked:
        return Verdict(Distrust.REVOKED, key)
    if key in known.keys:
        return Verdict(None, key)
    if known.keys:
        return Verdict(Distrust.CHANGED, key)
    if known.portless is not None:
        beside = _plain(key, known.portless)
        # What is known of the name without the port may vouch; that it says something else proves nothing.
        return beside if beside.reason is None else Verdict(Distrust.UNKNOWN, key)
    return Verdict(Distrust.UNKNOWN, key)


def _certified(certificate: SSHOpenSSHCertificate, known: TrustedKeys, now: float) -> Verdict:
    key, authority = certificate.key, certificate.signing_key
    if key in known.revoked:
        return Verdict(Distrust.REVOKED, key, authority)
    if authority in known.revoked:
        return Verdict(Distrust.AUTHORITY_REVOKED, key, authority)
    authorities = (*known.authorities, *(known.portless.authorities if known.portless else ()))
    if authority in authorities:
        found = _checked(certificate, known.name, now)
        if found.reason is None:
            return found
    elif authorities:
        found = Verdict(Distrust.AUTHORITY_UNKNOWN, key, authority)
    else:
        return _plain(key, known)
    bare = _plain(key, known)
    return bare if bare.reason is None else found


def _checked(certificate: SSHOpenSSHCertificate, name: str, now: float) -> Verdict:
    """A certificate whose authority is known. asyncssh shows some of its fields to its subclasses only."""
    key, authority = certificate.key, certificate.signing_key
    kind, begins, ends = certificate._cert_type, certificate._valid_after, certificate._valid_before
    principals = tuple(certificate.principals)
    if kind != CERT_TYPE_HOST:
        return Verdict(Distrust.NOT_FOR_HOSTS, key, authority)
    if now < begins:
        return Verdict(Distrust.EARLY, key, authority, principals, _utc(begins))
    if now >= ends:
        return Verdict(Distrust.EXPIRED, key, authority, principals, _utc(ends))
    if principals and name not in principals:
        return Verdict(Distrust.OTHER_NAME, key, authority, principals)
    return Verdict(None, key, authority, principals)


def _utc(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="minutes")
    except (OverflowError, ValueError, OSError):  # further away than a calendar goes
        return str(seconds)


def algorithms(known: TrustedKeys, wanted: tuple[str, ...] = ()) -> list[str]:
    """Those to offer a server for its host key, as OpenSSH orders them: first what is known of it, so that it shows that key;
    then the others, so that one that was changed is seen. `wanted` instead of the usual ones."""
    offered = wanted or _USUAL
    beside = known.portless or TrustedKeys()
    mine = {each.decode() for key in (*known.keys, *beside.keys) for each in key.sig_algorithms}
    certified = bool(known.authorities or beside.authorities)
    first = [each for each in offered if (certified and each.endswith(_CERTIFICATE.decode())) or each in mine]
    return first + [each for each in offered if each not in first]
