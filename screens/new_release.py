"""A new release: what, how, and what it would mean, live. Nothing is created before it is submitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Input, Label, Select

from engine.api import Api
from engine.domain.orders import DEFAULT_GROUPS, OrderSpec
from engine.domain.problem import ProblemError
from engine.domain.states import Strategy, TrafficMode
from engine.kinds.release import release_spec
from engine.views import AppView, HostView, OrderPreview
from screens import words
from screens.asking import WRITE_DEADLINE_S, ask
from screens.order import OrderScreen
from screens.translate import N_, _
from screens.watching import WatchingScreen
from screens.widgets.notice import Notice
from screens.widgets.number_field import NumberField
from screens.widgets.preview import Preview
from screens.widgets.tick import Tick
from screens.widgets.trouble import problem_text


@dataclass(frozen=True, slots=True)
class Choices:
    apps: tuple[AppView, ...]
    hosts: tuple[HostView, ...]


class NewReleaseScreen(WatchingScreen[Choices]):
    """`app` empty: the first of the list is proposed."""

    HORIZONTAL_BREAKPOINTS = [(0, "-small"), (60, "-roomy")]  # noqa: RUF012  # textual declares it so
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "submit", N_("create the order"), priority=True),
        Binding("ctrl+b", "draw_beta", N_("other Beta hosts"), priority=True),
        Binding("tab", "app.focus_next", N_("next field")),
        Binding("escape", "app.pop_screen", N_("back")),
    ]

    def __init__(self, app: str) -> None:
        super().__init__()
        self._app = app
        self._seed = 1
        self._preview: OrderPreview | None = None
        self._asked = 0
        self._filled = False
        self._submitting = False
        self._groups_typed = False

    def body(self) -> ComposeResult:
        with Horizontal(id="sheet"):
            with VerticalScroll(id="form", can_focus=False):
                yield Label(_("app"), markup=False)
                yield Select[str]([], id="app", prompt=_("choose"))
                yield Label(_("version"), id="version-label", markup=False)
                yield Select[str]([], id="version", prompt=_("choose"))
                yield Label(_("groups"), id="groups-label", markup=False)
                with Horizontal(classes="row"):
                    strategies = [(Text(words.strategy_word(s)), s) for s in Strategy]
                    yield Select(strategies, id="strategy", allow_blank=False, value=Strategy.QUICK)
                    yield NumberField(DEFAULT_GROUPS, id="group-count", low=1, high=999)
                yield Tick(_("Beta first"), id="beta")
                yield Label(_("traffic"), markup=False)
                modes = [(Text(words.traffic_word(mode)), mode) for mode in TrafficMode]
                yield Select(modes, id="traffic", allow_blank=False, value=TrafficMode.SNAPSHOT)
                with Horizontal(classes="row", id="preset-row"):
                    yield Label(_("weight"), id="preset-label", markup=False)
                    yield NumberField(100, id="preset", low=1, high=100)
                yield Label(_("title"), markup=False)
                yield Input(id="title")
                with Vertical(id="override-row"):
                    yield Label(_("why the floor may be broken"), markup=False)
                    yield Input(id="override")
                yield Button(_("create the order"), id="submit", variant="primary")
            yield Preview()
        yield Notice()

    def on_mount(self) -> None:
        self.query_one("#preset-row").display = False
        self.query_one("#override-row").display = False
        self.query_one("#version").focus()

    def trail(self) -> tuple[str, ...]:
        return (self._app, _("new release"))

    # ---- what can be chosen

    def fetch(self, api: Api) -> Choices:
        tenant, workspace = self.cockpit.here()
        return Choices(api.apps(tenant, workspace), api.hosts(tenant, workspace, app=self._app or None))

    def show(self, data: Choices) -> None:
        if self._filled:
            if self._preview is not None:
                self.query_one(Preview).show(self._preview)
            return
        self._filled = True
        apps = self.query_one("#app", Select)
        placed = [app for app in data.apps if app.hosts]
        with self.prevent(Select.Changed):
            apps.set_options([(Text(app.name), app.name) for app in placed])
            if not self._app and placed:
                self._app = placed[0].name
            if self._app in {app.name for app in placed}:
                apps.value = self._app
        self._fill_versions()

    def _fill_versions(self) -> None:
        app = next((app for app in (self.data.apps if self.data else ()) if app.name == self._app), None)
        packages = app.packages if app else ()
        now = _("version; now {runs}").format(runs=app.runs) if app is not None and app.runs else _("version")
        self.query_one("#version-label", Label).update(now)
        versions = self.query_one("#version", Select)
        with self.prevent(Select.Changed):
            versions.set_options([(Text(_version_line(v, app)), v) for v in packages])
            newer = [version for version in packages if app is not None and not _runs_everywhere(version, app)]
            if newer:
                versions.value = newer[0]
        self._fit_groups(app)
        self.draw_crumbs()
        self._ask_preview()

    def _fit_groups(self, app: AppView | None) -> None:
        """A default never fails: fewer hosts than groups make fewer groups, unless their number was typed."""
        field = self.query_one("#group-count", NumberField)
        field.high = max(1, app.hosts) if app is not None else field.high
        if not self._groups_typed:
            with self.prevent(Input.Changed):
                field.value = str(min(DEFAULT_GROUPS, field.high))

    def on_select_changed(self, event: Select.Changed) -> None:
        if event.select.id == "app":
            self._app = _chosen(event.select)
            self._filled = True
            self._fill_versions()
            self.reload()
            return
        strategy = _chosen(self.query_one("#strategy", Select))
        self.query_one("#group-count").display = strategy == Strategy.QUICK
        self.query_one("#preset-row").display = _chosen(self.query_one("#traffic", Select)) == TrafficMode.PRESET
        self._ask_preview()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._groups_typed = self._groups_typed or (event.input.id == "group-count" and self._filled)
        if event.input.id in ("group-count", "preset", "override"):
            self._ask_preview()

    def on_checkbox_changed(self) -> None:
        self._ask_preview()

    def action_draw_beta(self) -> None:
        """Pick the Beta hosts anew, among the healthy ones of each data centre."""
        self._seed += 1
        self._ask_preview()

    # ---- what it would be

    def spec(self) -> OrderSpec | None:
        """The release as the form has it; None while no app or version is chosen, or a number in sight is none."""
        version = _chosen(self.query_one("#version", Select))
        if not self._app or not version or self._wrong_numbers():
            return None
        traffic = TrafficMode(_chosen(self.query_one("#traffic", Select)))
        weight = self.query_one("#preset", NumberField).number or 100
        hosts = self.data.hosts if self.data and traffic is TrafficMode.PRESET else ()
        return release_spec(
            self._app,
            version,
            title=self.query_one("#title", Input).value.strip(),
            strategy=Strategy(_chosen(self.query_one("#strategy", Select))),
            groups=self.query_one("#group-count", NumberField).number or 1,
            beta=self.query_one("#beta", Tick).value,
            traffic=traffic,
            preset_weights={host.name: weight for host in hosts if self._app in host.apps},
            override_reason=self.query_one("#override", Input).value.strip(),
            seed=self._seed,
        )

    def _numbers_in_sight(self) -> list[tuple[str, NumberField, Label]]:
        """Of the present strategy and traffic: what each is called, its field and the label that says its range."""
        named = (("group-count", "groups-label", _("groups")), ("preset", "preset-label", _("weight")))
        found = [
            (name, self.query_one(f"#{id}", NumberField), self.query_one(f"#{by}", Label)) for id, by, name in named
        ]
        quick = _chosen(self.query_one("#strategy", Select)) == Strategy.QUICK
        preset = _chosen(self.query_one("#traffic", Select)) == TrafficMode.PRESET
        return [each for each, shown in zip(found, (quick, preset), strict=True) if shown]

    def _wrong_numbers(self) -> list[str]:
        return [said for name, field, _label in self._numbers_in_sight() if (said := field.refusal(name))]

    def _say_ranges(self) -> None:
        self.query_one("#groups-label", Label).update(_("groups"))
        for name, field, label in self._numbers_in_sight():
            label.update(f"{'! ' if field.number is None else ''}{name} {field.range}")
            label.set_class(field.number is None, "-wrong")

    def _ask_preview(self) -> None:
        self._say_ranges()
        spec = self.spec()
        if spec is None:
            self._asked += 1  # an answer to an earlier question says nothing about this form
            wrong = self._wrong_numbers() or [_("Choose an app and a version that was uploaded for it.")]
            self.query_one(Preview).say(Text("\n".join(wrong)))
            return
        self.query_one(Notice).clear()
        self._asked += 1
        self.run_worker(self._fetch_preview(spec, self._asked), group="preview", exclusive=True)

    async def _fetch_preview(self, spec: OrderSpec, asked: int) -> None:
        tenant, workspace = self.cockpit.here()
        try:
            preview = await ask(self, lambda api: api.preview(tenant, workspace, spec))
        except ProblemError as error:
            self.query_one(Preview).say(problem_text(error.problem, self.app))
            return
        if asked == self._asked:
            self._preview = preview
            self.query_one(Preview).show(preview)
            self.query_one("#override-row").display = preview.breaks_floor

    # ---- creating it

    def on_button_pressed(self) -> None:
        self.action_submit()

    def action_submit(self) -> None:
        spec = self.spec()
        if wrong := self._wrong_numbers():
            self.query_one(Notice).tell("; ".join(wrong), good=False)
        if spec is None or self._submitting:
            return
        self._submitting = True
        self.query_one(Notice).clear()
        self.run_worker(self._create(spec), group="create")

    async def _create(self, spec: OrderSpec) -> None:
        tenant, workspace = self.cockpit.here()
        try:
            order_id = await ask(self, lambda api: api.create_order(tenant, workspace, spec), WRITE_DEADLINE_S)
        except ProblemError as error:
            self.query_one(Notice).refuse(error.problem)
            return
        finally:
            self._submitting = False
        self.app.call_later(
            self.app.switch_screen, OrderScreen(order_id)
        )  # not awaited: this worker ends with this screen


def _version_line(version: str, app: AppView | None) -> str:
    here = next((each.hosts for each in app.running if each.version == version), 0) if app is not None else 0
    if app is None or not here:
        return version
    return _("{version}  (runs on {hosts} of {all} hosts)").format(version=version, hosts=here, all=app.hosts)


def _runs_everywhere(version: str, app: AppView) -> bool:
    return any(each.version == version and each.hosts == app.hosts for each in app.running)


def _chosen(select: Select[Any]) -> str:
    return "" if select.is_blank() else str(select.value)
