"""Which file system a path lies on, because SQLite's write-ahead log needs shared memory that no network file system has.

Only Linux tells (`/proc/self/mounts`); elsewhere the answer is "unknown", never a guess.
"""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")

NETWORK_TYPES = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "smb2",
        "ncpfs",
        "afs",
        "ceph",
        "glusterfs",
        "lustre",
        "gpfs",
        "beegfs",
        "davfs",
        "fuse.sshfs",
        "fuse.s3fs",
        "fuse.ossfs",
        "fuse.rclone",
        "fuse.glusterfs",
        "fuse.ceph",
        "fuse.davfs",
        "fuse.smbnetfs",
    ]
)


def network_file_system(path: Path, mounts: str | None = None) -> str | None:
    """The type of the network file system `path` (absolute; it need not exist) lies on; None when local or unknown.

    `mounts` is text in the form of `/proc/self/mounts`; None reads that file."""
    if mounts is None:
        if not MOUNTS.exists():
            return None
        mounts = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    resolved = path.resolve()
    found, depth = "", -1
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(_unescaped(fields[1]))
        # A later line hides an earlier one at the same place.
        if (resolved == point or point in resolved.parents) and len(point.parts) >= depth:
            found, depth = fields[2], len(point.parts)
    return found if found in NETWORK_TYPES else None


def _unescaped(text: str) -> str:
    """The kernel writes space, tab, newline and backslash as three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
