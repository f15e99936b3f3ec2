"""What no widget may let through: the last stop of every line before it reaches the terminal.

Remote text is cleaned where it is taken in; `HostileText` is the second wall, for whatever came another way (a catalogue
file, a title, an address). `AsciiOnly` serves terminals that draw box and symbol characters two cells wide or not at all,
`NoColours` people who want none. All keep every segment's width, so that nothing on the line moves.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter, Monochrome, NoColor

from engine.domain.clean import HIDDEN_CHARS, visible
from screens.cockpit import Cockpit

# C0, DEL, C1; line and paragraph separators; what can't be seen or would let text lie about its order
_HOSTILE = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029{HIDDEN_CHARS}]")

_ASCII = str.maketrans(
    {
        **dict.fromkeys("─╌╍┄┅┈┉╴╶▔▁", "-"),
        **dict.fromkeys("━═", "="),
        **dict.fromkeys("│┃║╎╏┆┇┊┋▏▕▎▍▌▐", "|"),
        **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯┏┓┗┛┣┫┳┻╋╔╗╚╝╠╣╦╩╬", "+"),
        **dict.fromkeys("█▇▆▅▄▉▊▋▀", "#"),
        **dict.fromkeys("░▒▓▃▂", "."),
        "✔": "v",
        "✓": "v",
        "✗": "x",
        "✘": "x",
        "▶": ">",
        "▸": ">",
        "◀": "<",
        "‖": "=",
        "·": ".",
        "•": "*",
        "⊘": "/",
        "↺": "<",
        "»": "~",
        "○": "o",
        "●": "*",
        "→": ">",
        "←": "<",
        "↑": "^",
        "↓": "v",
        "▲": "^",
        "▼": "v",
        "…": "~",
        "×": "x",
        "≥": ">",
        "≤": "<",
    }
)


def without_hostile_text(text: str) -> str:
    """For text that has no place on a line yet: `·` for what can't be seen or turns text around, and for every other control
    character as many spaces as it takes cells."""
    return _blanked(visible(text))


def _blanked(text: str) -> str:
    """As wide as it was."""
    return _HOSTILE.sub(lambda match: " " * cell_len(match.group()), text)


def in_ascii(text: str) -> str:
    """Letters of any language stay; symbols become one ASCII character for each cell they take."""
    return "".join(_ascii_char(char) for char in text.translate(_ASCII))


def _ascii_char(char: str) -> str:
    if char.isascii() or not unicodedata.category(char).startswith("S"):
        return char
    return "*" * cell_len(char)


class HostileText(LineFilter):
    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            Segment(_blanked(text), style, control) if not control and _HOSTILE.search(text) else segment
            for segment in segments
            for text, style, control in (segment,)
        ]


class AsciiOnly(LineFilter):
    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.control or segment.text.isascii() else Segment(in_ascii(segment.text), segment.style)
            for segment in segments
        ]


class NoColours(LineFilter):
    """Grays; in a palette made of the terminal's own colours nothing but its text on its ground, and blocks reversed. The palette
    may change at any time (the framework's own choice is made once, before there is a palette)."""

    def __init__(self, app: Cockpit) -> None:
        super().__init__()
        self._app = app
        self._grays = Monochrome()

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if not self._app.native_ansi_color:
            return self._grays.apply(segments, background)
        return [
            Segment(text, None if style is None else _as_the_terminal(style), control)
            for text, style, control in segments
        ]


@lru_cache(1024)
def _as_the_terminal(style: Style) -> Style:
    block = style.bgcolor is not None and not style.bgcolor.is_default
    return style + NoColor.DEFAULT_COLORS + Style(reverse=block or style.reverse)
