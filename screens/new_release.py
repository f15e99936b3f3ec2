"""A new release: what, how, and what it would mean, live. Nothing is created before it is submitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Label

from engine.domain.orders import OrderSpec
from engine.domain.states import HostState, TrafficMode
from engine.kinds.release import release_spec
from engine.views.catalogue import AppView
from screens import words
from screens.order_form import WALK, Number, OrderForm
from screens.translate import N_, _
from screens.widgets.number_field import NumberField
from screens.widgets.said import Choice, Options, Said

_MODES = (TrafficMode.SNAPSHOT, TrafficMode.GRAY, TrafficMode.PRESET)


class NewReleaseScreen(OrderForm):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("g", "next_traffic", N_("traffic")), *WALK]

    def fields(self) -> ComposeResult:
        yield Said(N_("app"))
        yield self.app_field()
        yield Label(_("version"), id="version-label", markup=False)
        yield Choice(self._versions_to_choose, id="version", prompt=N_("choose"))
        yield from self.group_fields()
        yield Said(N_("traffic (g)"))
        yield Choice(lambda: [(Text(words.traffic_word(mode)), mode) for mode in _MODES], id="traffic")
        with Horizontal(classes="row", id="preset-row"):
            yield Label(_("weight"), id="preset-label", markup=False)
            yield NumberField(100, id="preset", low=1, high=100)
        yield Said(N_("title"))
        yield Input(id="title")

    def on_mount(self) -> None:
        self.query_one("#version").focus()

    def trail(self) -> tuple[str, ...]:
        return (self._app, _("new release"))

    def app_changed(self) -> None:
        app, versions = self.chosen_app(), self.query_one("#version", Choice)
        versions.offer()
        newer = [each for each in app.packages if not _runs_everywhere(each, app)] if app else []
        if newer:
            versions.choose(newer[0])

    def choices_changed(self) -> None:
        self.query_one("#preset-row").display = self._traffic is TrafficMode.PRESET
        self.query_one("#version", Choice).offer()
        app = self.chosen_app()
        now = _("version; now {runs}").format(runs=app.runs) if app is not None and app.runs else _("version")
        self.query_one("#version-label", Label).update(now)
        if app is not None:
            self.fit_groups(app.hosts)

    def _versions_to_choose(self) -> Options:
        app = self.chosen_app()
        return [(Text(_version_line(each, app)), each) for each in app.packages] if app else []

    def missing(self) -> str:
        app = self.chosen_app()
        if app is None:
            return _("Choose an app.")
        if not app.packages:
            return _("No version of {app} was uploaded: `cockpit apply FILE` names its packages.").format(app=app.name)
        return _("Choose a version.")

    def action_next_traffic(self) -> None:
        """Gray is one key away, the others are behind it."""
        self.query_one("#traffic", Choice).value = _MODES[(_MODES.index(self._traffic) + 1) % len(_MODES)]

    @property
    def _traffic(self) -> TrafficMode:
        return TrafficMode(self.query_one("#traffic", Choice).chosen)

    def spec(self) -> OrderSpec | None:
        version = self.query_one("#version", Choice).chosen
        if not self._app or not version or self.wrong_numbers():
            return None
        weight = self.query_one("#preset", NumberField).number or 100
        hosts = self.data.hosts if self.data and self._traffic is TrafficMode.PRESET else ()
        return self.grouped(
            release_spec(
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
        )

    def hosts_to_group(self) -> Mapping[str, Sequence[str]]:
        hosts = self.data.hosts if self.data else ()
        taken = [host.name for host in hosts if self._app in host.apps and host.state is not HostState.OFFLINE]
        return {self._app: taken}

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
