"""The bottom line: the keys of the screen one is on, as many as fit whole."""

from __future__ import annotations

from rich.text import Text
from textual.screen import Screen
from textual.widgets import Static

from screens.paint import paint_of
from screens.translate import _

_NAMES = {
    "question_mark": "?",
    "slash": "/",
    "enter": "⏎",
    "escape": "esc",
    "colon": ":",
    "space": "space",
    "exclamation_mark": "!",
}


def key_name(key: str) -> str:
    return _NAMES.get(key, key)


class KeyBar(Static):
    def __init__(self) -> None:
        super().__init__("", markup=False)

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._changed)
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _changed(self, screen: Screen[object]) -> None:
        if screen is self.screen and self.is_attached:
            self._draw()

    def _draw(self) -> None:
        dim = paint_of(self.app).dim
        line = Text(" ")
        seen = set()
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if not binding.show or not active.enabled or binding.action in seen:
                continue
            seen.add(binding.action)
            name = binding.key_display or key_name(binding.key.split(",")[0])
            item = Text(name, style="bold").append(f" {_(binding.description)}  ", dim)
            if line.cell_len + item.cell_len - 2 > self.size.width:
                break
            line.append_text(item)
        self.update(line)
