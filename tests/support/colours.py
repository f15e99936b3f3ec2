"""What a terminal really shows: the cells of a screen after Rich's own reduction to 256 or 16 colours, and their contrast."""

from __future__ import annotations

from dataclasses import dataclass

from rich.color import Color as RichColor
from rich.color import ColorSystem, ColorType
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from textual.app import App
from textual.color import Color
from textual.filter import LineFilter

SYSTEMS = {"truecolor": ColorSystem.TRUECOLOR, "256": ColorSystem.EIGHT_BIT, "16": ColorSystem.STANDARD}
_VGA = [
    (0, 0, 0), (170, 0, 0), (0, 170, 0), (170, 85, 0), (0, 0, 170), (170, 0, 170), (0, 170, 170), (170, 170, 170),
    (85, 85, 85), (255, 85, 85), (85, 255, 85), (255, 255, 85), (85, 85, 255), (255, 85, 255), (85, 255, 255), (255, 255, 255),
]  # fmt: skip
TERMINAL = TerminalTheme((0, 0, 0), (229, 229, 229), _VGA[:8], _VGA[8:])
TERMINALS = (TERMINAL, TerminalTheme((255, 255, 255), (0, 0, 0), _VGA[:8], _VGA[8:]))  # dark and light
Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class Cell:
    char: str
    text: Rgb
    ground: Rgb
    marks: tuple[bool, bool, bool]  # reverse, bold, underline: what is left without colours


def reduced(colour: RichColor | None, system: ColorSystem, *, foreground: bool) -> RichColor:
    if colour is None:
        colour = RichColor.default()
    return colour if colour.type is ColorType.DEFAULT else colour.downgrade(system)


def cells(app: App[object], system: ColorSystem, terminal: TerminalTheme = TERMINAL) -> list[list[Cell]]:
    """The screen as it is, row by row; a wide character takes one cell here."""
    return [
        [cell for segment in strip for cell in _cells(segment, system, terminal)]
        for strip in app.screen._compositor.render_strips()
    ]


def _cells(segment: Segment, system: ColorSystem, terminal: TerminalTheme) -> list[Cell]:
    style = segment.style or Style()
    text = tuple(reduced(style.color, system, foreground=True).get_truecolor(terminal, foreground=True))
    ground = tuple(reduced(style.bgcolor, system, foreground=False).get_truecolor(terminal, foreground=False))
    if style.reverse:
        text, ground = ground, text
    marks = (bool(style.reverse), bool(style.bold), bool(style.underline))
    return [Cell(char, text, ground, marks) for char in segment.text]


def contrast(one: Rgb, other: Rgb) -> float:
    """As WCAG has it: 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Rgb) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (c / 255 for c in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


class Reduced(LineFilter):
    """For pictures: every colour is the one that a terminal of `system` would show."""

    def __init__(self, system: ColorSystem) -> None:
        super().__init__()
        self._system = system

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.control else Segment(segment.text, self._reduced(segment.style or Style()))
            for segment in segments
        ]

    def _reduced(self, style: Style) -> Style:
        text = reduced(style.color, self._system, foreground=True).get_truecolor(TERMINAL, foreground=True)
        ground = reduced(style.bgcolor, self._system, foreground=False).get_truecolor(TERMINAL, foreground=False)
        return style + Style(color=RichColor.from_triplet(text), bgcolor=RichColor.from_triplet(ground))
