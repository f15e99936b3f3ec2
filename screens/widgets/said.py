"""Words that stand on a screen for as long as it is open: said again, in their place, when another language is spoken.

Nothing else of the screen changes then: not the row under a cursor, not what was typed, not what has the focus.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from rich.text import Text
from textual.widgets import Label, Select

from screens.translate import _

Options = Sequence[tuple[Text, str]]


@runtime_checkable
class Retells(Protocol):
    """A widget whose words are not drawn anew whenever its screen is."""

    def retell(self) -> None: ...


class Said(Label):
    """A name beside a field."""

    def __init__(self, msgid: str, *, id: str | None = None) -> None:
        super().__init__(_(msgid), id=id, markup=False)
        self._msgid = msgid

    def retell(self) -> None:
        self.update(_(self._msgid))


class Choice(Select[str]):
    """`options` gives what can be chosen, in the language of the moment. One that may be left open asks for it by `prompt`, a
    msgid."""

    def __init__(self, options: Callable[[], Options], *, id: str, prompt: str = "") -> None:
        self._options_now = options
        self._prompt_msgid = prompt
        found = options()
        self._offered = [(shown.plain, value) for shown, value in found]
        if prompt:
            super().__init__(found, id=id, prompt=_(prompt))
        else:
            super().__init__(found, id=id, allow_blank=False, value=found[0][1])

    @property
    def chosen(self) -> str:
        """Empty when nothing is."""
        return "" if self.is_blank() else str(self.value)

    def offer(self) -> None:
        """What can be chosen may be something else now; what was chosen stays so, if it still can be. Says nothing about it."""
        options = [(shown.plain, value) for shown, value in self._options_now()]
        if options == self._offered:
            return
        before, self._offered = self.chosen, options
        with self.prevent(Select.Changed):
            self.set_options((Text(shown), value) for shown, value in options)
            if before in [value for _shown, value in options]:
                self.value = before
            self.mutate_reactive(Select.value)  # type: ignore[misc]  # its words may be others, though it is the same

    def choose(self, value: str) -> None:
        """Without saying so: whoever does it knows."""
        with self.prevent(Select.Changed):
            self.value = value

    def retell(self) -> None:
        if self._prompt_msgid:
            self.prompt = _(self._prompt_msgid)
        self.offer()
