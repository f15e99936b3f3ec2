"""Two numbers of a running order: how many hosts are at work at once, and how many may fail per group.

It only asks for them: what they would mean is shown before anything is sent.
"""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label

from engine.domain.acts import SetLimits
from screens.paint import paint_of
from screens.translate import N_, _
from screens.widgets.key_button import DialogButton
from screens.widgets.number_field import NumberField
from screens.widgets.prose import Prose
from screens.words import Tone

MOST = 10_000


class LimitsScreen(ModalScreen[SetLimits | None]):
    """Dismissed with what was typed, both numbers; with None when it was left."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", N_("back"))]

    def __init__(self, parallelism: int, max_failures: int) -> None:
        super().__init__()
        self._parallelism = NumberField(parallelism, id="parallelism", low=1, high=MOST)
        self._max_failures = NumberField(max_failures, id="max-failures", low=0, high=MOST)

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="limits"):
            yield Label(_("hosts at once"), markup=False)
            yield self._parallelism
            yield Label(_("failures allowed per group"), markup=False)
            yield self._max_failures
            yield Prose(id="missing")
            yield DialogButton(id="choose")
            yield DialogButton(id="leave", action="screen.leave")

    def on_mount(self) -> None:
        self.query_one("#dialog").border_title = _("Parallelism and failure budget")
        self.query_one("#choose", DialogButton).say("enter", _("show what it means"))
        self.query_one("#leave", DialogButton).say("escape", _("back"))
        self.query_one("#missing").display = False
        self.set_focus(self._parallelism)

    def action_leave(self) -> None:
        self.dismiss(None)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.query_one("#missing").display = False

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.input is self._parallelism:
            self._max_failures.focus()
        else:
            self._choose()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self._choose()

    def _choose(self) -> None:
        wrong = self._parallelism.refusal(_("hosts at once")) or self._max_failures.refusal(
            _("failures allowed per group")
        )
        if wrong:
            line = self.query_one("#missing", Prose)
            line.say(Text(f"! {wrong}", style=paint_of(self.app).tone(Tone.WAIT)))
            line.display = True
            return
        self.dismiss(SetLimits(self._parallelism.number, self._max_failures.number))
