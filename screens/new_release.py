"""A new release: what, how, and what it would mean, live. Nothing is created before it is submitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Label

from engine.api import Api
from engine.domain.asked_apps import AskedApps
from engine.domain.hand_groups import HandGroups
from engine.domain.orders import AppAsked, OrderSpec
from engine.domain.states import HostState, TrafficMode
from engine.kinds.release import release_spec
from engine.views.catalogue import AppView
from screens import words
from screens.order_apps import OrderAppsScreen
from screens.order_form import WALK, Choices, Number, OrderForm, grouped
from screens.preset_weights import PresetWeightsScreen
from screens.translate import N_, _, ngettext
from screens.widgets.notice import Notice
from screens.widgets.number_field import NumberField
from screens.widgets.prose import Prose
from screens.widgets.said import Choice, Options, Said

_MODES = (TrafficMode.SNAPSHOT, TrafficMode.GRAY, TrafficMode.PRESET)


class NewReleaseScreen(OrderForm):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("g", "next_traffic", N_("traffic")),
        Binding("a", "edit_apps", N_("apps")),
        Binding("p", "edit_weights", N_("weights")),
        *WALK,
    ]

    def __init__(self, app: str) -> None:
        super().__init__(app)
        self._several: tuple[AppAsked, ...] = ()  # empty: the one app of the fields
        self._weights: Mapping[str, int] = {}  # of hosts whose weight is not the one of the field

    def fields(self) -> ComposeResult:
        yield Said(N_("app"), id="app-label")
        yield self.app_field()
        yield Prose(id="several")
        yield Label(_("version"), id="version-label", markup=False)
        yield Choice(self._versions_to_choose, id="version", prompt=N_("choose"))
        yield from self.group_fields()
        yield Said(N_("traffic (g)"))
        yield Choice(lambda: [(Text(words.traffic_word(mode)), mode) for mode in _MODES], id="traffic")
        with Horizontal(classes="row", id="preset-row"):
            yield Label(_("weight"), id="preset-label", markup=False)
            yield NumberField(100, id="preset", low=1, high=100)
            yield Label("", id="preset-hosts", markup=False)
        yield Said(N_("title"))
        yield Input(id="title")

    def on_mount(self) -> None:
        self.query_one("#version").focus()

    def trail(self) -> tuple[str, ...]:
        return (", ".join(app.app for app in self._asked_apps) or self._app, _("new release"))

    def app_changed(self) -> None:
        app, versions = self.chosen_app(), self.query_one("#version", Choice)
        versions.offer()
        newer = [each for each in app.packages if not _runs_everywhere(each, app)] if app else []
        if newer:
            versions.choose(newer[0])

    def fetch(self, api: Api) -> Choices:
        if not self._several:
            return super().fetch(api)
        tenant, workspace = self.cockpit.here()
        return Choices(api.apps(tenant, workspace), api.hosts(tenant, workspace))

    def choices_changed(self) -> None:
        self._show_apps()
        self._show_weights()
        self.query_one("#version", Choice).offer()
        app = self.chosen_app()
        now = _("version; now {runs}").format(runs=app.runs) if app is not None and app.runs else _("version")
        self.query_one("#version-label", Label).update(now)
        if app is not None:
            self.fit_groups(max((len(hosts) for hosts in self.hosts_to_group().values()), default=app.hosts))

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

    def spec_with(self, hand: HandGroups | None) -> OrderSpec | None:
        if not self._asked_apps or self.wrong_numbers():
            return None
        first, *others = self._asked_apps
        spec = release_spec(
            first.app,
            first.version,
            needs=first.needs,
            also=tuple(others),
            title=self.text("title"),
            strategy=self.strategy,
            groups=self.groups if self._groups_typed or not others else None,
            beta=self.beta,
            traffic=self._traffic,
            preset_weights=self._preset_weights(hand) if self._traffic is TrafficMode.PRESET else {},
            override_reason=self.text("override"),
            seed=self._seed,
        )
        return grouped(spec, hand)

    def hosts_to_group(self) -> Mapping[str, Sequence[str]]:
        hosts = [host for host in (self.data.hosts if self.data else ()) if host.state is not HostState.OFFLINE]
        names = [app.app for app in self._asked_apps] or [self._app]
        return {name: [host.name for host in hosts if name in host.apps] for name in names}

    # ---- several apps

    @property
    def _asked_apps(self) -> tuple[AppAsked, ...]:
        """Those of the order; none while no version is chosen."""
        version = self.query_one("#version", Choice).chosen
        return self._several or ((AppAsked(self._app, version),) if self._app and version else ())

    def action_edit_apps(self) -> None:
        if not self._asked_apps:
            self.query_one(Notice).tell(self.missing(), good=False)
            return
        self.app.push_screen(OrderAppsScreen(AskedApps(self._asked_apps), self._take_apps))

    def _take_apps(self, asked: AskedApps) -> None:
        """One app alone has fields of its own."""
        before = {app.app for app in self._asked_apps}
        self._several = asked.apps if len(asked.apps) > 1 else ()
        if not self._several:
            self._app = asked.apps[0].app
            self.query_one("#app", Choice).choose(self._app)
            self.query_one("#version", Choice).offer()
            self.query_one("#version", Choice).choose(asked.apps[0].version)
        if before != set(asked.names):
            self.take_groups(None)
        self.draw_crumbs()
        self.refresh_form()
        self.query_one("#strategy" if self._several else "#version").focus()  # one that is shown
        self.reload()

    def _show_apps(self) -> None:
        several = bool(self._several)
        for field in ("#app-label", "#app", "#version-label", "#version"):
            self.query_one(field).display = not several
        line = self.query_one("#several", Prose)
        line.display = several
        line.say(Text("\n").join([Text(_("apps (a)")), *(_app_line(app) for app in self._several)]))

    # ---- preset weights

    def _preset_weights(self, hand: HandGroups | None) -> dict[str, int]:
        excluded = hand.excluded if hand else ()
        weight = self.query_one("#preset", NumberField).number or 100
        hosts = [host for hosts in self.hosts_to_group().values() for host in hosts if host not in excluded]
        return {host: self._weights.get(host, weight) for host in hosts}

    def action_edit_weights(self) -> None:
        weights = self._preset_weights(self._hand)
        self.app.push_screen(PresetWeightsScreen(list(weights), weights), self._take_weights)

    def _take_weights(self, weights: Mapping[str, int] | None) -> None:
        if weights is not None:
            usual = self.query_one("#preset", NumberField).number
            self._weights = {host: weight for host, weight in weights.items() if weight != usual}
            self.refresh_form()

    def _show_weights(self) -> None:
        self.query_one("#preset-row").display = self._traffic is TrafficMode.PRESET
        others = len(self._weights)
        said = (
            ngettext("{count} other (p)", "{count} others (p)", others).format(count=others)
            if others
            else _("each (p)")
        )
        self.query_one("#preset-hosts", Label).update(said)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Weights are edited where they are preset."""
        if action == "edit_weights":
            return self._filled and self._traffic is TrafficMode.PRESET
        return super().check_action(action, parameters)

    def numbers_in_sight(self) -> list[Number]:
        found = super().numbers_in_sight()
        if self._traffic is TrafficMode.PRESET:
            label = self.query_one("#preset-label", Label)
            found.append((_("weight"), self.query_one("#preset", NumberField), label))
        return found


def _app_line(app: AppAsked) -> Text:
    said = f"  {app.app} {app.version}"
    return Text(f"{said}, " + _("waits for {apps}").format(apps=", ".join(app.needs)) if app.needs else said)


def _version_line(version: str, app: AppView | None) -> str:
    here = next((each.hosts for each in app.running if each.version == version), 0) if app is not None else 0
    if app is None or not here:
        return version
    return _("{version}  (runs on {hosts} of {all} hosts)").format(version=version, hosts=here, all=app.hosts)


def _runs_everywhere(version: str, app: AppView) -> bool:
    return any(each.version == version and each.hosts == app.hosts for each in app.running)
