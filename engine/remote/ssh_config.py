"""What of an OpenSSH client configuration is honoured for a hop, and what of it is not: both can be told.

The catalogue is the truth about where a host is and how it is reached, so `HostName`, `User`, `Port` and `ProxyJump` of a
configuration never count. Only what the catalogue does not say is taken: `IdentityFile`, `HostKeyAlias` and
`UserKnownHostsFile`. `Match` is honoured with `all` and `host`; nothing is ever executed.
"""

from __future__ import annotations

import getpass
import glob
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from engine.remote import problems
from engine.remote.hops import Hop

_HONOURED = {"identityfile", "hostkeyalias", "userknownhostsfile"}
_SEVERAL = {"identityfile"}  # every line counts; of the others the first
_DEPTH = 8  # of files that include files


@dataclass(frozen=True, slots=True)
class HopOptions:
    """What a configuration adds for one hop; without any, everything is empty."""

    identity_files: tuple[Path, ...] = ()
    host_key_alias: str = ""
    known_hosts: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundOption:
    """A line of the configuration that is meant for a hop. `honoured` False: the cockpit does not act on it."""

    keyword: str
    value: str
    file: Path
    line: int
    honoured: bool


@dataclass(frozen=True, slots=True)
class _Line:
    keyword: str
    words: tuple[str, ...]
    file: Path
    number: int


class SshConfig:
    """Read at the first question, and then kept. `load(None)` is empty."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lines: list[_Line] | None = None
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
            honoured = [option for option in self.found(hop) if option.honoured]
            found = self._options[hop] = HopOptions(
                tuple(_path(option.value, hop) for option in honoured if option.keyword.lower() == "identityfile"),
                next((option.value for option in honoured if option.keyword.lower() == "hostkeyalias"), ""),
                tuple(
                    _path(word, hop)
                    for option in honoured
                    if option.keyword.lower() == "userknownhostsfile"
                    for word in _words(option.value)
                ),
            )
        return found

    def found(self, hop: Hop) -> tuple[FoundOption, ...]:
        """Every line that is meant for the hop by its name or its address, in the file's order, later ones that an earlier one
        outdoes left out. Raises RemoteError `ssh_config_unreadable`."""
        if self._path is None:
            return ()
        if self._lines is None:
            self._lines = list(_read(self._path, hop, 0))
        found: list[FoundOption] = []
        seen: set[str] = set()
        meant = True
        certain = True  # a Match that cannot be judged here: its lines are shown, never honoured
        for line in self._lines:
            key = line.keyword.lower()
            if key == "host":
                meant, certain = _matches(line.words, hop), True
            elif key == "match":
                meant, certain = _judge(line.words, hop)
            elif meant and (key in _SEVERAL or key not in seen):
                if certain:
                    seen.add(key)
                found.append(
                    FoundOption(
                        line.keyword,
                        shlex.join(line.words) if len(line.words) > 1 else "".join(line.words),
                        line.file,
                        line.number,
                        certain and key in _HONOURED,
                    )
                )
        return tuple(found)


def _read(path: Path, hop: Hop, depth: int) -> Iterator[_Line]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    except OSError as error:
        raise problems.ssh_config_unreadable(hop, str(path), error.strerror or str(error)) from error
    for number, raw in enumerate(text.splitlines(), start=1):
        words = _words(raw)
        if not words:
            continue
        keyword, equals, first = words[0].partition("=")
        values = tuple(word for word in (first if equals else "", *words[1:]) if word not in ("", "="))
        if keyword.lower() != "include":
            yield _Line(keyword, values, path, number)
        elif depth < _DEPTH:
            for pattern in values:
                wanted = Path(pattern).expanduser()
                for name in sorted(glob.glob(str(wanted if wanted.is_absolute() else path.parent / wanted))):
                    yield from _read(Path(name), hop, depth + 1)


def _words(text: str) -> list[str]:
    """As OpenSSH splits a line: quotes hold words together, `#` begins a comment at the start of a word."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = "#" if text.lstrip().startswith("#") else ""
    lexer.escape = ""
    try:
        return list(lexer)
    except ValueError:  # a quote without its end: OpenSSH refuses the file; here the line alone counts for nothing
        return []


def _judge(words: tuple[str, ...], hop: Hop) -> tuple[bool, bool]:
    """(meant, certain) of a Match line."""
    match [word.lower() for word in words]:
        case ["all"]:
            return True, True
        case ["host" | "originalhost", _]:
            return _matches(tuple(words[1].split(",")), hop), True
        case _:
            return True, False


def _matches(patterns: tuple[str, ...], hop: Hop) -> bool:
    meant = False
    for pattern in patterns:
        fits = any(fnmatchcase(name.lower(), pattern.lstrip("!").lower()) for name in (hop.name, hop.address))
        if fits and pattern.startswith("!"):
            return False
        meant = meant or fits
    return meant


def _path(text: str, hop: Hop) -> Path:
    names = {"%%": "%", "%d": str(Path.home()), "%h": hop.address, "%n": hop.name, "%p": str(hop.port), "%r": hop.user}
    names["%u"] = getpass.getuser()
    made, at = "", 0
    while at < len(text):
        token = text[at : at + 2]
        made += names.get(token, text[at])
        at += 2 if token in names else 1
    return Path(made).expanduser()
