"""Before an act is done: what it would do now, and the button that does it. Until then the answer is kept up to date.

It sends nothing itself: it is dismissed with what was decided (`Decided`) or with None. It takes no key that was pressed before it
was painted, and the key that does it is another one than the key that opened it: whoever leans on Enter does nothing. Where there
are several versions to go back to, the choice stands in it, and what it says is said of the one that is chosen; a retry that may
keep what was done can be made one that does everything again. In production it
says by which rule something is to be typed.
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
from textual.widgets import Button, Input, OptionList, Select

from engine.domain.acts import AnyAct, Retry, RollBack, SetWeights
from engine.domain.problem import ProblemError
from engine.views.acts import Consequence
from screens import words
from screens.asking import ask, in_worker
from screens.choices import choice_line, with_choice
from screens.cockpit import cockpit_of
from screens.paint import paint_of
from screens.translate import N_, _, tr
from screens.typed_ahead import Patience
from screens.widgets.key_button import KeyButton, key_name
from screens.widgets.prose import Prose
from screens.widgets.trouble import problem_text
from screens.words import Tone

REFRESH_S = 0.5
FROM_START = "a"


class DoButton(KeyButton, can_focus=True):
    """The one that does it: it has the focus unless something is to be typed."""


@dataclass(frozen=True, slots=True)
class Decided:
    """`reason` may be empty where none is asked for. `makes_order`: it is done by an order of its own. `first`: weights that are
    set before it."""

    act: AnyAct
    reason: str
    makes_order: bool
    first: SetWeights | None = None


class ConsequenceScreen(ModalScreen[Decided | None]):
    AUTO_FOCUS = ""  # where the cursor stands depends on what is asked for
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "do_it", N_("do it")),
        Binding("escape", "leave", N_("back")),
        Binding(FROM_START, "from_start", N_("everything again, or not")),
    ]

    def __init__(self, order_id: int, act: AnyAct, *, opened_by: str = "", first: SetWeights | None = None) -> None:
        """`opened_by`: the key that asked for it; empty for a click. `first`: weights that are set before it."""
        super().__init__()
        self._order_id = order_id
        self._act = act
        self._first = first
        self._does = words.act_key(act.name) if opened_by == "enter" else "enter"
        self._consequence: Consequence | None = None
        self._choices: tuple[str, ...] = ()
        self._said = ""
        self._busy = False
        self.patience = Patience()

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="dialog", classes="consequence", can_focus=False):
            yield Prose(id="would")
            yield KeyButton(id="from-start", action="screen.from_start")
            yield Select[str]([], id="choice", allow_blank=True, prompt=_("choose"))
            yield Input(id="reason", placeholder=_("the reason, for the audit"))
            yield Input(id="override", placeholder=_("why the floor may be broken"))
            yield Prose(id="to-type")
            yield Input(id="typed")
            yield Prose(id="missing")
            yield DoButton(id="do")
            yield KeyButton(id="leave", action="screen.leave")

    def on_mount(self) -> None:
        title = _("If you press it now: {act} #{order}")
        self.query_one("#dialog").border_title = title.format(act=words.act_word(self._act.name), order=self._order_id)
        for part in ("#from-start", "#choice", "#reason", "#override", "#to-type", "#typed", "#missing", "#do"):
            self.query_one(part).display = False
        self.query_one("#leave", KeyButton).say("escape", _("back"))
        self.query_one("#would", Prose).say(Text(_("one moment …")))
        self.app.theme_changed_signal.subscribe(self, self._recoloured)
        self.set_interval(REFRESH_S, self._ask)
        self._ask()

    # ---- what may be pressed

    @property
    def ready(self) -> bool:
        """Whether a key pressed now would be taken."""
        return self.patience.ready(time.monotonic())

    def takes(self, key: Key) -> bool:
        """A key that types or does something must have been meant for what is shown here."""
        if not (key.is_printable or key.key == "enter"):
            return True
        if not self.patience.takes(key.time):
            self._say(_("That key came before this could be read. Press {key} once you have read it."))
            return False
        if isinstance(self.focused, (Input, Select, OptionList)):
            return True
        if key.key == self._does or (key.key == FROM_START and self._may_keep):
            return True
        if key.key == "enter":
            self._say(_("Enter opened this: {key} does it."))
        else:
            self.patience.again(key.time)
        return False

    def on_key(self, event: Key) -> None:
        if event.key == self._does != "enter" and not isinstance(self.focused, Input):
            event.stop()
            self.action_do_it()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        by_click = not cockpit_of(self).pressed
        if by_click and not self.patience.takes(time.monotonic()):
            return
        self.action_do_it()

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
        if not event.select.is_blank():
            self._act = with_choice(self._act, str(event.select.value))
            self._ask()

    @property
    def _may_keep(self) -> bool:
        return self._consequence is not None and self._consequence.may_keep

    def action_from_start(self) -> None:
        """A retry does everything again, or begins at the failed step."""
        if self._may_keep and isinstance(self._act, Retry):
            self._act = replace(self._act, from_start=not self._act.from_start)
            self._ask()

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_do_it(self) -> None:
        """Only what is allowed now, with everything asked for given."""
        if self._consequence is None or not self._consequence.allowed:
            return
        missing = self._missing(self._consequence)
        if missing:
            self._say(missing)
            return
        act = self._act
        if self._consequence.asks_override and isinstance(act, RollBack):
            act = replace(act, override_reason=self.query_one("#override", Input).value.strip())
        reason = self.query_one("#reason", Input).value.strip()
        self.dismiss(Decided(act, reason, self._consequence.makes_order, self._first))

    def _missing(self, consequence: Consequence) -> str:
        if consequence.asks_reason and not self.query_one("#reason", Input).value.strip():
            self.query_one("#reason").focus()
            return _("A reason is needed.")
        if consequence.asks_override and not self.query_one("#override", Input).value.strip():
            self.query_one("#override").focus()
            return _("It goes below the floor: say why.")
        if consequence.type_to_confirm and self.query_one("#typed", Input).value != consequence.type_to_confirm:
            self.query_one("#typed").focus()
            return _("Type {name} exactly.").format(name=consequence.type_to_confirm)
        return ""

    def _say(self, sentence: str) -> None:
        self._said = sentence
        line = self.query_one("#missing", Prose)
        shown = sentence.replace("{key}", key_name(self._does, self.app))
        line.say(Text(f"! {shown}", style=paint_of(self.app).tone(Tone.WAIT)))
        line.display = True

    # ---- asking

    def _recoloured(self, _theme: object) -> None:
        if self._consequence is not None:
            found, self._consequence = self._consequence, None
            self._show(found)
        if self.query_one("#missing").display:
            self._say(self._said)

    def _ask(self) -> None:
        if not self._busy:
            self._busy = True
            in_worker(self, self._fetch, group="consequence")

    async def _fetch(self) -> None:
        here = cockpit_of(self).here()
        try:
            found = await ask(self, lambda api: api.consequence(*here, self._order_id, self._act, first=self._first))
        except ProblemError as error:
            self._consequence = None
            self.query_one("#do").display = False
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
        self._show_from_start(found)
        self.query_one("#would", Prose).say(self._text(found))
        do = self.query_one("#do", DoButton)
        do.say(self._does, tr(found.summary))
        do.display = found.allowed
        reason, typed = self.query_one("#reason", Input), self.query_one("#typed", Input)
        reason.display = found.allowed and found.asks_reason
        self.query_one("#override").display = found.allowed and found.asks_override
        typed.display = found.allowed and bool(found.type_to_confirm)
        self._say_rule(found)
        if not isinstance(self.focused, (Input, Select, OptionList)) or not self.focused.display:
            self.set_focus(next((each for each in (reason, typed, do) if each.display), None))
        self.call_after_refresh(lambda: self.patience.painted(time.monotonic()))

    def _show_choices(self, found: Consequence) -> None:
        """Only where there is a choice. What can't be done unless one is made begins with the first, and says what that means."""
        choice = self.query_one("#choice", Select)
        choice.display = len(found.choices) > 1 or (bool(found.choices) and found.chosen not in found.choices)
        if not choice.display:
            return
        options = [(Text(choice_line(self._act, each)), each) for each in found.choices]
        if self._choices != found.choices:
            self._choices = found.choices
            with self.prevent(Select.Changed):
                choice.set_options(options)
                if found.chosen in found.choices:
                    choice.value = found.chosen
        if found.chosen not in found.choices:
            choice.value = found.choices[0]

    def _show_from_start(self, found: Consequence) -> None:
        button = self.query_one("#from-start", KeyButton)
        button.keep(found.may_keep)
        if isinstance(self._act, Retry):
            again, not_again = _("do everything again instead"), _("begin at the failed step instead")
            button.say(FROM_START, not_again if self._act.from_start else again)

    def _say_rule(self, found: Consequence) -> None:
        """In production, by which rule something is to be typed here, or nothing is."""
        rule = self.query_one("#to-type", Prose)
        rule.display = found.allowed and cockpit_of(self).production
        paint = paint_of(self.app)
        if found.type_to_confirm:
            sentence = _("Production: an act that needs a reason needs the name too. Type {name} to go on.")
            rule.say(Text(sentence.format(name=found.type_to_confirm), style=paint.tone(Tone.FAIL)))
        else:
            sentence = _("Production: {key} does it, nothing more is asked.").format(key=key_name(self._does, self.app))
            rule.say(Text(sentence, style=paint.dim))

    def _text(self, found: Consequence) -> Text:
        paint = paint_of(self.app)
        if found.refusal is not None:
            return problem_text(found.refusal, self.app)
        parts = [Text(f"· {tr(line)}") for line in found.lines]
        if not all(any(host in part.plain for part in parts) for host in found.hosts):
            names = _("hosts ({count}): ").format(count=len(found.hosts))
            parts.append(Text().append(f"\n{names}", paint.dim).append(" ".join(found.hosts)))
        return Text("\n").join(parts)
