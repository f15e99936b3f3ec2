"""Before an act is pressed: what it would do now. Enter does it, Esc leaves, and until then the answer is kept up to date.

It sends nothing itself: it is dismissed with what was decided (`Decided`) or with None. Where there are several versions to go
back to, the choice stands in it, and what it says is said of the one that is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Select, Static

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


@dataclass(frozen=True, slots=True)
class Decided:
    """`reason` may be empty where none is asked for. `makes_order`: it is done by an order of its own."""

    params: Mapping[str, Any]
    reason: str
    makes_order: bool


class ConsequenceScreen(ModalScreen[Decided | None]):
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
        self._choices: tuple[str, ...] = ()
        self._busy = False

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="dialog", classes="consequence"):
            yield Prose(id="would")
            yield Select[str]([], id="choice", compact=True, allow_blank=True, prompt=_("choose"))
            yield Input(id="reason", placeholder=_("the reason, for the audit"), compact=True)
            yield Input(id="override", placeholder=_("why the floor may be broken"), compact=True)
            yield Static("", id="to-type", markup=False)
            yield Input(id="typed", compact=True)
            yield Static("", id="missing", markup=False)

    def on_mount(self) -> None:
        dialog = self.query_one("#dialog")
        title = _("If you press it now: {act} #{order}")
        dialog.border_title = title.format(act=words.act_word(self._act), order=self._order_id)
        dialog.border_subtitle = _("Esc goes back")
        for field in ("#choice", "#reason", "#override", "#to-type", "#typed", "#missing"):
            self.query_one(field).display = False
        self.query_one("#would", Prose).say(Text(_("one moment …")))
        self.set_interval(REFRESH_S, self._ask)
        self._ask()

    def action_leave(self) -> None:
        self.dismiss(None)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        fields = [field for field in self.query(Input) if field.display]
        following = fields[fields.index(event.input) + 1 :]
        if following and event.input.value.strip() and not following[0].value:
            following[0].focus()
            return
        self.action_do_it()

    def on_input_changed(self, event: Input.Changed) -> None:
        """What was missing is being given: the sentence about it goes."""
        event.stop()
        self.query_one("#missing").display = False

    def on_select_changed(self, event: Select.Changed) -> None:
        event.stop()
        if event.select.is_blank() or str(event.select.value) == self._params.get("version"):
            return
        self._params["version"] = str(event.select.value)
        self._ask()

    def action_do_it(self) -> None:
        """Only what is allowed now, with everything asked for given."""
        if self._consequence is None or not self._consequence.allowed:
            return
        missing = self._missing(self._consequence)
        if missing:
            self._say_missing(missing)
            return
        if self._consequence.asks_override:
            self._params["override_reason"] = self.query_one("#override", Input).value.strip()
        reason = self.query_one("#reason", Input).value.strip()
        self.dismiss(Decided(dict(self._params), reason, self._consequence.makes_order))

    def _missing(self, consequence: Consequence) -> str:
        if consequence.asks_reason and not self.query_one("#reason", Input).value.strip():
            self.query_one("#reason").focus()
            return _("A reason is needed.")
        if consequence.asks_override and not self.query_one("#override", Input).value.strip():
            self.query_one("#override").focus()
            return _("It goes below the floor: say why it may.")
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
        self._show_choices(found)
        self.query_one("#would", Prose).say(self._text(found))
        reason, typed = self.query_one("#reason", Input), self.query_one("#typed", Input)
        reason.display = found.allowed and found.asks_reason
        self.query_one("#override").display = found.allowed and found.asks_override
        typed.display = self.query_one("#to-type").display = found.allowed and bool(found.type_to_confirm)
        if typed.display:
            sentence = _("Production: type {name} to go on.").format(name=found.type_to_confirm)
            self.query_one("#to-type", Static).update(Text(sentence, style=paint_of(self.app).tone(Tone.FAIL)))
        if not isinstance(self.focused, Input) or not self.focused.display:
            first = reason if reason.display else typed if typed.display else self.query_one("#dialog")
            first.focus()
        hint = _("Enter does it, Esc goes back") if found.allowed else _("Esc goes back")
        self.query_one("#dialog").border_subtitle = hint

    def _show_choices(self, found: Consequence) -> None:
        """Only where there is a choice. What can't be done unless one is made begins with the first, and says what that means."""
        choice = self.query_one("#choice", Select)
        choice.display = len(found.choices) > 1 or (bool(found.choices) and found.chosen not in found.choices)
        if not choice.display:
            return
        options = [(Text(_choice_line(version)), version) for version in found.choices]
        if self._choices != found.choices:
            self._choices = found.choices
            with self.prevent(Select.Changed):
                choice.set_options(options)
                if found.chosen in found.choices:
                    choice.value = found.chosen
        if found.chosen not in found.choices:
            choice.value = found.choices[0]

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


def _choice_line(version: str) -> str:
    return _("to {version}").format(version=version) if version else _("each host to the version it ran before")
