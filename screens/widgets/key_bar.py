"""The bottom line: what can be done on the screen now, what is expected first and marked, as many as fit whole; all buttons."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widgets import Button

from screens.translate import _
from screens.widgets.bound import is_shown, words_of
from screens.widgets.key_button import KeyButton, key_name

MOST = 12
ALWAYS = ("app.pop_screen", "help")  # the way back and help have their place however many keys there are


@dataclass(frozen=True, slots=True)
class KeyNow:
    """`words` as shown; `action` is run in `node`."""

    key: str
    words: str
    action: str
    node: DOMNode
    marked: bool = False


class KeyBar(Horizontal):
    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[KeyNow, ...] = ()

    def compose(self) -> ComposeResult:
        for _number in range(MOST):
            yield KeyButton(boxed=False)

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._changed)
        self.redraw()

    def on_resize(self) -> None:
        self.redraw()

    def _changed(self, screen: Screen[object]) -> None:
        if screen is self.screen and self.is_attached:
            self.redraw()

    def redraw(self) -> None:
        self._shown = self._fitting(self._bound())
        for number, button in enumerate(self.query(KeyButton)):
            button.keep(number < len(self._shown))
            if number < len(self._shown):
                item = self._shown[number]
                button.say(item.key, item.words, marked=item.marked)

    async def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        for item, button in zip(self._shown, self.query(KeyButton), strict=False):
            if button is event.button:
                await self.app.run_action(item.action, item.node)

    def _bound(self) -> list[KeyNow]:
        """What is expected first, then the bindings that are shown, then the way to the next field."""
        expected = getattr(self.screen, "expected_key", None)
        items = [expected] if isinstance(expected, KeyNow) and not self._taken(expected) else []
        late: list[KeyNow] = []
        last: list[KeyNow] = []
        for key, active in self.screen.active_bindings.items():
            binding = active.binding
            if (
                not is_shown(active)
                or not active.enabled
                or any(binding.action == item.action for item in (*items, *late, *last))
            ):
                continue
            item = KeyNow(binding.key_display or key, _(words_of(active)), binding.action, active.node)
            ({"help": last, "app.focus_next": late}.get(binding.action, items)).append(item)
        return [*items, *late, *last]

    def _taken(self, expected: KeyNow) -> bool:
        """Where the cursor is, its key means something else."""
        on_top = self.screen.active_bindings.get(expected.key)
        return on_top is not None and on_top.binding.show and on_top.node is not expected.node

    def _fitting(self, items: list[KeyNow]) -> tuple[KeyNow, ...]:
        kept = [item for item in items if item.action in ALWAYS]
        room, places = self.size.width - sum(map(self._width, kept)), MOST - len(kept)
        shown: list[KeyNow] = []
        for item in items:
            if item not in kept:
                if self._width(item) > room or not places:
                    continue
                room, places = room - self._width(item), places - 1
            shown.append(item)
        return tuple(shown)

    def _width(self, item: KeyNow) -> int:
        """With a blank at either side, as buttons have it."""
        return 3 + cell_len(key_name(item.key, self.app)) + cell_len(item.words) + (2 if item.marked else 0)
