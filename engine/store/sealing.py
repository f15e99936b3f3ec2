"""An answer as the store may hold it for a moment: sealed so that only the engine that asked can read it.

X25519 with a key of one question on each side, HKDF-SHA256 and ChaCha20-Poly1305. The private key never leaves the engine's
memory, so what is left of a sealed answer (a backup, a write-ahead log) is worth nothing. It protects against whoever reads the
store, not against whoever may write it: those command releases anyway.
"""

from __future__ import annotations

from base64 import b64decode, b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ANSWER_LIMIT = 510  # bytes of UTF-8
_PADDED = ANSWER_LIMIT + 2  # its length is not told
_NONCE = bytes(12)  # each key seals once
_KEY_BYTES = 32


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
            data = b64decode(sealed, validate=True)
            theirs = data[:_KEY_BYTES]
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(theirs))
            plain = _cipher(shared, theirs, self.public).decrypt(_NONCE, data[_KEY_BYTES:], about.encode())
            return plain[2 : 2 + int.from_bytes(plain[:2])].decode()
        except (InvalidTag, ValueError) as error:
            raise SealBroken(about) from error


def seal(public: str, answer: str, about: str) -> str:
    """`answer` (up to ANSWER_LIMIT bytes) for the holder of the key; `about` binds it to its question. Raises ValueError."""
    data = answer.encode()
    if len(data) > ANSWER_LIMIT:
        raise ValueError("the answer is too long to seal")
    private = X25519PrivateKey.generate()
    ours = private.public_key().public_bytes_raw()
    shared = private.exchange(X25519PublicKey.from_public_bytes(b64decode(public, validate=True)))
    padded = (len(data).to_bytes(2) + data).ljust(_PADDED, b"\0")
    return b64encode(ours + _cipher(shared, ours, public).encrypt(_NONCE, padded, about.encode())).decode()


def _cipher(shared: bytes, ephemeral: bytes, public: str) -> ChaCha20Poly1305:
    info = b"cockpit answer 1" + ephemeral + b64decode(public)
    return ChaCha20Poly1305(HKDF(SHA256(), 32, salt=None, info=info).derive(shared))
