"""Sentences that wrap the way their language does: between words, and between any two Chinese characters.

Neither rich nor Textual breaks inside a run of wide characters unless the whole line is too long, which leaves half-empty lines.
"""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text

from screens.widgets.lines import Lines

_NEVER_FIRST = "，。；：、）！？》」』,.;:)!?%"
_NEVER_LAST = "（《「『("


def wrapped(text: Text, width: int) -> Text:
    """The text with a line break wherever `width` cells are full; what it already breaks stays broken."""
    lines = [piece for line in text.split("\n", allow_blank=True) for piece in _fold(line, width)]
    return Text("\n").join(lines)


def _fold(line: Text, width: int) -> list[Text]:
    plain, cuts, start, used, could = line.plain, [], 0, 0, 0
    for at, char in enumerate(plain):
        if at > start and _may_break(plain[at - 1], char):
            could = at
        used += cell_len(char)
        if used > width and not char.isspace():
            cut = could if could > start else at
            cuts.append(cut)
            start, could = cut, cut
            used = cell_len(plain[cut : at + 1])
    pieces = line.divide(cuts) if cuts else [line]
    for piece in pieces:
        piece.rstrip()
    return list(pieces)


def _may_break(before: str, after: str) -> bool:
    if after in _NEVER_FIRST or before in _NEVER_LAST or after.isspace():
        return False
    return before.isspace() or cell_len(before) == 2 or cell_len(after) == 2


class Prose(Lines):
    """Shows a text wrapped to its own width."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._said = Text()

    def say(self, text: Text) -> None:
        self._said = text
        self._wrap()

    def on_resize(self) -> None:
        self._wrap()

    def _wrap(self) -> None:
        width = self.content_size.width
        self.draw(wrapped(self._said, width) if width > 0 else self._said)
