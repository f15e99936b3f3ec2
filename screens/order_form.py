"""What the forms of new orders share: the app, groups and Beta, and what the order would mean, live. Nothing is created before it
is submitted, and nothing that the engine forbids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Input, Label, Select

from engine.api import Api
from engine.domain.hand_groups import HandGroups
from engine.domain.orders import DEFAULT_GROUPS, OrderSpec
from engine.domain.problem import Problem, ProblemError
from engine.domain.states import Strategy
from engine.views.catalogue import AppView, HostView
from engine.views.preview import OrderPreview
from screens import words
from screens.asking import WRITE_DEADLINE_S, ask, in_worker
from screens.hand_groups import HandGroupsScreen, groups_of, summary
from screens.order import OrderScreen
from screens.paint import paint_of
from screens.translate import N_, _, tr
from screens.watching import WatchingScreen
from screens.widgets.key_bar import KeyBar, KeyNow
from screens.widgets.key_button import key_name
from screens.widgets.notice import Notice
from screens.widgets.number_field import NumberField
from screens.widgets.preview import Preview
from screens.widgets.prose import Prose
from screens.widgets.said import Choice, Options, Said
from screens.widgets.tick import Tick
from screens.widgets.trouble import problem_text
from screens.words import Tone

BY_HAND = "by_hand"
Number = tuple[str, NumberField, Label]
# behind the keys of each form
WALK = (Binding("escape", "app.pop_screen", N_("back")), Binding("tab", "app.focus_next", N_("next field")))


@dataclass(frozen=True, slots=True)
class Choices:
    apps: tuple[AppView, ...]
    hosts: tuple[HostView, ...]


class OrderForm(WatchingScreen[Choices]):
    """`app` empty: the first of the list is proposed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "submit", N_("create the order"), show=False, priority=True),
        Binding("b", "switch_beta", N_("Beta")),
        Binding("B", "draw_beta", N_("other hosts")),
        Binding("e", "edit_groups", N_("groups")),
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-small"), (60, "-roomy")]  # noqa: RUF012  # textual declares it so

    def __init__(self, app: str) -> None:
        super().__init__()
        self._app = app
        self._seed = 1
        self._preview: OrderPreview | None = None
        self._refusal: Problem | None = None  # instead of a preview
        self._asked = 0
        self._filled = False
        self._submitting = False
        self._groups_typed = False
        self._previewed_with: Choices | None = None
        self._strategy = Strategy.QUICK  # the one chosen last, also while groups are by hand
        self._hand: HandGroups | None = None

    # ---- what a form says of itself

    def fields(self) -> ComposeResult:
        raise NotImplementedError

    def spec_with(self, hand: HandGroups | None) -> OrderSpec | None:
        """The order as the form has it, with these groups; None while something is not chosen, or a number in sight is none."""
        raise NotImplementedError

    def spec(self) -> OrderSpec | None:
        return self.spec_with(self._hand)

    def missing(self) -> str:
        """What must be chosen before there is an order."""
        raise NotImplementedError

    def app_changed(self) -> None:
        """Propose what fits the app."""

    def choices_changed(self) -> None:
        """Show what fits the app and hosts as they are now, and what was chosen."""

    def hosts_to_group(self) -> Mapping[str, Sequence[str]]:
        """Each app's hosts that the order could act on."""
        raise NotImplementedError

    def numbers_in_sight(self) -> list[Number]:
        """What each is called, its field and the label that says its range."""
        if self.strategy is not Strategy.QUICK or self._hand is not None:
            return []
        return [
            (_("groups"), self.query_one("#group-count", NumberField), self.query_one("#groups-label", Label)),
        ]

    # ---- parts that they are made of

    def body(self) -> ComposeResult:
        with Horizontal(id="sheet"):
            with VerticalScroll(id="form", can_focus=False):
                yield from self.fields()
                with Vertical(id="override-row"):
                    yield Said(N_("why the floor may be broken"))
                    yield Input(id="override")
                yield Prose(id="blocked")
                yield Button("", id="submit", disabled=True)
            yield Preview()
        yield Notice()

    def app_field(self) -> Choice:
        return Choice(self._apps_to_choose, id="app", prompt=N_("choose"))

    def group_fields(self) -> ComposeResult:
        yield Label(_("groups"), id="groups-label", markup=False)
        with Horizontal(classes="row"):
            yield Choice(_ways_to_group, id="strategy")
            yield NumberField(DEFAULT_GROUPS, id="group-count", low=1, high=999)
        yield Prose(id="hand-line")
        yield Tick(N_("Beta first (b)"), id="beta")

    def on_mount(self) -> None:
        self.query_one("#override-row").display = False
        self._say_blocked()

    def retell(self) -> None:
        super().retell()
        self.choices_changed()
        self._say_ranges()
        if self._filled:
            self._say_again()

    @property
    def strategy(self) -> Strategy:
        return self._strategy

    @property
    def groups(self) -> int:
        return self.query_one("#group-count", NumberField).number or 1

    @property
    def beta(self) -> bool:
        return self.query_one("#beta", Tick).value

    def text(self, field: str) -> str:
        return self.query_one(f"#{field}", Input).value.strip()

    # ---- what can be chosen

    def fetch(self, api: Api) -> Choices:
        tenant, workspace = self.cockpit.here()
        return Choices(api.apps(tenant, workspace), api.hosts(tenant, workspace, app=self._app or None))

    def show(self, data: Choices) -> None:
        if not self._filled:
            self._filled = True
            self._fill_apps(data)
        elif data != self._previewed_with:
            self.query_one("#app", Choice).offer()
            self.refresh_form()
        else:
            self._say_again()

    def _fill_apps(self, data: Choices) -> None:
        field = self.query_one("#app", Choice)
        field.offer()
        if not self._app and data.apps:
            self._app = next((app for app in data.apps if app.running), data.apps[0]).name
            self.reload()
        if self.chosen_app() is not None:
            field.choose(self._app)
        self._take_app()

    def _apps_to_choose(self) -> Options:
        """All of the catalogue: of one that has no host here it is said what it lacks."""
        apps = self.data.apps if self.data else ()
        absent = _("not here")
        return [(Text(app.name if app.hosts else f"{app.name}  ({absent})"), app.name) for app in apps]

    def _take_app(self) -> None:
        self.app_changed()
        self.draw_crumbs()
        self.refresh_form()

    def chosen_app(self) -> AppView | None:
        return next((app for app in (self.data.apps if self.data else ()) if app.name == self._app), None)

    def fit_groups(self, hosts: int) -> None:
        """A default never fails: fewer hosts than groups make fewer groups, unless their number was typed."""
        field = self.query_one("#group-count", NumberField)
        field.high = max(1, hosts)
        if not self._groups_typed:
            with self.prevent(Input.Changed):
                field.value = str(min(DEFAULT_GROUPS, field.high))

    def on_select_changed(self, event: Select.Changed) -> None:
        if event.select.id == "app":
            self._app = self.query_one("#app", Choice).chosen
            self.take_groups(None)
            self._take_app()
            self.reload()
        elif event.select.id == "strategy":
            self._strategy_chosen(self.query_one("#strategy", Choice).chosen)
        else:
            self.refresh_form()

    # ---- groups by hand

    def _strategy_chosen(self, chosen: str) -> None:
        """A strategy takes the place of groups by hand; those begin with what the strategy made."""
        if chosen == BY_HAND and self._hand is None:
            self.query_one("#strategy", Choice).choose(self._strategy)
            self.action_edit_groups()
        elif chosen != BY_HAND:
            self._strategy, self._hand = Strategy(chosen), None
            self.refresh_form()

    def action_edit_groups(self) -> None:
        if self.spec() is None or self._preview is None:
            self.query_one(Notice).tell(self.blocked() or _("one moment …"), good=False)
            return
        now = self._hand or groups_of(self._preview)
        groups = now.with_new(self.hosts_to_group())
        self.app.push_screen(HandGroupsScreen(self.trail(), groups, self.spec_with, self.take_groups))

    def take_groups(self, groups: HandGroups | None) -> None:
        """None: those of the strategy."""
        self._hand = groups
        self.query_one("#strategy", Choice).choose(self._strategy if groups is None else BY_HAND)
        self.refresh_form()
        self.refresh_bindings()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._groups_typed = self._groups_typed or (event.input.id == "group-count" and self._filled)
        if isinstance(event.input, NumberField) or event.input.id == "override":
            self.refresh_form()

    def on_checkbox_changed(self) -> None:
        self.refresh_form()
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Other Beta hosts are offered where there are any; groups by hand have their Beta hosts by hand."""
        if action == "switch_beta":
            return self._hand is None
        return action != "draw_beta" or (self._filled and self.beta and self._hand is None)

    def action_switch_beta(self) -> None:
        self.query_one("#beta", Tick).toggle()

    def action_draw_beta(self) -> None:
        """Pick the Beta hosts anew, among the healthy ones of each data centre."""
        self._seed += 1
        self.refresh_form()

    # ---- what it would be

    def wrong_numbers(self) -> list[str]:
        return [said for name, field, _label in self.numbers_in_sight() if (said := field.refusal(name))]

    def _say_ranges(self) -> None:
        self.query_one("#groups-label", Label).update(_("groups"))
        for name, field, label in self.numbers_in_sight():
            label.update(f"{'! ' if field.number is None else ''}{name} {field.range}")
            label.set_class(field.number is None, "-wrong")

    def refresh_form(self) -> None:
        """Show what was chosen and ask what it would mean."""
        self._previewed_with = self.data
        by_hand = self._hand is not None
        self.query_one("#group-count").display = self.strategy is Strategy.QUICK and not by_hand
        self.query_one("#beta").display = not by_hand
        line = self.query_one("#hand-line", Prose)
        line.display = by_hand
        if self._hand is not None:
            line.say(summary(self._hand))
        self.choices_changed()
        self._say_ranges()
        spec = self.spec()
        self._asked += 1  # an answer to an earlier question says nothing about this form
        if spec is None:
            self._preview = self._refusal = None
            self._say_blocked()
            self._say_no_preview()
            return
        self.query_one(Notice).clear()
        in_worker(self, self._fetch_preview, spec, self._asked, group="preview", exclusive=True)

    async def _fetch_preview(self, spec: OrderSpec, asked: int) -> None:
        tenant, workspace = self.cockpit.here()
        try:
            preview = await ask(self, lambda api: api.preview(tenant, workspace, spec))
        except ProblemError as error:
            self._preview, self._refusal = None, error.problem
            self._say_no_preview()
            self._say_blocked()
            return
        if asked == self._asked:
            self._preview, self._refusal = preview, None
            self.query_one(Preview).show(preview)
            self.query_one("#override-row").display = preview.breaks_floor
            self._say_blocked()

    def _say_again(self) -> None:
        """In the colours and words of the moment."""
        if self._preview is not None:
            self.query_one(Preview).show(self._preview)
        elif self._refusal is not None or self.spec() is None:
            self._say_no_preview()
        self._say_blocked()

    def _say_no_preview(self) -> None:
        why = Text("\n".join(self.wrong_numbers() or [self.missing()]))
        self.query_one(Preview).say(problem_text(self._refusal, self.app) if self._refusal else why)

    # ---- what stands in the way

    def blocked(self) -> str:
        """Why there can be no order as things are, in a sentence; empty when nothing speaks against it."""
        if not self._filled:
            return _("one moment …")
        if self.spec() is None:
            return "; ".join(self.wrong_numbers() or [self.missing()])
        if self._preview is None and self._refusal is None:
            return _("one moment …")
        problems = self._preview.problems if self._preview else tuple(filter(None, [self._refusal]))
        return tr(problems[0].what) if problems else ""

    def _say_blocked(self) -> None:
        why, submit, line = self.blocked(), self.query_one("#submit", Button), self.query_one("#blocked", Prose)
        submit.label = "  ".join((_("create the order"), key_name("ctrl+s", self.app)))
        submit.disabled = bool(why)
        line.display = bool(why)
        line.say(Text(f"! {why}", style=paint_of(self.app).tone(Tone.WAIT)))
        self.query_one(KeyBar).redraw()

    @property
    def expected_key(self) -> KeyNow | None:
        """For the bottom line."""
        if not self.is_mounted or self.blocked():
            return None
        return KeyNow("ctrl+s", _("create"), "submit", self, marked=True)

    # ---- creating it

    def on_button_pressed(self) -> None:
        self.action_submit()

    def action_submit(self) -> None:
        spec = self.spec()
        if spec is None:
            self.query_one(Notice).tell("; ".join(self.wrong_numbers() or [self.missing()]), good=False)
        if spec is None or self._submitting:
            return
        self._submitting = True
        self.query_one(Notice).clear()
        in_worker(self, self._create, spec, group="create")

    async def _create(self, spec: OrderSpec) -> None:
        tenant, workspace = self.cockpit.here()
        try:
            order_id = await ask(self, lambda api: api.create_order(tenant, workspace, spec), WRITE_DEADLINE_S)
        except ProblemError as error:
            self.query_one(Notice).refuse(error.problem)
            return
        finally:
            self._submitting = False
        # not awaited: this worker ends with this screen
        self.app.call_later(self.app.switch_screen, OrderScreen(order_id))


def grouped(spec: OrderSpec, hand: HandGroups | None) -> OrderSpec:
    """With the groups that were edited by hand, if they were."""
    return spec if hand is None else replace(spec, grouping=hand.grouping(spec.grouping))


def _ways_to_group() -> Options:
    return [*((Text(words.strategy_word(each)), each) for each in Strategy), (Text(_("by hand (e)")), BY_HAND)]
