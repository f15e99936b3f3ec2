"""The lines of OpenSSH client configurations: split and included as `ssh` does it, and which of them are meant for somebody.

Knows no option; what one means is `ssh_config`'s. Nothing is ever executed.
"""

from __future__ import annotations

import getpass
import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.remote.patterns import any_fits, any_forbids, listed

_DEPTH = 16  # of files that include files, as in OpenSSH
_BLANK = " \t\r\n"
_ATTRIBUTES = re.compile(r'[ \t]*(?:"(?P<quoted>[^"]*)"|(?P<word>[^ \t="]+))(?:[ \t]*=)?')


@dataclass(frozen=True, slots=True)
class Line:
    """`words` is None when the line is broken (a quote without its end)."""

    keyword: str
    words: tuple[str, ...] | None
    rest: str
    file: Path
    number: int


@dataclass(frozen=True, slots=True)
class Meant:
    """A line that is meant for somebody. `certain` False: it stands under a Match that cannot be judged here."""

    line: Line
    certain: bool


@dataclass(frozen=True, slots=True)
class Target:
    """Whom the lines are asked for: as one would type it (`names`), where that is (`address`), and as whom one logs in there."""

    names: tuple[str, ...]
    address: str
    user: str


class Unreadable(Exception):
    def __init__(self, file: Path, cause: str) -> None:
        super().__init__(f"{file}: {cause}")
        self.file = file
        self.cause = cause


def read_lines(path: Path) -> tuple[Line, ...]:
    """Raises Unreadable; a file that is not there is empty."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise Unreadable(path, error.strerror or str(error)) from error
    lines = (_line(raw, path, number) for number, raw in enumerate(text.split("\n"), start=1))
    return tuple(line for line in lines if line is not None)


def _line(raw: str, path: Path, number: int) -> Line | None:
    text = raw.strip(_BLANK + "\f")
    if not text or text.startswith("#"):
        return None
    found = re.match(r'"([^"]*)"[ \t]*|([^ \t="]+)[ \t]*(?:=[ \t]*)?', text)
    if found is None:
        return None
    rest = text[found.end() :]
    return Line(found.group(1) or found.group(2) or "", split_words(rest), rest, path, number)


def split_words(text: str) -> tuple[str, ...] | None:
    """As OpenSSH's argv_split: both quotes hold words together, a backslash escapes quotes, backslashes and (outside of quotes)
    blanks, `#` at the start of a word begins a comment. None: a quote has no end."""
    words: list[str] = []
    at = 0
    while at < len(text):
        if text[at] in " \t":
            at += 1
            continue
        if text[at] == "#":
            break
        word, at, closed = _word(text, at)
        if not closed:
            return None
        words.append(word)
    return tuple(words)


def _word(text: str, at: int) -> tuple[str, int, bool]:
    """(word, where it ended, whether its quotes are closed)"""
    word, quote = "", ""
    while at < len(text):
        sign, after = text[at], text[at + 1 : at + 2]
        if sign == "\\" and after and (after in "'\"\\" or (after == " " and not quote)):
            word += after
            at += 1
        elif not quote and sign in " \t":
            break
        elif not quote and sign in "'\"":
            quote = sign
        elif quote and sign == quote:
            quote = ""
        else:
            word += sign
        at += 1
    return word, at, not quote


# ------------------------------------------------------------------------------------------------------------ who is meant


class Reading:
    """One reading of a configuration for one target. Files are read once for all of them."""

    def __init__(self, files: dict[Path, tuple[Line, ...]], target: Target) -> None:
        self._files = files
        self._target = target
        self._final_wanted = False

    def lines(self, path: Path) -> tuple[Meant, ...]:
        """Those that are meant, in order. A `Match final` has everything read once more, as in OpenSSH. Raises Unreadable."""
        first = tuple(self._walk(path, (path,), (True, True), final=False, never=False))
        if not self._final_wanted:
            return first
        return first + tuple(self._walk(path, (path,), (True, True), final=True, never=False))

    def _walk(
        self, path: Path, chain: tuple[Path, ...], state: tuple[bool, bool], *, final: bool, never: bool
    ) -> Iterator[Meant]:
        """`state` is (meant, certain). What an included file says of hosts ends with it; where it is not meant nothing in it is."""
        if path not in self._files:
            self._files[path] = read_lines(path)
        for line in self._files[path]:
            key, words = line.keyword.lower(), line.words or ()
            if key == "host":
                # OpenSSH knows the name in lower case by the time it reads everything once more.
                names = [name.lower() if final else name for name in self._target.names]
                meant = any(any_fits(name, words) for name in names) and not any(any_forbids(n, words) for n in names)
                state = (meant and not never, True)
            elif key == "match":
                meant, certain = self._judge(line.rest, final=final)
                state = (meant and not never, certain)
            elif key == "include":
                # A file within itself, which OpenSSH refuses, adds nothing.
                inner = [file for file in _included(words) if file not in chain and len(chain) < _DEPTH]
                for file in inner:
                    yield from self._walk(file, (*chain, file), state, final=final, never=never or not state[0])
            elif state[0]:
                yield Meant(line, state[1])

    def _judge(self, text: str, *, final: bool) -> tuple[bool, bool]:
        """(meant, certain) of a Match line. What cannot be judged here (a command, a network) is not certain, unless something
        that can be says no."""
        words = _attributes(text)
        result, certain, at = True, True, 0
        while at < len(words):
            attribute, negated = words[at].removeprefix("!").lower(), words[at].startswith("!")
            at += 1
            if attribute == "all":
                return (not negated and result, certain) if len(words) == 1 else (False, True)
            if attribute in ("canonical", "final"):
                self._final_wanted = self._final_wanted or attribute == "final"
                result = result and final != negated
                continue
            if at >= len(words):
                return False, True  # OpenSSH refuses the file
            holds = self._holds(attribute, words[at])
            at += 1
            if holds is None:
                certain = False
            elif holds == negated:
                result = False
        return (result and bool(words), certain or not result)

    def _holds(self, attribute: str, value: str) -> bool | None:
        target = self._target
        match attribute:
            case "host":
                return listed(target.address.lower(), value.lower().split(","))
            case "originalhost":
                return any(listed(name.lower(), value.lower().split(",")) for name in target.names)
            case "user":
                return listed(target.user, value.split(","))
            case "localuser":
                return listed(getpass.getuser(), value.split(","))
            case _:
                return None


def _attributes(text: str) -> tuple[str, ...]:
    """As OpenSSH's strdelim: words end at blanks or at one `=`; quotes hold words together."""
    found: list[str] = []
    at = 0
    while (match := _ATTRIBUTES.match(text, at)) is not None:
        quoted = match.group("quoted")
        word = quoted if quoted is not None else match.group("word")
        if quoted is None and word.startswith("#"):
            break
        found.append(word)
        at = match.end()
    return tuple(found)


def _included(patterns: Sequence[str]) -> Iterator[Path]:
    for pattern in patterns:
        wanted = Path(pattern).expanduser()
        if not wanted.is_absolute():
            wanted = Path.home() / ".ssh" / wanted
        yield from (Path(name) for name in sorted(glob.glob(str(wanted))))
