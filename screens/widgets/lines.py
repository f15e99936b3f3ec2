"""Text of a widget's own: painted again only when it is another text, and the screen is laid out again only when its shape is.

A screen that watches a release draws all of its lines at every change, and most of them say what they said before. Laying out
the whole screen for each would cost more than everything else it does.
"""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static


class Lines(Static):
    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("", markup=False, id=id)
        self._drawn: Text | None = None

    def draw(self, text: Text) -> None:
        """Show the text; who hands it over changes it no more."""
        before = self._drawn
        if before is not None and before == text and before.style == text.style:
            return
        self._drawn = text
        self.update(text, layout=before is None or not self._same_shape(before, text))

    def _same_shape(self, before: Text, after: Text) -> bool:
        """Whether they certainly take the same room: lines of the same widths, none of which has to wrap."""
        widths = [line.cell_len for line in after.split("\n", allow_blank=True)]
        if widths != [line.cell_len for line in before.split("\n", allow_blank=True)]:
            return False
        return max(widths, default=0) <= self.content_size.width
