"""Before an order is made once more: what is different since, what it would be now, and the button that creates it.

Nothing is started by that: the new order is checked and shown, and waits for its start like any other. It takes no key that was
pressed before it was painted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Button, Input

from engine.api import Api
from engine.domain.orders import OrderSpec
from engine.domain.problem import Problem, ProblemError
from engine.kinds.clone import Clone
from engine.views.preview import OrderPreview
from screens.asking import WRITE_DEADLINE_S, ask, in_worker
from screens.cloning import read_clone
from screens.cockpit import cockpit_of
from screens.paint import paint_of
from screens.translate import N_, _, tr
from screens.typed_ahead import Patience
from screens.widgets.key_button import KeyButton
from screens.widgets.preview import Preview
from screens.widgets.prose import Prose
from screens.widgets.trouble import problem_text
from screens.words import Tone


@dataclass(frozen=True, slots=True)
class _Found:
    clone: Clone
    preview: OrderPreview


class CloneScreen(ModalScreen[int | None]):
    """Dismissed with the number of the order that was created, or None."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "create", N_("create the order")),
        Binding("escape", "leave", N_("back")),
    ]

    def __init__(self, order_id: int) -> None:
        super().__init__()
        self._order_id = order_id
        self._found: _Found | None = None
        self._busy = False
        self.patience = Patience()

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="dialog", classes="consequence", can_focus=False):
            yield Prose(id="would")
            yield Preview()
            yield Input(id="override", placeholder=_("why the floor may be broken"))
            yield Prose(id="missing")
            yield KeyButton(id="do", action="screen.create")
            yield KeyButton(id="leave", action="screen.leave")

    def on_mount(self) -> None:
        title = _("Once more: order #{order}").format(order=self._order_id)
        self.query_one("#dialog").border_title = title
        for part in ("#override", "#missing", "#do"):
            self.query_one(part).display = False
        self.query_one("#leave", KeyButton).say("escape", _("back"))
        self.query_one("#would", Prose).say(Text(_("one moment …")))
        in_worker(self, self._fetch, group="clone")

    @property
    def ready(self) -> bool:
        """Whether a key pressed now would be taken."""
        return self.patience.ready(time.monotonic())

    def takes(self, key: Key) -> bool:
        if key.key != "enter" and not key.is_printable:
            return True
        return self.patience.takes(key.time)

    # ---- what it would be

    async def _fetch(self) -> None:
        here = cockpit_of(self).here()

        def look(api: Api) -> _Found:
            found = read_clone(api, here, self._order_id)
            return _Found(found, api.preview(*here, found.spec))

        try:
            self._found = await ask(self, look)
        except ProblemError as error:
            self.query_one("#would", Prose).say(problem_text(error.problem, self.app))
            return
        self._show(self._found)

    def _show(self, found: _Found) -> None:
        paint = paint_of(self.app)
        changed = [Text(f"! {tr(line)}", paint.tone(Tone.WAIT)) for line in found.clone.changed]
        same = Text(_("Nothing that it names has changed since."), paint.dim)
        self.query_one("#would", Prose).say(Text("\n").join(changed or [same]))
        shown = self.query_one(Preview)
        shown.show(found.preview)
        shown.focus()
        self.query_one("#override").display = found.preview.breaks_floor
        button = self.query_one("#do", KeyButton)
        button.display = not self._forbidding(found.preview)
        button.say("enter", _("create the order; nothing starts yet"))
        self.call_after_refresh(lambda: self.patience.painted(time.monotonic()))

    def _forbidding(self, preview: OrderPreview) -> list[Problem]:
        """A floor that would be broken is overridden here; nothing else is."""
        return [
            problem for problem in preview.problems if not (preview.breaks_floor and problem.code == "floor_broken")
        ]

    # ---- creating it

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.action_create()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_create()

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_create(self) -> None:
        found = self._found
        if found is None or self._busy or self._forbidding(found.preview):
            return
        override = self.query_one("#override", Input).value.strip()
        if found.preview.breaks_floor and not override:
            self.query_one("#override").focus()
            self._say(Text(_("It goes below the floor: say why."), paint_of(self.app).tone(Tone.WAIT)))
            return
        self._busy = True
        in_worker(self, self._create, replace(found.clone.spec, override_reason=override), group="clone")

    async def _create(self, spec: OrderSpec) -> None:
        here = cockpit_of(self).here()
        try:
            order_id = await ask(self, lambda api: api.create_order(*here, spec), WRITE_DEADLINE_S)
        except ProblemError as error:
            self._say(problem_text(error.problem, self.app))
        else:
            self.dismiss(order_id)
        finally:
            self._busy = False

    def _say(self, text: Text) -> None:
        line = self.query_one("#missing", Prose)
        line.say(text)
        line.display = True
