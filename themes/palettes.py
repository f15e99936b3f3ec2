"""The palettes: dark, light, high contrast, and 16 colours for terminals that have no more.

Every palette names the same state colours (`state-ok`, `state-run`, …), the cursor and the colour a production workspace
wears. A palette never carries meaning alone: glyphs and words always stand beside it.
"""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="dark",
    primary="#5fafff",
    secondary="#87afd7",
    warning="#ffaf5f",
    error="#ff6b6b",
    success="#5fd787",
    accent="#87d7d7",
    foreground="#d7dae0",
    background="#14171c",
    surface="#191d24",
    panel="#222833",
    dark=True,
    variables={
        "state-ok": "#5fd787",
        "state-run": "#5fafff",
        "state-wait": "#ffd75f",
        "state-fail": "#ff6b6b",
        "state-back": "#d7a6ff",
        "state-idle": "#8a93a3",
        "row-cursor": "#2f4a6b",
        "row-cursor-text": "#ffffff",
        "row-cursor-blurred": "#262d38",
        "production": "#8a1f2b",
        "production-text": "#ffffff",
        "workspace": "#24405e",
        "workspace-text": "#ffffff",
    },
)

LIGHT = Theme(
    name="light",
    primary="#0058a8",
    secondary="#3a5f85",
    warning="#9a5a00",
    error="#b3001b",
    success="#00702c",
    accent="#006a72",
    foreground="#1c2026",
    background="#fbfbf8",
    surface="#f3f3ee",
    panel="#e6e6df",
    dark=False,
    variables={
        "state-ok": "#00702c",
        "state-run": "#0058a8",
        "state-wait": "#8a5200",
        "state-fail": "#b3001b",
        "state-back": "#6b2fa0",
        "state-idle": "#666a70",
        "row-cursor": "#bcd8f5",
        "row-cursor-text": "#000000",
        "row-cursor-blurred": "#dfe3e8",
        "production": "#b3001b",
        "production-text": "#ffffff",
        "workspace": "#0058a8",
        "workspace-text": "#ffffff",
    },
)

HIGH_CONTRAST = Theme(
    name="high-contrast",
    primary="#00ffff",
    secondary="#ffffff",
    warning="#ffff00",
    error="#ff5555",
    success="#00ff00",
    accent="#00ffff",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1a1a1a",
    dark=True,
    variables={
        "state-ok": "#00ff00",
        "state-run": "#00ffff",
        "state-wait": "#ffff00",
        "state-fail": "#ff5555",
        "state-back": "#ff87ff",
        "state-idle": "#c8c8c8",
        "row-cursor": "#0000c8",
        "row-cursor-text": "#ffffff",
        "row-cursor-blurred": "#333333",
        "production": "#ff0000",
        "production-text": "#ffffff",
        "workspace": "#0000c8",
        "workspace-text": "#ffffff",
    },
)

ANSI = Theme(
    name="ansi",
    ansi=True,
    primary="ansi_cyan",
    secondary="ansi_cyan",
    warning="ansi_yellow",
    error="ansi_bright_red",
    success="ansi_green",
    accent="ansi_cyan",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_bright_black",
    boost="ansi_default",
    dark=True,
    variables={
        "state-ok": "ansi_green",
        "state-run": "ansi_cyan",
        "state-wait": "ansi_yellow",
        "state-fail": "ansi_bright_red",
        "state-back": "ansi_magenta",
        "state-idle": "ansi_default",
        "row-cursor": "ansi_blue",
        "row-cursor-text": "ansi_bright_white",
        "row-cursor-blurred": "ansi_black",
        "production": "ansi_red",
        "production-text": "ansi_bright_white",
        "workspace": "ansi_blue",
        "workspace-text": "ansi_bright_white",
        "ansi-background": "ansi_black",
        "ansi-foreground": "ansi_white",
        "border": "ansi_cyan",
        "border-blurred": "ansi_default",
        "block-cursor-foreground": "ansi_black",
        "block-cursor-background": "ansi_cyan",
        "input-cursor-background": "ansi_white",
        "input-cursor-foreground": "ansi_black",
        "input-cursor-text-style": "reverse",
        "input-selection-background": "ansi_cyan",
        "input-selection-foreground": "ansi_black",
        "screen-selection-background": "ansi_cyan",
        "screen-selection-foreground": "ansi_black",
        "scrollbar": "ansi_cyan",
        "scrollbar-hover": "ansi_cyan",
        "scrollbar-active": "ansi_cyan",
        "scrollbar-background": "ansi_default",
        "scrollbar-background-hover": "ansi_default",
        "scrollbar-background-active": "ansi_default",
        "scrollbar-corner-color": "ansi_default",
    },
)

PALETTES = (DARK, LIGHT, HIGH_CONTRAST, ANSI)


def palette_for(wanted: str | None, *, colours: int | None) -> str:
    """The palette's name: the wanted one if it exists, else 16 colours where the terminal has no more, else dark."""
    if wanted in {theme.name for theme in PALETTES}:
        return str(wanted)
    return ANSI.name if colours is not None and colours <= 16 else DARK.name
