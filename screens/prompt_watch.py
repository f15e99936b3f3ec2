"""Looks for questions of SSH servers and shows them on whichever screen the operator is; never while something is being typed.

It reads in a worker thread and writes nothing. A store that can't be read is the other screens' to say.
"""

from __future__ import annotations

import time

from textual.app import App
from textual.widgets import Input, TextArea

from engine.api import Api
from engine.domain.problem import ProblemError
from engine.views.engines import PromptView
from screens.asking import ask, in_worker
from screens.cockpit import Cockpit
from screens.filters import without_hostile_text
from screens.prompt import PromptScreen
from screens.translate import _

LOOK_EVERY_S = 0.5
STALE_S = 3.0  # a question ages out without anybody writing


class PromptWatch:
    """Owned by the app; `start` it when the app is mounted."""

    def __init__(self, cockpit: Cockpit) -> None:
        self._cockpit = cockpit
        self._token: object = None
        self._stale_at = 0.0
        self._busy = False
        self._open: tuple[PromptView, ...] = ()
        self._left: set[int] = set()  # left to others here
        self._announced: set[int] = set()

    def start(self) -> None:
        self._cockpit.set_interval(LOOK_EVERY_S, self._look)

    def ask_again(self) -> None:
        """Show what was left to others, if it still waits."""
        if not self._open:
            self._cockpit.notify(_("No SSH server is waiting for an answer."), markup=False)
        self._left.clear()
        self._show()

    def _look(self) -> None:
        if not self._busy:
            self._busy = True
            in_worker(self._cockpit, self._refresh, group="prompts")

    async def _refresh(self) -> None:
        try:
            found = await ask(self._cockpit, self._read)
        except ProblemError:
            return  # said by the screen that is open; looked at again in a moment
        finally:
            self._busy = False
        if found is not None:
            self._open = found
        self._show()

    def _read(self, api: Api) -> tuple[PromptView, ...] | None:
        """In a worker thread: nothing when nothing changed."""
        token = api.change_token()
        if token == self._token and time.monotonic() < self._stale_at:
            return None
        found = api.prompts()
        self._token, self._stale_at = token, time.monotonic() + STALE_S
        return found

    def _show(self) -> None:
        screen = self._cockpit.screen
        ids = {prompt.id for prompt in self._open}
        if isinstance(screen, PromptScreen):
            if screen.prompt.id not in ids and screen.is_current:
                screen.dismiss(False)  # answered by somebody else, or too late
                self._cockpit.notify(_("{name} no longer waits for an answer.").format(name=_name(screen.prompt)))
            return
        waiting = [prompt for prompt in self._open if prompt.id not in self._left]
        if not waiting:
            return
        if _typing(self._cockpit):
            self._announce(waiting[0])
            return
        prompt = waiting[0]
        self._left.add(prompt.id)  # shown once; `ask_again` shows it once more
        self._cockpit.push_screen(PromptScreen(prompt), lambda answered: self._closed(prompt, bool(answered)))

    def _closed(self, prompt: PromptView, answered: bool) -> None:
        if answered:
            self._open = tuple(other for other in self._open if other.id != prompt.id)
        elif any(other.id == prompt.id for other in self._open):
            self._cockpit.notify(_("{name} still waits: the command “Answer” asks again.").format(name=_name(prompt)))

    def _announce(self, prompt: PromptView) -> None:
        if prompt.id not in self._announced:
            self._announced.add(prompt.id)
            self._cockpit.notify(
                _("{name} asks for a one-time password: it is shown when you have finished typing.").format(
                    name=_name(prompt)
                )
            )


def _name(prompt: PromptView) -> str:
    return without_hostile_text(prompt.hop)


def _typing(app: App[None]) -> bool:
    """Keys meant for a field must not end up in another one."""
    return isinstance(app.focused, Input | TextArea)
