"""`?`: every key of the screen one came from, generated from the bindings, so that it can't be out of date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from screens.paint import paint_of
from screens.translate import N_, _
from screens.widgets.bound import words_of
from screens.widgets.key_button import DialogButton, key_name


def help_lines(screen: Screen[object]) -> tuple[tuple[str, str], ...]:
    """(keys, what they do) of everything that can be pressed on the screen, each action once."""
    keys: dict[tuple[str, str], list[str]] = {}
    for key, active in screen.active_bindings.items():
        binding, what = active.binding, words_of(active)
        if what and active.enabled:
            keys.setdefault((binding.action, what), []).append(binding.key_display or key_name(key, screen.app))
    return tuple((" ".join(dict.fromkeys(names)), what) for (_action, what), names in keys.items())


class HelpScreen(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q,enter", "leave", N_("back"))]

    def __init__(self, lines: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._lines = lines

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="help"):
            with VerticalScroll(id="keys"):
                yield Static(self._text(), markup=False)
            yield DialogButton(id="leave", action="screen.leave")

    def on_mount(self) -> None:
        self.query_one("#dialog").border_title = _("Keys of this screen")
        self.query_one("#leave", DialogButton).say("escape", _("back"))

    def on_resize(self) -> None:
        """As much as fits, and the button below it."""
        self.query_one("#keys").styles.max_height = max(1, self.size.height * 9 // 10 - 3)

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
