"""The list of contents of a .tar.gz, read from a stream as it comes: nothing is unpacked, nothing of it is kept."""

from __future__ import annotations

import tarfile
import time
import zlib
from typing import IO, Protocol, cast

from engine.domain.archive import Member, MemberKind

MOST_MEMBERS = 100_000


class Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class ArchiveBroken(Exception):
    """The stream is no whole .tar.gz."""


class ArchiveTooBig(Exception):
    """Its list could not be read in the time or the room there is."""


def contents(stream: Stream, *, within_s: float) -> tuple[Member, ...]:
    """Raises ArchiveBroken, ArchiveTooBig, and whatever the stream raises."""
    until = time.monotonic() + within_s
    members: list[Member] = []
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", _Reading(stream, until)), mode="r|gz") as tar:
            for one in tar:
                if len(members) >= MOST_MEMBERS:
                    raise ArchiveTooBig(f"more than {MOST_MEMBERS} members")
                members.append(member_of(one))
                # tarfile keeps every header it has read.
                tar.members = []  # type: ignore[attr-defined]
    except (tarfile.TarError, zlib.error, EOFError, UnicodeError, ValueError) as error:
        raise ArchiveBroken(str(error)) from error
    return tuple(members)


def member_of(one: tarfile.TarInfo) -> Member:
    kinds = ((one.isfile, MemberKind.FILE), (one.isdir, MemberKind.FOLDER), (one.issym, MemberKind.LINK))
    kind = next((kind for fits, kind in kinds if fits()), MemberKind.HARD_LINK if one.islnk() else MemberKind.OTHER)
    return Member(one.name, kind, one.linkname if kind in (MemberKind.LINK, MemberKind.HARD_LINK) else "")


class _Reading:
    """Ends a reading whose time is over, in the thread that reads."""

    def __init__(self, stream: Stream, until: float) -> None:
        self._stream, self._until = stream, until

    def read(self, size: int, /) -> bytes:
        if time.monotonic() > self._until:
            raise ArchiveTooBig("not read in time")
        return self._stream.read(size)
