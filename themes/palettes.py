"""The palettes: dark, light, high contrast, and 16 colours for terminals that have no more.

Over SSH 256 colours are the usual case, so every colour is a cell of the 256-colour cube, and one that stays readable when a
terminal takes it down to 16. What has the focus is told by shape as well (an edge, `>`), never by a shade alone; glyphs and words
stand beside every state. `tests/screens/test_contrast.py` measures all of it.
"""

from __future__ import annotations

from textual.theme import Theme


def _widgets(
    *, text: str, ground: str, field: str, quiet: str, cursor: str, cursor_text: str, edge: str
) -> dict[str, str]:
    """The framework's own variables: every widget wears the palette, none a shade that the framework has worked out."""
    return {
        "row-cursor": cursor,
        "row-cursor-text": cursor_text,
        "field": field,
        "quiet": quiet,
        "edge": edge,
        "border": cursor,
        "border-blurred": edge,
        "block-cursor-foreground": cursor_text,
        "block-cursor-background": cursor,
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-foreground": text,
        "block-cursor-blurred-background": ground,
        "block-cursor-blurred-text-style": "underline",
        "block-hover-background": field,
        "input-cursor-background": text,
        "input-cursor-foreground": ground,
        "input-cursor-text-style": "none",
        "input-selection-background": cursor,
        "input-selection-foreground": cursor_text,
        "screen-selection-background": cursor,
        "screen-selection-foreground": cursor_text,
        "text-disabled": quiet,
        "text-muted": quiet,
        "button-foreground": text,
        "button-focus-text-style": "bold",
        "scrollbar": edge,
        "scrollbar-hover": cursor,
        "scrollbar-active": cursor,
        "scrollbar-background": ground,
        "scrollbar-background-hover": ground,
        "scrollbar-background-active": ground,
        "scrollbar-corner-color": ground,
    }


def _states(*, ok: str, run: str, wait: str, fail: str, back: str, idle: str) -> dict[str, str]:
    return {
        "state-ok": ok,
        "state-run": run,
        "state-wait": wait,
        "state-fail": fail,
        "state-back": back,
        "state-idle": idle,
    }


DARK = Theme(
    name="dark",
    primary="#5fd7ff",
    secondary="#5fd7ff",
    warning="#ffd75f",
    error="#ff5f5f",
    success="#5fd75f",
    accent="#5fd7ff",
    foreground="#dadada",
    background="#121212",
    surface="#121212",
    panel="#262626",
    dark=True,
    variables={
        **_widgets(
            text="#dadada",
            ground="#121212",
            field="#262626",
            quiet="#a8a8a8",
            cursor="#5fd7ff",
            cursor_text="#000000",
            edge="#8a8a8a",
        ),
        **_states(ok="#5fd75f", run="#5fd7ff", wait="#ffd75f", fail="#ff5f5f", back="#ff87ff", idle="#a8a8a8"),
        "production": "#870000",
        "production-text": "#ffffff",
        "workspace": "#005f87",
        "workspace-text": "#ffffff",
    },
)

LIGHT = Theme(
    name="light",
    primary="#0000af",
    secondary="#0000af",
    warning="#875f00",
    error="#af0000",
    success="#005f5f",
    accent="#0000af",
    foreground="#000000",
    background="#ffffff",
    surface="#ffffff",
    panel="#eeeeee",
    dark=False,
    variables={
        **_widgets(
            text="#000000",
            ground="#ffffff",
            field="#eeeeee",
            quiet="#585858",
            cursor="#0000af",
            cursor_text="#ffffff",
            edge="#767676",
        ),
        **_states(ok="#005f5f", run="#0000af", wait="#875f00", fail="#af0000", back="#870087", idle="#585858"),
        "production": "#af0000",
        "production-text": "#ffffff",
        "workspace": "#0000af",
        "workspace-text": "#ffffff",
    },
)

HIGH_CONTRAST = Theme(
    name="high-contrast",
    primary="#00ffff",
    secondary="#ffffff",
    warning="#ffff00",
    error="#ff5f5f",
    success="#00ff00",
    accent="#00ffff",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#000000",
    dark=True,
    variables={
        **_widgets(
            text="#ffffff",
            ground="#000000",
            field="#000000",
            quiet="#d0d0d0",
            cursor="#ffff00",
            cursor_text="#000000",
            edge="#ffffff",
        ),
        **_states(ok="#00ff00", run="#00ffff", wait="#ffff00", fail="#ff5f5f", back="#ff87ff", idle="#d0d0d0"),
        "production": "#af0000",
        "production-text": "#ffffff",
        "workspace": "#0000af",
        "workspace-text": "#ffffff",
    },
)

ANSI = Theme(
    name="ansi",
    ansi=True,
    primary="ansi_cyan",
    secondary="ansi_cyan",
    warning="ansi_bright_yellow",
    error="ansi_bright_red",
    success="ansi_green",
    accent="ansi_cyan",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    dark=True,
    variables={
        **_widgets(
            text="ansi_default",
            ground="ansi_default",
            field="ansi_default",
            quiet="ansi_default",
            cursor="ansi_cyan",
            cursor_text="ansi_black",
            edge="ansi_default",
        ),
        **_states(
            ok="ansi_green",
            run="ansi_cyan",
            wait="ansi_bright_yellow",
            fail="ansi_bright_red",
            back="ansi_bright_magenta",
            idle="ansi_default",
        ),
        "production": "ansi_red",
        "production-text": "ansi_bright_white",
        "workspace": "ansi_blue",
        "workspace-text": "ansi_bright_white",
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
