"""The bottom line: the keys of the screen one is on, as many as fit whole."""

from __future__ import annotations

from rich.text import Text
from textual.screen import Screen

from screens.paint import paint_of
from screens.translate import _
from screens.widgets.lines import Lines

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


class KeyBar(Lines):
    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._changed)
        self.redraw()

    def on_resize(self) -> None:
        self.redraw()

    def _changed(self, screen: Screen[object]) -> None:
        if screen is self.screen and self.is_attached:
            self.redraw()

    def redraw(self) -> None:
        dim = paint_of(self.app).dim
        line = Text(" ")
        seen = set()
        items: list[Text] = []
        last: list[Text] = []  # help always has its place
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if not binding.show or not active.enabled or binding.action in seen:
                continue
            seen.add(binding.action)
            name = binding.key_display or key_name(binding.key.split(",")[0])
            item = Text().append(name, "bold").append(f" {_(binding.description)}  ", dim)
            (last if binding.action == "help" else items).append(item)
        room = self.size.width - sum(item.cell_len for item in last) - 1
        for item in items:
            if line.cell_len + item.cell_len > room:
                break
            line.append_text(item)
        self.draw(line.append_text(Text().join(last)))
