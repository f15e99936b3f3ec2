"""The palettes: dark, light, high contrast, and 16 colours for terminals that have no more.

Over SSH 256 colours are the usual case, so every colour is a cell of the 256-colour cube, and one that stays readable when a
terminal takes it down to 16. What has the focus is told by shape as well (an edge, `>`), never by a shade alone; glyphs and words
stand beside every state. `tests/screens/test_contrast.py` measures all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from textual.theme import Theme


@dataclass(frozen=True, slots=True)
class _Colours:
    """All that a palette says. `cursor` is what has the focus, `quiet` what is said beside; the rest are an order's states and the
    marks of a workspace."""

    text: str
    ground: str
    field: str
    quiet: str
    cursor: str
    cursor_text: str
    edge: str
    ok: str
    run: str
    wait: str
    fail: str
    back: str
    production: str
    workspace: str
    mark_text: str = "#ffffff"


def _widgets(of: _Colours) -> dict[str, str]:
    """The framework's own variables: every widget wears the palette, none a shade that the framework has worked out."""
    return {
        "row-cursor": of.cursor,
        "row-cursor-text": of.cursor_text,
        "field": of.field,
        "quiet": of.quiet,
        "edge": of.edge,
        "border": of.cursor,
        "border-blurred": of.edge,
        "block-cursor-foreground": of.cursor_text,
        "block-cursor-background": of.cursor,
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-foreground": of.text,
        "block-cursor-blurred-background": of.ground,
        "block-cursor-blurred-text-style": "underline",
        "block-hover-background": of.field,
        "input-cursor-background": of.text,
        "input-cursor-foreground": of.ground,
        "input-cursor-text-style": "none",
        "input-selection-background": of.cursor,
        "input-selection-foreground": of.cursor_text,
        "screen-selection-background": of.cursor,
        "screen-selection-foreground": of.cursor_text,
        "text-disabled": of.quiet,
        "text-muted": of.quiet,
        "button-foreground": of.text,
        "button-focus-text-style": "bold",
        "scrollbar": of.edge,
        "scrollbar-hover": of.cursor,
        "scrollbar-active": of.cursor,
        "scrollbar-background": of.ground,
        "scrollbar-background-hover": of.ground,
        "scrollbar-background-active": of.ground,
        "scrollbar-corner-color": of.ground,
    }


def _states(of: _Colours) -> dict[str, str]:
    return {
        "state-ok": of.ok,
        "state-run": of.run,
        "state-wait": of.wait,
        "state-fail": of.fail,
        "state-back": of.back,
        "state-idle": of.quiet,
        "production": of.production,
        "production-text": of.mark_text,
        "workspace": of.workspace,
        "workspace-text": of.mark_text,
    }


def _theme(
    name: str, of: _Colours, *, dark: bool = True, ansi: bool = False, variables: Mapping[str, str] | None = None
) -> Theme:
    """The framework's main colours are those of the states: what runs is the main one."""
    return Theme(
        name=name,
        primary=of.run,
        secondary=of.run,
        warning=of.wait,
        error=of.fail,
        success=of.ok,
        accent=of.run,
        foreground=of.text,
        background=of.ground,
        surface=of.ground,
        panel=of.field,
        boost=of.ground if ansi else None,
        dark=dark,
        ansi=ansi,
        variables={**_widgets(of), **_states(of), **(variables or {})},
    )


DARK = _theme(
    "dark",
    _Colours(
        text="#dadada",
        ground="#121212",
        field="#262626",
        quiet="#a8a8a8",
        cursor="#5fd7ff",
        cursor_text="#000000",
        edge="#8a8a8a",
        ok="#5fd75f",
        run="#5fd7ff",
        wait="#ffd75f",
        fail="#ff5f5f",
        back="#ff87ff",
        production="#870000",
        workspace="#005f87",
    ),
)
LIGHT = _theme(
    "light",
    _Colours(
        text="#000000",
        ground="#ffffff",
        field="#eeeeee",
        quiet="#585858",
        cursor="#0000af",
        cursor_text="#ffffff",
        edge="#767676",
        ok="#005f5f",
        run="#0000af",
        wait="#875f00",
        fail="#af0000",
        back="#870087",
        production="#af0000",
        workspace="#0000af",
    ),
    dark=False,
)
HIGH_CONTRAST = _theme(
    "high-contrast",
    _Colours(
        text="#ffffff",
        ground="#000000",
        field="#000000",
        quiet="#d0d0d0",
        cursor="#ffff00",
        cursor_text="#000000",
        edge="#ffffff",
        ok="#00ff00",
        run="#00ffff",
        wait="#ffff00",
        fail="#ff5f5f",
        back="#ff87ff",
        production="#af0000",
        workspace="#0000af",
    ),
)
ANSI = _theme(
    "ansi",
    _Colours(
        text="ansi_default",
        ground="ansi_default",
        field="ansi_default",
        quiet="ansi_default",
        cursor="ansi_cyan",
        cursor_text="ansi_black",
        edge="ansi_default",
        ok="ansi_green",
        run="ansi_cyan",
        wait="ansi_bright_yellow",
        fail="ansi_bright_red",
        back="ansi_bright_magenta",
        production="ansi_red",
        workspace="ansi_blue",
        mark_text="ansi_bright_white",
    ),
    ansi=True,
    variables={
        "ansi-background": "ansi_black",
        "ansi-foreground": "ansi_white",
        "input-cursor-background": "ansi_white",
        "input-cursor-foreground": "ansi_black",
    },
)

PALETTES = (DARK, LIGHT, HIGH_CONTRAST, ANSI)


def palette_for(wanted: str | None, *, colours: int | None) -> str:
    """The palette's name: the wanted one if it exists, else 16 colours where the terminal has no more, else dark."""
    if wanted in {theme.name for theme in PALETTES}:
        return str(wanted)
    return ANSI.name if colours is not None and colours <= 16 else DARK.name
