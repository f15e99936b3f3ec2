"""What an SSH server asks at a login (a one-time password), wherever the operator is. Enter answers, Esc leaves it to others.

The answer goes straight to the api, which seals it; this screen keeps it no longer than the field is shown.
"""

from __future__ import annotations

import time
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from engine.domain.problem import ProblemError
from engine.views.engines import PromptView
from screens.asking import ask, in_worker
from screens.cockpit import cockpit_of
from screens.filters import without_hostile_text
from screens.paint import paint_of
from screens.translate import N_, _
from screens.widgets.key_button import DialogButton
from screens.widgets.prose import Prose
from screens.widgets.trouble import problem_text
from screens.words import Tone


class PromptScreen(ModalScreen[bool]):
    """Dismissed with whether it was answered here."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", N_("leave it to others"))]

    def __init__(self, prompt: PromptView) -> None:
        super().__init__()
        self.prompt = prompt
        self._busy = False

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="dialog", classes="prompt", can_focus=False):
            yield Prose(id="asks")
            yield Input(password=not self.prompt.echo, id="answer", placeholder=_("the answer"))
            yield Static("", id="refusal", markup=False)
            yield DialogButton(id="send")
            yield DialogButton(id="leave", action="screen.leave")

    def on_mount(self) -> None:
        dialog = self.query_one("#dialog")
        kind = _("Jump host {name} asks") if self.prompt.is_jump else _("Host {name} asks")
        dialog.border_title = kind.format(name=without_hostile_text(self.prompt.hop))
        self.query_one("#send", DialogButton).say("enter", _("answer"))
        self.query_one("#leave", DialogButton).say("escape", _("leave it to others"))
        self.query_one("#refusal").display = False
        self.query_one("#answer").focus()
        self.set_interval(1.0, self._draw)
        self._draw()

    def action_leave(self) -> None:
        self.dismiss(False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._send()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self._send()

    def _send(self) -> None:
        answer = self.query_one("#answer", Input).value
        if not answer:
            self.query_one("#answer").focus()
        elif not self._busy:
            self._busy = True
            in_worker(self, self._answer, answer, group="answer")

    async def _answer(self, answer: str) -> None:
        try:
            await ask(self, lambda api: api.answer_prompt(self.prompt.id, answer))
        except ProblemError as error:
            refusal = self.query_one("#refusal", Static)
            refusal.update(problem_text(error.problem, self.app))
            refusal.display = True
        else:
            self.dismiss(True)
        finally:
            self._busy = False

    def _draw(self) -> None:
        prompt, paint = self.prompt, paint_of(self.app)
        text = Text().append(prompt.login, paint.dim).append("\n\n")
        if prompt.attempt > 1:
            text.append(_("The last answer was refused."), paint.tone(Tone.FAIL)).append("\n\n")
        if prompt.instruction:
            text.append(without_hostile_text(prompt.instruction)).append("\n")
        text.append(without_hostile_text(prompt.question), paint.strong).append("\n\n")
        if prompt.is_jump:
            text.append(_("Every host behind it waits for the answer."), paint.dim).append("\n")
        until = time.strftime("%H:%M:%S", time.localtime(prompt.deadline_at))
        left_s = max(0, round(prompt.deadline_at - cockpit_of(self).now()))
        text.append(_("It waits until {time}, {left} s more.").format(time=until, left=left_s), paint.dim)
        self.query_one("#asks", Prose).say(text)
