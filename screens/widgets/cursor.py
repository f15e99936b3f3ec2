"""How the row under the cursor looks: one rule for every list and chart, in every palette and without colours.

With the focus: a block, and `>` in front where there is room for it. Without: underlined, and nothing more. A list that is led
from a field looks as if it had the focus: its row is what Enter does.
"""

from __future__ import annotations

from rich.style import Style
from textual.color import Color
from textual.widget import Widget


def cursor_style(widget: Widget, *, led: bool = False) -> Style:
    """A style to be laid over the row's own: the block has one colour of text, readable whatever the row's colours are."""
    app = widget.app
    if not (led or widget.has_focus):
        return Style(underline=True)
    names = ("background", "foreground") if app.no_color else ("row-cursor", "row-cursor-text")
    ground, text = (Color.parse(app.theme_variables[name]).rich_color for name in names)
    return Style(color=text, bgcolor=ground, bold=True, reverse=app.no_color)


def cursor_mark(widget: Widget, *, led: bool = False) -> str:
    return ">" if led or widget.has_focus else " "
