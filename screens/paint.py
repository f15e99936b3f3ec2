"""Tones into styles: the palette in use, as rich styles for lines that widgets draw themselves."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text
from textual.color import Color
from textual.strip import Strip

from screens import words
from screens.words import AnyState, Tone

if TYPE_CHECKING:
    from textual.app import App


class Paint:
    """Styles of one palette. `variables` are the theme's CSS variables; a tone is found as `state-<tone>`."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._styles = {tone: _style(variables.get(f"state-{tone}", "ansi_default")) for tone in Tone}
        self.dim = _style(variables.get("state-idle", "ansi_default"))
        self.strong = Style(bold=True)
        self.plain = Style()

    def tone(self, tone: Tone) -> Style:
        return self._styles[tone]

    def state(self, state: AnyState) -> Style:
        return self._styles[words.tone(state)]

    def glyph(self, state: AnyState) -> Text:
        return Text().append(words.glyph(state), self.state(state))

    def glyph_and_word(self, state: AnyState) -> Text:
        return Text().append(f"{words.glyph(state)} {words.word(state)}", self.state(state))


def strip_of(text: Text, app: App[object]) -> Strip:
    """The text as a strip, its own style included (rich leaves that out when a text has no spans)."""
    text.stylize_before(text.style)
    return Strip(list(text.render(app.console, end="")), text.cell_len)


def paint_of(app: App[object]) -> Paint:
    """The paint of the theme the app wears now."""
    variables = app.theme_variables
    return _paint(tuple((name, variables[name]) for name in sorted(variables) if name.startswith("state-")))


@lru_cache(8)
def _paint(variables: tuple[tuple[str, str], ...]) -> Paint:
    return Paint(dict(variables))


def _style(colour: str) -> Style:
    return Style(color=Color.parse(colour).rich_color)
