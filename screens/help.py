"""`?`: every key of the screen one came from, generated from the bindings, so that it can't be out of date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from screens.paint import paint_of
from screens.translate import N_, _
from screens.widgets.key_bar import key_name

_BUILT_IN = (N_("Focus Next"), N_("Focus Previous"))  # the framework's own bindings that are worth showing
_FRAMEWORK = (
    "scroll_left", "scroll_right", "page_left", "page_right", "copy_text", "screen.copy_text", "help_quit", "command_palette",
)  # fmt: skip


def help_lines(screen: Screen[object]) -> tuple[tuple[str, str], ...]:
    """(keys, what they do) of everything that can be pressed on the screen, each action once."""
    keys: dict[tuple[str, str], list[str]] = {}
    for key, active in screen.active_bindings.items():
        binding = active.binding
        ours = not type(active.node).__module__.startswith("textual.") and binding.action not in _FRAMEWORK
        if not binding.description or binding.system or not (ours or binding.description in _BUILT_IN):
            continue
        keys.setdefault((binding.action, binding.description), []).append(binding.key_display or key_name(key))
    return tuple((" ".join(dict.fromkeys(names)), what) for (_action, what), names in keys.items())


class HelpScreen(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q,enter", "leave", N_("back"))]

    def __init__(self, lines: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._lines = lines

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="dialog", classes="help"):
            yield Static(self._text(), markup=False)

    def on_mount(self) -> None:
        self.query_one("#dialog").border_title = _("Keys of this screen")
        self.query_one("#dialog").border_subtitle = _("Esc goes back")

    def action_leave(self) -> None:
        self.dismiss(None)

    def _text(self) -> Text:
        paint = paint_of(self.app)
        widest = max((len(keys) for keys, _what in self._lines), default=0)
        text = Text()
        for number, (keys, what) in enumerate(self._lines):
            text.append("\n" if number else "")
            text.append(keys.ljust(widest), "bold").append(f"  {_(what)}", paint.plain)
        return text
