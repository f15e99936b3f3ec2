"""Before an act is pressed: what it would do now. Enter does it, Esc leaves, and until then the answer is kept up to date.

It sends nothing itself: it is dismissed with the reason that was given (an empty one counts) or with None.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from engine.domain.problem import ProblemError
from engine.domain.states import Act
from engine.views import Consequence
from screens import words
from screens.asking import ask
from screens.cockpit import cockpit_of
from screens.paint import paint_of
from screens.translate import N_, _, tr
from screens.widgets.prose import Prose
from screens.widgets.trouble import problem_text
from screens.words import Tone

REFRESH_S = 0.5


class ConsequenceScreen(ModalScreen[str | None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "do_it", N_("do it")),
        Binding("escape", "leave", N_("back")),
    ]

    def __init__(self, order_id: int, act: Act, params: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self._order_id = order_id
        self._act = act
        self._params = dict(params or {})
        self._consequence: Consequence | None = None
        self._busy = False

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="dialog", classes="consequence"):
            yield Prose(id="would")
            yield Input(id="reason", placeholder=_("the reason, for the audit"), compact=True)
            yield Static("", id="to-type", markup=False)
            yield Input(id="typed", compact=True)
            yield Static("", id="missing", markup=False)

    def on_mount(self) -> None:
        dialog = self.query_one("#dialog")
        title = _("If you press it now: {act} #{order}")
        dialog.border_title = title.format(act=words.act_word(self._act), order=self._order_id)
        dialog.border_subtitle = _("Esc goes back")
        for field in ("#reason", "#to-type", "#typed", "#missing"):
            self.query_one(field).display = False
        self.query_one("#would", Prose).say(Text(_("one moment …")))
        self.set_interval(REFRESH_S, self._ask)
        self._ask()

    def action_leave(self) -> None:
        self.dismiss(None)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        typed = self.query_one("#typed", Input)
        if event.input.id == "reason" and typed.display and event.input.value.strip() and not typed.value:
            typed.focus()
            return
        self.action_do_it()

    def action_do_it(self) -> None:
        """Only what is allowed now, with everything asked for given."""
        if self._consequence is None or not self._consequence.allowed:
            return
        missing = self._missing(self._consequence)
        if missing:
            self._say_missing(missing)
            return
        self.dismiss(self.query_one("#reason", Input).value.strip())

    def _missing(self, consequence: Consequence) -> str:
        if consequence.asks_reason and not self.query_one("#reason", Input).value.strip():
            self.query_one("#reason").focus()
            return _("A reason is needed.")
        if consequence.type_to_confirm and self.query_one("#typed", Input).value != consequence.type_to_confirm:
            self.query_one("#typed").focus()
            return _("Type {name} exactly: this can't be undone.").format(name=consequence.type_to_confirm)
        return ""

    def _say_missing(self, sentence: str) -> None:
        line = self.query_one("#missing", Static)
        line.update(Text(f"! {sentence}", style=paint_of(self.app).tone(Tone.WAIT)))
        line.display = True

    # ---- asking

    def _ask(self) -> None:
        if not self._busy:
            self._busy = True
            self.run_worker(self._fetch(), group="consequence")

    async def _fetch(self) -> None:
        here = cockpit_of(self).here()
        try:
            found = await ask(self, lambda api: api.consequence(*here, self._order_id, self._act, self._params))
        except ProblemError as error:
            self._consequence = None
            self.query_one("#would", Prose).say(problem_text(error.problem, self.app))
        else:
            self._show(found)
        finally:
            self._busy = False

    def _show(self, found: Consequence) -> None:
        if found == self._consequence:
            return
        self._consequence = found
        self.query_one("#would", Prose).say(self._text(found))
        reason, typed = self.query_one("#reason", Input), self.query_one("#typed", Input)
        reason.display = found.allowed and found.asks_reason
        typed.display = self.query_one("#to-type").display = found.allowed and bool(found.type_to_confirm)
        if typed.display:
            sentence = _("Production: type {name} to go on.").format(name=found.type_to_confirm)
            self.query_one("#to-type", Static).update(Text(sentence, style=paint_of(self.app).tone(Tone.FAIL)))
        if not isinstance(self.focused, Input) or not self.focused.display:
            first = reason if reason.display else typed if typed.display else self.query_one("#dialog")
            first.focus()
        hint = _("Enter does it, Esc goes back") if found.allowed else _("Esc goes back")
        self.query_one("#dialog").border_subtitle = hint

    def _text(self, found: Consequence) -> Text:
        paint = paint_of(self.app)
        if found.refusal is not None:
            return problem_text(found.refusal, self.app)
        text = Text().append(tr(found.summary), paint.strong)
        for line in found.lines:
            text.append(f"\n· {tr(line)}")
        if found.hosts:
            names = _("hosts ({count}): ").format(count=len(found.hosts))
            text.append(f"\n\n{names}", paint.dim).append(" ".join(found.hosts))
        return text
