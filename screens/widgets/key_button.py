"""A button that says its key: what can be done now, for hands on the keyboard and for hands on the mouse."""

from __future__ import annotations

from textual.app import App
from textual.content import Content
from textual.geometry import Size
from textual.widgets import Button

from screens.cockpit import Cockpit

_NAMES = {
    "question_mark": "?",
    "slash": "/",
    "enter": "⏎",
    "escape": "esc",
    "colon": ":",
    "exclamation_mark": "!",
    "equals_sign": "=",
    "plus": "+",
    "minus": "-",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
    "tab": "Tab",
    "shift+tab": "Shift+Tab",
    "space": "Space",
}
_IN_ASCII = {"enter": "Enter", "up": "Up", "down": "Down", "left": "Left", "right": "Right"}


def key_name(key: str, app: App[object]) -> str:
    """The key as it is written on the keyboard; `ctrl+s` as `^S`."""
    if isinstance(app, Cockpit) and app.ascii and key in _IN_ASCII:
        return _IN_ASCII[key]
    if key.startswith("ctrl+"):
        return f"^{key.removeprefix('ctrl+').upper()}"
    return _NAMES.get(key, key)


class KeyButton(Button, can_focus=False):
    """`[c] confirm`; `boxed` false: `c confirm`. `marked`: it is what is expected now. Its `action` is run when it is clicked;
    without one it says `Pressed` as every button does."""

    def __init__(self, *, id: str | None = None, boxed: bool = True, action: str | None = None) -> None:
        super().__init__("", id=id, compact=True, action=action)
        self.styles.line_pad = 0  # a label that grows is drawn once in its old room, and padding would leave none
        self._boxed = boxed
        self._says: tuple[str, str, bool] = ("", "", False)

    def say(self, key: str, words: str, *, marked: bool = False) -> None:
        """`key` as Textual names it."""
        says = (key_name(key, self.app), words, marked)
        if says == self._says:
            return
        self._says = says
        self.label = said(*says, boxed=self._boxed)
        self.set_class(marked, "-marked")
        self.refresh(layout=True)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        return said(*self._says, boxed=self._boxed).cell_length

    def keep(self, wanted: bool) -> None:
        """Show it, or take no room."""
        if self.display != wanted:
            self.display = wanted


class DialogButton(KeyButton, can_focus=True):
    """A button of a dialogue: it stands in the tab order too."""


def said(name: str, words: str, marked: bool, *, boxed: bool) -> Content:
    mark = "▸ " if marked else ""
    key = f"[{name}]" if boxed else name
    return Content.assemble(mark, (key, "bold"), f" {words}")
