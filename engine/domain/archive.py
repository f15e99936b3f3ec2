"""What may be in an archive that a host unpacks: judged from its list of contents, before any host has it.

Pure. `engine.steps.unpack` looks at the same things on the host, in sh.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

MOST_LINKS_FOLLOWED = 40


class MemberKind(StrEnum):
    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    HARD_LINK = "hard_link"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Member:
    """`target` is a link's text, or the name of the member that a hard link is another name of."""

    name: str
    kind: MemberKind
    target: str = ""


def unsafe(members: Iterable[Member]) -> tuple[str, ...]:
    """What would write outside the archive's folder, or is no file, folder or link: each as a line to show."""
    listed = list(members)
    links = {_clean(one.name): one.target for one in listed if one.kind is MemberKind.LINK}
    found = [line for one in listed for line in _of_member(one, links)]
    found += _twice(listed)
    return tuple(dict.fromkeys(found))


def missing(members: Iterable[Member], paths: Sequence[str]) -> tuple[str, ...]:
    """Those of the paths that are neither a file nor a link in the archive."""
    there = {_clean(one.name) for one in members if one.kind not in (MemberKind.FOLDER, MemberKind.OTHER)}
    return tuple(path for path in paths if _clean(path) not in there)


def _of_member(one: Member, links: dict[str, str]) -> list[str]:
    if one.name.startswith("/") or ".." in one.name.split("/"):
        return [one.name]
    if one.kind is MemberKind.OTHER:
        return [f"{one.name} is neither file nor folder nor link"]
    path = _clean(one.name)
    found = [f"{path} lies behind the link {above}" for above in _above(path) if above in links]
    if one.kind is MemberKind.LINK and not _stays(_parent(path), one.target, links):
        found.append(f"{path} -> {one.target}")
    # A hard link names a member, and a member's name never has "..".
    if one.kind is MemberKind.HARD_LINK and (".." in one.target.split("/") or not _stays("", one.target, links)):
        found.append(f"{path} link to {one.target}")
    return found


def _stays(base: str, rest: str, links: dict[str, str]) -> bool:
    """Whether `rest`, read from the folder `base`, stays inside. It is followed as a kernel would, through other links."""
    at, todo, followed = [part for part in base.split("/") if part], _parts(rest), 0
    if rest.startswith("/"):
        return False
    while todo:
        part = todo.pop(0)
        if part == "..":
            if not at:
                return False
            at.pop()
            continue
        there = "/".join([*at, part])
        if there not in links:
            at.append(part)
            continue
        followed += 1
        if followed > MOST_LINKS_FOLLOWED or links[there].startswith("/"):
            return False
        todo = _parts(links[there]) + todo
    return True


def _twice(members: Sequence[Member]) -> list[str]:
    """A link that is also something else, or leads to two places: which one a host would follow depends on its tar."""
    seen: dict[str, str] = {}
    found = []
    for one in members:
        path = _clean(one.name)
        says = f"-> {one.target}" if one.kind is MemberKind.LINK else ""
        if seen.setdefault(path, says) != says:
            found.append(f"{one.name} is there twice")
        seen[path] = says
    return found


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _clean(path: str) -> str:
    return "/".join(_parts(path))


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
