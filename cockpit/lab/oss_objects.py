"""The objects behind the lab's OSS endpoint: files in a folder, so that they can be big and outlive the process.

One folder a bucket; an object is a data file and a JSON file beside it, both named by the SHA-256 of the key. It knows nothing
of HTTP.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import crcmod

_CRC64: Callable[..., int] = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, xorOut=0xFFFFFFFFFFFFFFFF, rev=True)
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class StoredObject:
    """`etag` without quotes: the content's MD5 in upper-case hex when `type` is Normal. `modified`: epoch seconds."""

    key: str
    size: int
    etag: str
    crc64: str
    type: str
    modified: float
    content_type: str = "application/octet-stream"
    metadata: Mapping[str, str] = field(default_factory=dict)


class Upload:
    """An object being written: feed it, then `ObjectFolder.keep` it, or `discard` it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("wb")
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc = 0
        self.size = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._md5.update(data)
        self._crc = _CRC64(data, self._crc)
        self.size += len(data)

    @property
    def md5(self) -> bytes:
        return self._md5.digest()

    @property
    def crc64(self) -> str:
        return str(self._crc)

    def close(self) -> None:
        self._file.close()

    def discard(self) -> None:
        self.close()
        self.path.unlink(missing_ok=True)


class ObjectFolder:
    """All buckets under `root`. Not safe for several processes at once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._buckets: dict[str, dict[str, StoredObject]] = {}
        self._uploads = 0
        root.mkdir(parents=True, exist_ok=True)
        for folder in sorted(path for path in root.iterdir() if path.is_dir()):
            self._buckets[folder.name] = dict(self._read(folder))

    @staticmethod
    def _read(folder: Path) -> Iterator[tuple[str, StoredObject]]:
        for path in sorted(folder.glob("*.json")):
            stored = StoredObject(**json.loads(path.read_text()))
            yield stored.key, stored

    def create_bucket(self, bucket: str) -> None:
        (self._root / bucket).mkdir(exist_ok=True)
        self._buckets.setdefault(bucket, {})

    def buckets(self) -> tuple[str, ...]:
        return tuple(sorted(self._buckets))

    def keys(self, bucket: str) -> tuple[str, ...]:
        """In the order of their UTF-8 bytes, as OSS lists them. KeyError: no such bucket."""
        return tuple(sorted(self._buckets[bucket], key=str.encode))

    def get(self, bucket: str, key: str) -> StoredObject | None:
        """None: no such key. KeyError: no such bucket."""
        return self._buckets[bucket].get(key)

    def path(self, bucket: str, key: str) -> Path:
        return self._root / bucket / hashlib.sha256(key.encode()).hexdigest()

    def upload(self, bucket: str) -> Upload:
        self._uploads += 1
        return Upload(self._root / bucket / f"upload-{os.getpid()}-{self._uploads}.part")

    def keep(self, bucket: str, key: str, upload: Upload, *, parts: int = 0, **facts: Any) -> StoredObject:
        """Put what was uploaded in the key's place. `parts` > 0: as if it had been put in so many parts, which gives it
        another kind of ETag."""
        upload.close()
        etag = upload.md5.hex().upper()
        if parts:
            etag = f"{hashlib.md5(upload.md5, usedforsecurity=False).hexdigest().upper()}-{parts}"
        kind = "Multipart" if parts else "Normal"
        stored = StoredObject(key, upload.size, etag, upload.crc64, kind, float(int(time.time())), **facts)
        target = self.path(bucket, key)
        upload.path.replace(target)
        target.with_suffix(".json").write_text(json.dumps(asdict(stored)))
        self._buckets[bucket][key] = stored
        return stored

    def delete(self, bucket: str, key: str) -> None:
        self._buckets[bucket].pop(key, None)
        self.path(bucket, key).unlink(missing_ok=True)
        self.path(bucket, key).with_suffix(".json").unlink(missing_ok=True)
