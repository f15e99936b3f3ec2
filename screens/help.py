"""`?`: every key of the screen one came from, generated from the bindings, so that it can't be out of date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from screens.paint import paint_of
from screens.translate import N_, _
from screens.widgets.key_button import key_name

_PASSING_ON = {"app.focus_next": N_("next field or pane"), "app.focus_previous": N_("previous field or pane")}


def help_lines(screen: Screen[object]) -> tuple[tuple[str, str], ...]:
    """(keys, what they do) of everything that can be pressed on the screen, each action once. Of the framework's own bindings only
    the way from field to field is told, in our words."""
    keys: dict[tuple[str, str], list[str]] = {}
    for key, active in screen.active_bindings.items():
        binding = active.binding
        what = _PASSING_ON.get(binding.action, binding.description if _is_ours(active.node, binding) else "")
        if what:
            keys.setdefault((binding.action, what), []).append(binding.key_display or key_name(key, screen.app))
    return tuple((" ".join(dict.fromkeys(names)), what) for (_action, what), names in keys.items())


def _is_ours(node: DOMNode, binding: Binding) -> bool:
    """Whether it stands in a class of ours: a field of the framework that one of ours is made of has bindings of its own."""
    ours = [each for each in type(node).__mro__ if not each.__module__.startswith("textual.")]
    own = [bound for each in ours for bound in each.__dict__.get("BINDINGS", ())]
    return any(isinstance(bound, Binding) and bound.action == binding.action for bound in own)


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
