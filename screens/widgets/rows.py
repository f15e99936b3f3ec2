"""A line of a log folded into rows: cut wherever the width is full, so that what was written stands there letter for letter."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text


def rows_of(line: Text, width: int) -> list[Text]:
    """At least one row; no wide character stands in two rows. `width` in cells, at least 1."""
    plain = line.plain
    if plain.isascii():
        cuts = list(range(width, len(plain), width))
    else:
        cuts, used = [], 0
        for at, char in enumerate(plain):
            cells = cell_len(char)
            if used + cells > width and used:
                cuts.append(at)
                used = 0
            used += cells
    return list(line.divide(cuts)) if cuts else [line]
