"""A new release: what, how, and what it would mean, live. Nothing is created before it is submitted."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Label, Select

from engine.domain.orders import OrderSpec
from engine.domain.states import TrafficMode
from engine.kinds.release import release_spec
from engine.views import AppView
from screens import words
from screens.order_form import Number, OrderForm, chosen
from screens.translate import _
from screens.widgets.number_field import NumberField


class NewReleaseScreen(OrderForm):
    def fields(self) -> ComposeResult:
        yield Label(_("app"), markup=False)
        yield Select[str]([], id="app", prompt=_("choose"))
        yield Label(_("version"), id="version-label", markup=False)
        yield Select[str]([], id="version", prompt=_("choose"))
        yield from self.group_fields()
        yield Label(_("traffic"), markup=False)
        modes = [(Text(words.traffic_word(mode)), mode) for mode in TrafficMode]
        yield Select(modes, id="traffic", allow_blank=False, value=TrafficMode.SNAPSHOT)
        with Horizontal(classes="row", id="preset-row"):
            yield Label(_("weight"), id="preset-label", markup=False)
            yield NumberField(100, id="preset", low=1, high=100)
        yield Label(_("title"), markup=False)
        yield Input(id="title")

    def on_mount(self) -> None:
        self.query_one("#version").focus()

    def trail(self) -> tuple[str, ...]:
        return (self._app, _("new release"))

    def app_changed(self) -> None:
        app = self.chosen_app()
        packages = app.packages if app else ()
        now = _("version; now {runs}").format(runs=app.runs) if app is not None and app.runs else _("version")
        self.query_one("#version-label", Label).update(now)
        versions = self.query_one("#version", Select)
        with self.prevent(Select.Changed):
            versions.set_options([(Text(_version_line(v, app)), v) for v in packages])
            newer = [version for version in packages if app is not None and not _runs_everywhere(version, app)]
            if newer:
                versions.value = newer[0]

    def choices_changed(self) -> None:
        self.query_one("#preset-row").display = self._traffic is TrafficMode.PRESET
        if (app := self.chosen_app()) is not None:
            self.fit_groups(app.hosts)

    def missing(self) -> str:
        return _("Choose an app and a version that was uploaded for it.")

    @property
    def _traffic(self) -> TrafficMode:
        return TrafficMode(chosen(self.query_one("#traffic", Select)))

    def spec(self) -> OrderSpec | None:
        version = chosen(self.query_one("#version", Select))
        if not self._app or not version or self.wrong_numbers():
            return None
        weight = self.query_one("#preset", NumberField).number or 100
        hosts = self.data.hosts if self.data and self._traffic is TrafficMode.PRESET else ()
        return release_spec(
            self._app,
            version,
            title=self.text("title"),
            strategy=self.strategy,
            groups=self.groups,
            beta=self.beta,
            traffic=self._traffic,
            preset_weights={host.name: weight for host in hosts if self._app in host.apps},
            override_reason=self.text("override"),
            seed=self._seed,
        )

    def numbers_in_sight(self) -> list[Number]:
        found = super().numbers_in_sight()
        if self._traffic is TrafficMode.PRESET:
            label = self.query_one("#preset-label", Label)
            found.append((_("weight"), self.query_one("#preset", NumberField), label))
        return found


def _version_line(version: str, app: AppView | None) -> str:
    here = next((each.hosts for each in app.running if each.version == version), 0) if app is not None else 0
    if app is None or not here:
        return version
    return _("{version}  (runs on {hosts} of {all} hosts)").format(version=version, hosts=here, all=app.hosts)


def _runs_everywhere(version: str, app: AppView) -> bool:
    return any(each.version == version and each.hosts == app.hosts for each in app.running)
