"""Makes text that came from outside (hosts, wires) fit for a screen, a log file and the store.

Removes what could act on a terminal (escape sequences, control characters), marks with `·` what could deceive a reader (characters
that can't be seen or turn text around), bounds lines, blanks the signed parts of URLs.
Never changes what ordinary text says, and never holds more than one line in memory.
"""

from __future__ import annotations

import codecs
import re

MAX_LINE = 65_536  # characters; a longer line is wrapped
WRAP_NOTE = " …⏎"  # stands at the end of each part of a wrapped line

_SEQUENCE_LIMIT = 4_096  # characters; a sequence not ended by then is taken for damaged and its ESC dropped

_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI
    rf"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]{{0,{_SEQUENCE_LIMIT}}}(?:\x07|\x1b\\|\x9c|(?=\n))"  # OSC, DCS, …
    r"|\x1b[ -/]*[0-Z\\`-~]"  # two characters, or with intermediates
)
# What may still become a sequence when more arrives.
_UNFINISHED = re.compile(
    r"(?:(?:\x1b\[|\x9b)[0-?]*[ -/]*"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*\x1b?"
    r"|\x1b[ -/]*)\Z"
)
_CONTROL_CHARS = r"\x00-\x08\x0b-\x1f\x7f-\x9f"
_CONTROLS = re.compile(f"[{_CONTROL_CHARS}]")
_SEPARATORS = re.compile(r"[\u2028\u2029]")
# Soft hyphen, joiners and zero-width spaces, fillers, bidi marks and overrides, invisible operators, annotations, TAGs.
HIDDEN_CHARS = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    r"\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
HIDDEN = re.compile(f"[{HIDDEN_CHARS}]")
HIDDEN_MARK = "·"
# Anything at all that needs the slow way; `\r` stays for the progress lines.
_SUSPECT = re.compile(rf"[{_CONTROL_CHARS}\u2028\u2029{HIDDEN_CHARS}]")
_PLAIN_BYTES = bytes(range(0x20, 0x7F)) + b"\n\t"
_OVERWRITTEN = re.compile(r"[^\n]*\r(?=[^\r\n])")
_RETURNS = re.compile(r"\r+(?=\n|\Z)")

_SECRET_NAMES = (
    "x-oss-signature",
    "x-oss-credential",
    "x-oss-security-token",
    "signature",
    "ossaccesskeyid",
    "security-token",
    "securitytoken",
    "accesskeyid",
    "accesskeysecret",
)
_SECRET = re.compile(r"(?i)((?<![a-z0-9])(?:" + "|".join(_SECRET_NAMES) + r")=)[^&\s\"'<>]+")
_SECRET_HINTS = ("signature=", "credential=", "token=", "accesskeyid=", "accesskeysecret=")


def redact(text: str) -> str:
    """Blank the values of a signed URL's query: `Signature=***`."""
    if "=" not in text:
        return text
    lower = text.lower()
    if not any(hint in lower for hint in _SECRET_HINTS):
        return text
    return _SECRET.sub(r"\1***", text)


def visible(text: str) -> str:
    """The text with `·` for each character that can't be seen or that turns text around."""
    return text if text.isascii() else HIDDEN.sub(HIDDEN_MARK, text)


def clean_text(text: str | bytes) -> str:
    """A short text in one piece, cleaned and redacted; line breaks stay. Invalid UTF-8 becomes U+FFFD."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return redact(_clean(_UNFINISHED.sub("", text))).strip()


def _clean(text: str) -> str:
    if not _SUSPECT.search(text):
        return text
    text = _ESCAPES.sub("", text)
    if "\r" in text:
        text = _OVERWRITTEN.sub("", _RETURNS.sub("", text))
    return _CONTROLS.sub("", HIDDEN.sub(HIDDEN_MARK, _SEPARATORS.sub(" ", text)))


class LogCleaner:
    """A stream of raw output, cleaned as it comes: whole lines, in order.

    `feed` gives the lines that are complete, each ending with a newline, and keeps the rest; `flush` gives the rest, without
    one. Of a progress line drawn over and over with `\\r` the last state stays. A line beyond 64 Ki characters is wrapped.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._flushed = False  # the current line's beginning has been given out
        self._plain = True  # what is held needs no cleaning

    def feed(self, data: bytes) -> str:
        self._plain = self._plain and not data.translate(None, _PLAIN_BYTES)
        text = self._rest + self._decoder.decode(data)
        cut = text.rfind("\n") + 1
        whole, self._rest = text[:cut], text[cut:]
        cleaned = self._lines(whole) if whole else ""
        self._plain = self._plain or self._is_plain_rest()
        if len(self._rest) > MAX_LINE:
            cleaned += self._bounded_rest()
        return cleaned

    def flush(self) -> str:
        """What is left of the last line, for the end of a step; an unfinished escape sequence or character is dropped."""
        rest, self._rest = self._rest + self._decoder.decode(b"", final=True), ""
        cleaned = redact(_clean(_UNFINISHED.sub("", rest)))
        if cleaned and self._flushed and "\r" in rest:
            cleaned = "\n" + cleaned
        self._flushed = self._flushed or bool(cleaned)
        return cleaned

    def _lines(self, whole: str) -> str:
        first = whole[: whole.find("\n")] if self._flushed else ""
        cleaned = redact(whole if self._plain else _clean(whole))
        if "\r" in first.rstrip("\r"):  # drawn anew over what was given out before
            cleaned = "\n" + cleaned
        self._flushed = False
        return _wrapped(cleaned) if _has_overlong_line(cleaned) else cleaned

    def _is_plain_rest(self) -> bool:
        return not self._decoder.getstate()[0] and not _SUSPECT.search(self._rest)

    def _bounded_rest(self) -> str:
        """Clean the overlong beginning of a line and give it out wrapped, keeping what may not be torn apart."""
        held = _UNFINISHED.search(self._rest, max(0, len(self._rest) - _SEQUENCE_LIMIT))
        edge = held.start() if held else len(self._rest)
        cleaned = redact(_clean(self._rest[:edge]))
        pieces = []
        at = 0
        while len(cleaned) - at > MAX_LINE:
            cut = _cut(cleaned, at)
            pieces.append(cleaned[at:cut] + WRAP_NOTE + "\n")
            at = cut
        self._rest = cleaned[at:] + self._rest[edge:]
        return "".join(pieces)


def _cut(text: str, start: int) -> int:
    """Where to break an overlong line: at a space near the end, so that no URL is torn before it is redacted."""
    end = start + MAX_LINE
    space = text.rfind(" ", end - _SEQUENCE_LIMIT, end)
    return space + 1 if space >= 0 else end


def _has_overlong_line(text: str) -> bool:
    at = 0
    while len(text) - at > MAX_LINE + 1:
        newline = text.rfind("\n", at, at + MAX_LINE + 1)
        if newline < 0:
            return True
        at = newline + 1
    return False


def _wrapped(text: str) -> str:
    return "".join(_wrapped_line(line) for line in text.splitlines(keepends=True))


def _wrapped_line(line: str) -> str:
    pieces = []
    at = 0
    while len(line) - at > MAX_LINE + 1:
        cut = _cut(line, at)
        pieces.append(line[at:cut] + WRAP_NOTE + "\n")
        at = cut
    return "".join(pieces) + line[at:]
