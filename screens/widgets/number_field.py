"""A field for a whole number that knows its range: what does not fit is no number, and is never taken for another one."""

from __future__ import annotations

from textual.widgets import Input

from screens.translate import _


class NumberField(Input):
    def __init__(self, value: int, *, id: str, low: int, high: int) -> None:
        super().__init__(str(value), id=id, max_length=5)
        self.low, self.high = low, high

    @property
    def number(self) -> int | None:
        """None when what stands there is empty, no whole number, or outside the range."""
        text = self.value.strip()
        if not (text.isascii() and text.isdigit()):
            return None
        return int(text) if self.low <= int(text) <= self.high else None

    @property
    def range(self) -> str:
        return f"{self.low}–{self.high}"

    def refusal(self, name: str) -> str:
        """What is wrong with it, empty when nothing is."""
        if self.number is not None:
            return ""
        given = self.value.strip() or _("nothing")
        return _("{name}: a whole number from {low} to {high}, not {given}").format(
            name=name, low=self.low, high=self.high, given=given
        )
