"""The apps of a release: which version each gets, and which waits for which, drawn as it is edited.

It asks for nothing to be done: it hands its apps back to the form it was opened from, or leaves them as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll

from engine.api import Api
from engine.domain.asked_apps import AskedApps
from engine.domain.message import Message
from engine.domain.states import Direction, NodeKind, NodeState
from engine.views.catalogue import AppView
from engine.views.orders import NodeView
from screens.paint import paint_of
from screens.picking import PickScreen
from screens.translate import N_, _
from screens.watching import WatchingScreen
from screens.widgets.key_bar import KeyBar, KeyNow
from screens.widgets.lanes import paint_lanes
from screens.widgets.notice import Notice
from screens.widgets.prose import Prose
from screens.widgets.table import Column, Row, Table

_COLUMNS = (
    Column("app", N_("app"), most=24),
    Column("version", N_("version"), most=16),
    Column("runs", N_("runs"), most=16, rank=2),
    Column("needs", N_("waits for"), most=40, rank=1),
)


class OrderAppsScreen(WatchingScreen[tuple[AppView, ...]]):
    """`take` is given the apps when they are to be kept."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "take", N_("take these apps"), show=False, priority=True),
        Binding("a", "add", N_("add an app")),
        Binding("n", "need", N_("waits for")),
        Binding("v", "version", N_("version")),
        Binding("d", "drop", N_("drop")),
        Binding("u", "undo", N_("undo")),
        Binding("escape", "leave", N_("back")),
    ]

    def __init__(self, apps: AskedApps, take: Callable[[AskedApps], None]) -> None:
        super().__init__()
        self._apps = apps
        self._before: list[AskedApps] = []
        self._take = take
        self._warned = False

    def body(self) -> ComposeResult:
        with Horizontal(id="sheet"):
            yield Table(_COLUMNS, id="asked-apps")
            with VerticalScroll(id="preview", can_focus=False):
                yield Prose(id="needs-graph")
        yield Notice()

    def on_mount(self) -> None:
        self.query_one(Table).focus()
        self._draw()

    def trail(self) -> tuple[str, ...]:
        return (_("new release"), _("apps"))

    @property
    def expected_key(self) -> KeyNow:
        return KeyNow("ctrl+s", _("take"), "take", self, marked=True)

    def fetch(self, api: Api) -> tuple[AppView, ...]:
        return api.apps(*self.cockpit.here())

    def show(self, data: tuple[AppView, ...]) -> None:
        self._draw()

    # ---- edits

    def action_add(self) -> None:
        """Of those that have hosts here and a package; with the version that is newest and does not run everywhere."""
        offered = [app for app in self.data or () if app.hosts and app.packages and app.name not in self._apps.names]
        choices = [(app.name, "", app.name, f"{app.runs or '-'} → {newest(app)}") for app in offered]
        self._pick(_("Add an app"), choices, self._add)

    def _add(self, name: str) -> None:
        app = self._view(name)
        if app is not None:
            self._edit(self._apps.with_app(name, newest(app)))
            self.query_one(Table).move_to(name)

    def action_version(self) -> None:
        name = self._chosen
        app = self._view(name)
        if app is not None:
            now = self._apps.of(name).version
            choices = [(each, "✔" if each == now else "", each, "") for each in app.packages]
            title = _("Version of {app}").format(app=name)
            self._pick(title, choices, lambda version: self._edit(self._apps.with_app(name, version)))

    def action_need(self) -> None:
        name = self._chosen
        if not name:
            return
        needs = self._apps.of(name).needs
        others = [each for each in self._apps.names if each != name]
        choices = [(each, "✔" if each in needs else "", each, self._would(name, each)) for each in others]
        if not choices:
            self.query_one(Notice).tell(_("Add another app first (a)."), good=False)
            return
        title = _("{app} begins when these are done").format(app=name)
        self._pick(title, choices, lambda need: self._need(name, need))

    def _would(self, name: str, need: str) -> str:
        """Why it can't be drawn."""
        closed = () if need in self._apps.of(name).needs else self._apps.circle_with(name, need)
        return _("circle: {apps}").format(apps=" → ".join(closed)) if closed else ""

    def _need(self, name: str, need: str) -> None:
        closed = () if need in self._apps.of(name).needs else self._apps.circle_with(name, need)
        if closed:
            said = _("These apps would wait for each other: {apps}.").format(apps=" → ".join(closed))
            self.query_one(Notice).tell(said, good=False)
            return
        self._edit(self._apps.with_need(name, need))

    def action_drop(self) -> None:
        if len(self._apps.apps) == 1:
            self.query_one(Notice).tell(_("An order has at least one app."), good=False)
        elif self._chosen:
            self._edit(self._apps.without(self._chosen))

    def action_undo(self) -> None:
        if not self._before:
            self.query_one(Notice).tell(_("Nothing to undo."), good=False)
            return
        self._apps = self._before.pop()
        self._changed()

    def _pick(self, title: str, choices: Sequence[tuple[str, str, str, str]], then: Callable[[str], None]) -> None:
        self.app.push_screen(PickScreen(title, choices), lambda key: then(key) if key else None)

    def _edit(self, apps: AskedApps) -> None:
        if apps != self._apps:
            self._before.append(self._apps)
            self._apps = apps
            self._changed()

    def _changed(self) -> None:
        self._warned = False
        self.query_one(Notice).clear()
        self._draw()

    @property
    def _chosen(self) -> str:
        return self.query_one(Table).chosen_key

    def _view(self, name: str) -> AppView | None:
        return next((app for app in self.data or () if app.name == name), None)

    # ---- keeping or leaving them

    def on_table_chosen(self, event: Table.Chosen) -> None:
        self.action_take()

    def action_take(self) -> None:
        self._take(self._apps)
        self.app.pop_screen()

    def action_leave(self) -> None:
        """What was edited is not lost by one key."""
        if self._before and not self._warned:
            self._warned = True
            self.query_one(Notice).tell(_("Esc once more drops what you changed; ^S takes it."), good=False)
            return
        self.app.pop_screen()

    # ---- drawing

    def _draw(self) -> None:
        paint = paint_of(self.app)
        views = {app.name: app for app in self.data or ()}
        self.query_one(Table).set_rows(
            [
                Row(
                    app.app,
                    {
                        "app": Text(app.app, style=paint.strong),
                        "version": Text(app.version),
                        "runs": Text(views[app.app].runs if app.app in views else "", style=paint.dim),
                        "needs": Text(", ".join(app.needs) or "-"),
                    },
                )
                for app in self._apps.apps
            ]
        )
        graph = self.query_one("#needs-graph", Prose)
        painted = paint_lanes(_as_nodes(self._apps), max(20, graph.size.width or 30), paint, 0.0)
        graph.say(Text("\n").join([Text(_("which goes when"), style=paint.dim), *painted.lines]))
        self.query_one(KeyBar).redraw()


def newest(app: AppView) -> str:
    """The newest version that does not run on every host already, else the newest."""
    everywhere = {each.version for each in app.running if each.hosts == app.hosts}
    return next((each for each in app.packages if each not in everywhere), app.packages[0])


def _as_nodes(apps: AskedApps) -> tuple[NodeView, ...]:
    """What the painter of flowcharts draws."""
    return tuple(
        NodeView(
            key=app.app,
            kind=NodeKind.INITIALISE,  # one that runs no hosts
            label=Message(f"{app.app} {app.version}", {}),
            direction=Direction.FORWARD,
            state=NodeState.PENDING,
            needs=app.needs,
            hosts=(),
            sliders=False,
            done=0,
            failed=0,
            started_at=None,
            ended_at=None,
            confirmed_by="",
        )
        for app in apps.apps
    )
