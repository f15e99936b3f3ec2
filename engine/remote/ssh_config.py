"""What of an OpenSSH client configuration is honoured for a hop, and what of it is not: both can be told.

The catalogue is the truth about where a host is and how it is reached, so `HostName`, `User`, `Port` and `ProxyJump` of a
configuration never count. Only what the catalogue does not say is taken: the keys that are offered and the host keys that are
known. How lines are split, included and meant for a host is `ssh_config_lines`'.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import platform
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.remote import problems
from engine.remote.hops import Hop
from engine.remote.ssh_config_lines import Line, Reading, Target, Unreadable

_ONE_WORD = {"identityfile", "hostkeyalias", "identitiesonly", "identityagent"}
HONOURED = {*_ONE_WORD, "userknownhostsfile"}
_SEVERAL = {"identityfile"}  # every line counts; of the others the first
_YES = {"yes": True, "true": True, "no": False, "false": False}


@dataclass(frozen=True, slots=True)
class HopOptions:
    """What a configuration adds for one hop; without any nothing is changed. `usual_identities` False: some were named, or `none`.
    `known_hosts` None: the usual ones. `identity_agent` is `none`, a path, or empty for the usual one."""

    identity_files: tuple[Path, ...] = ()
    usual_identities: bool = True
    identities_only: bool = False
    identity_agent: str = ""
    host_key_alias: str = ""
    known_hosts: tuple[Path, ...] | None = None


@dataclass(frozen=True, slots=True)
class FoundOption:
    """A line of the configuration that is meant for a hop. `honoured` False: the cockpit does not act on it."""

    keyword: str
    value: str
    file: Path
    line: int
    honoured: bool


class SshConfig:
    """Read at the first question, and then kept. `load(None)` is empty."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._files: dict[Path, tuple[Line, ...]] = {}
        self._options: dict[Hop, HopOptions] = {}

    @classmethod
    def load(cls, path: Path | None) -> SshConfig:
        return cls(path.expanduser() if path else None)

    def options(self, hop: Hop) -> HopOptions:
        """Raises RemoteError `ssh_config_unreadable`."""
        if self._path is None:
            return HopOptions()
        found = self._options.get(hop)
        if found is None:
            found = self._options[hop] = _options(self._counting(hop), hop)
        return found

    def found(self, hop: Hop) -> tuple[FoundOption, ...]:
        """Every line that is meant for the hop by its name or its address, in the file's order, later ones that an earlier one
        outdoes left out. Raises RemoteError `ssh_config_unreadable`."""
        return tuple(
            FoundOption(line.keyword, _shown(line), line.file, line.number, honoured)
            for line, honoured in self._counting(hop)
        )

    def _counting(self, hop: Hop) -> list[tuple[Line, bool]]:
        """(line, honoured)"""
        if self._path is None:
            return []
        target = Target(tuple(dict.fromkeys((hop.name, hop.address))), hop.address, hop.user)
        try:
            meant = Reading(self._files, target).lines(self._path)
        except Unreadable as error:
            raise problems.ssh_config_unreadable(hop, str(error.file), error.cause) from error
        counting: list[tuple[Line, bool]] = []
        seen: set[tuple[str, ...]] = set()
        for each in meant:
            line, key = each.line, each.line.keyword.lower()
            honoured = each.certain and key in HONOURED and _is_whole(key, line.words)
            what = (key, *(line.words or ())) if key in _SEVERAL else (key,)
            if what in seen:
                continue
            if each.certain and line.words is not None:
                seen.add(what)
            counting.append((line, honoured))
        return counting


def _is_whole(key: str, words: Sequence[str] | None) -> bool:
    """Not broken: `ssh` refuses a configuration with such a line; here the line alone counts for nothing."""
    if not words or "" in words:
        return False
    if key == "identitiesonly" and words[0].lower() not in _YES:
        return False
    return len(words) == 1 or key not in _ONE_WORD


def _shown(line: Line) -> str:
    if line.words is None:
        return line.rest
    return shlex.join(line.words) if len(line.words) > 1 else "".join(line.words)


def _options(counting: Sequence[tuple[Line, bool]], hop: Hop) -> HopOptions:
    said: dict[str, list[tuple[str, ...]]] = {}
    for line, honoured in counting:
        if honoured:
            said.setdefault(line.keyword.lower(), []).append(line.words or ())
    one = {key: values[0][0] for key, values in said.items()}
    alias = one.get("hostkeyalias", "").lower()  # as OpenSSH does
    files = [words[0] for words in said.get("identityfile", ())]
    known = said.get("userknownhostsfile")
    return HopOptions(
        identity_files=tuple(Path(expand(file, hop, alias)) for file in files if file.lower() != "none"),
        usual_identities=not files,
        identities_only=_YES[one.get("identitiesonly", "no").lower()],
        identity_agent=_agent(one.get("identityagent", ""), hop, alias),
        host_key_alias=alias,
        known_hosts=tuple(Path(expand(file, hop, alias)) for file in known[0] if file.lower() != "none")
        if known
        else None,
    )


def _agent(value: str, hop: Hop, alias: str) -> str:
    if value in ("", "none", "SSH_AUTH_SOCK"):
        return value
    if value.startswith("$") and not value.startswith(
        "${"
    ):  # the old way to name a variable; one that is not set: no agent
        return os.environ.get(value[1:], "") or "none"
    return expand(value, hop, alias)


def expand(text: str, hop: Hop, alias: str = "") -> str:
    """`~`, `%` tokens and `${VARIABLES}` as OpenSSH fills them in for a file; what is unknown stays as it is."""
    name, port = platform.node(), str(hop.port)
    tokens = {
        "%": "%",
        "d": str(Path.home()),
        "h": hop.address.lower(),
        "i": str(os.getuid()),
        "k": alias or hop.name,
        "L": name.partition(".")[0],
        "l": name,
        "n": hop.name,
        "p": port,
        "r": hop.user,
        "u": getpass.getuser(),
        "C": hashlib.sha1(f"{name}{hop.address.lower()}{port}{hop.user}".encode()).hexdigest(),
    }
    return re.sub(
        r"%(.)|\$\{(\w+)\}",
        lambda found: tokens.get(found[1], found[0]) if found[1] else os.environ.get(found[2], found[0]),
        os.path.expanduser(text),
    )
