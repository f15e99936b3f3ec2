"""How the row under the cursor looks: one rule for every list and chart, in every palette and without colours."""

from __future__ import annotations

from rich.style import Style
from textual.color import Color
from textual.widget import Widget


def cursor_style(widget: Widget) -> Style:
    """A style to be laid over the row's own. With 16 colours or none: reversed, so that it stays readable whatever is below."""
    app = widget.app
    if app.native_ansi_color or app.no_color:
        return Style(reverse=True, bold=True) if widget.has_focus else Style(underline=True)
    name = "row-cursor" if widget.has_focus else "row-cursor-blurred"
    return Style(bgcolor=Color.parse(app.theme_variables[name]).rich_color)
