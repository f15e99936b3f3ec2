"""An answer as the store may hold it for a moment: sealed so that only the engine that asked can read it.

HPKE (RFC 9180) in base mode: X25519 with HKDF-SHA256, and ChaCha20-Poly1305. Key schedule and nonces are the library's. The
private key is one question's and never leaves the engine's memory, so what is left of a sealed answer (a backup, a write-ahead
log) is worth nothing. It protects against whoever reads the store, not against whoever may write it: those command releases anyway.
"""

from __future__ import annotations

from base64 import b64decode, b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

ANSWER_LIMIT = 510  # bytes of UTF-8
_PADDED = ANSWER_LIMIT + 2  # its length is not told
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


class SealBroken(ValueError):
    """The sealed answer was not made for this key and this question."""


class AnswerKey:
    """The key of one question, for the one who asks. Keep it in memory only."""

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()

    @property
    def public(self) -> str:
        return b64encode(self._private.public_key().public_bytes_raw()).decode()

    def open(self, sealed: str, about: str) -> str:
        """The answer. `about` is what it was sealed with. Raises SealBroken."""
        try:
            plain = _SUITE.decrypt(b64decode(sealed, validate=True), self._private, _info(about))
            return plain[2 : 2 + int.from_bytes(plain[:2])].decode()
        except (InvalidTag, ValueError) as error:
            raise SealBroken(about) from error


def seal(public: str, answer: str, about: str) -> str:
    """`answer` (up to ANSWER_LIMIT bytes) for the holder of the key; `about` binds it to its question. Raises ValueError."""
    data = answer.encode()
    if len(data) > ANSWER_LIMIT:
        raise ValueError("the answer is too long to seal")
    theirs = X25519PublicKey.from_public_bytes(b64decode(public, validate=True))
    padded = (len(data).to_bytes(2) + data).ljust(_PADDED, b"\0")
    return b64encode(_SUITE.encrypt(padded, theirs, _info(about))).decode()


def _info(about: str) -> bytes:
    return b"cockpit answer 2\0" + about.encode()
