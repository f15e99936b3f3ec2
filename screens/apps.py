"""The first screen: what do we run here, what is out of order, what is being released."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from engine.api import Api
from engine.views.catalogue import AppView, WorkspaceView
from screens import words
from screens.new_release import NewReleaseScreen
from screens.operate import OperateScreen
from screens.order import OrderScreen
from screens.orders import OrdersScreen
from screens.paint import Paint, paint_of
from screens.translate import N_, _
from screens.watching import WatchingScreen
from screens.widgets.filter_line import FilterLine, matches
from screens.widgets.practice import PracticeNote
from screens.widgets.table import Column, Row, Table
from screens.words import Tone

_EVERY = "*"  # the group of all apps; no group is called that

_COLUMNS = (
    Column("name", N_("app"), most=28),
    Column("alias", N_("alias"), most=16, rank=4),
    Column("group", N_("group"), most=12, rank=8),
    Column("level", N_("level"), most=8, rank=5),
    Column("stack", N_("tech stack"), most=22, rank=6),
    Column("owner", N_("owner"), most=12, rank=7),
    Column("status", N_("status"), most=10, rank=3),
    Column("runs", N_("what runs"), most=40),
    Column("order", N_("open order"), most=22),
)
_NO_WORKSPACE = N_("There is no workspace yet: `cockpit apply FILE` puts a catalogue in.")
_NO_APP = N_("There is no app yet: `cockpit apply FILE` puts a catalogue in.")
_NOT_CHOSEN = N_("No workspace is chosen: w chooses one.")
_NO_MATCH = N_("No app matches the filter: / changes it.")
_GROUPS = (Column("name", N_("group"), most=18), Column("count", "", right=True))


@dataclass(frozen=True, slots=True)
class AppsData:
    workspaces: tuple[WorkspaceView, ...]
    apps: tuple[AppView, ...]


class AppsScreen(WatchingScreen[AppsData]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_order", N_("orders of the app"), show=False),
        Binding("r", "release", N_("new release")),
        Binding("a", "operate", N_("operate")),
        Binding("o", "app.orders", N_("orders")),
        Binding("w", "app.workspaces", N_("workspaces")),
        Binding("slash", "filter", N_("filter"), key_display="/"),
    ]

    HORIZONTAL_BREAKPOINTS = [(0, "-small"), (60, "-roomy")]  # noqa: RUF012  # textual declares it so
    VERTICAL_BREAKPOINTS = [(0, "-low"), (16, "-high")]  # noqa: RUF012  # textual declares it so

    def __init__(self) -> None:
        super().__init__()
        self._wanted = ""
        self._group = _EVERY
        self._asked_for_workspace = False
        self._arrived = False  # the cursor has been put on an app that runs here

    def body(self) -> ComposeResult:
        yield PracticeNote()
        with Horizontal():
            yield Table(_GROUPS, id="groups")
            with Vertical():
                yield FilterLine()
                yield Table(_COLUMNS, empty=_NO_APP, id="apps")

    def on_mount(self) -> None:
        self.query_one("#apps").focus()

    def workspace_changed(self) -> None:
        self._group, self._wanted, self._arrived = _EVERY, "", False
        self.query_one(FilterLine).value = ""
        self.query_one(FilterLine).display = False
        self.draw_crumbs()
        self.reload()

    def fetch(self, api: Api) -> AppsData:
        workspaces = api.workspaces()
        tenant, workspace = self._where(workspaces)
        return AppsData(workspaces, api.apps(tenant, workspace) if tenant else ())

    def where(self, data: AppsData) -> tuple[str, str]:
        return self._where(data.workspaces)

    def show(self, data: AppsData) -> None:
        self._settle_workspace(data)
        self._draw()
        here = next((app.name for app in data.apps if app.running), "")
        if here and not self._arrived:
            self._arrived = True
            self.query_one("#apps", Table).move_to(here)

    def action_filter(self) -> None:
        if self.data is not None and not self.data.apps:
            self.query_one("#apps", Table).say_nothing_there()
            return
        self.query_one(FilterLine).open()

    def action_release(self) -> None:
        if (app := self._app_meant()) is not None:
            self.app.push_screen(NewReleaseScreen(app.name))

    def action_operate(self) -> None:
        if (app := self._app_meant()) is not None:
            self.app.push_screen(OperateScreen(app.name))

    def _app_meant(self) -> AppView | None:
        """The one under the cursor; where there is none, the operator is told what comes first."""
        app = self._chosen_app()
        if app is None and self.data is not None:
            self.query_one("#apps", Table).say_nothing_there()
        return app

    def action_open_order(self) -> None:
        app = self._app_meant()
        if app is None:
            return
        if app.open_order is not None:
            self.app.push_screen(OrderScreen(app.open_order))
        else:
            self.app.push_screen(OrdersScreen(app.name))

    def on_table_chosen(self, event: Table.Chosen) -> None:
        if event.table.id == "groups":
            self.query_one("#apps").focus()
        else:
            self.action_open_order()

    def on_table_highlighted(self, event: Table.Highlighted) -> None:
        if event.table.id == "groups" and event.key and event.key != self._group:
            self._group = event.key
            self._draw()

    def on_filter_line_filtered(self, event: FilterLine.Filtered) -> None:
        self._wanted = event.wanted
        self._draw()
        if event.done:
            self.query_one("#apps").focus()

    # ---- which workspace

    def _where(self, workspaces: tuple[WorkspaceView, ...]) -> tuple[str, str]:
        """The workspace chosen, or the only one there is; empty names when the operator must choose."""
        app = self.cockpit
        found = [w for w in workspaces if app.tenant in (None, w.tenant) and app.workspace in (None, w.workspace)]
        return (found[0].tenant, found[0].workspace) if len(found) == 1 else ("", "")

    def _settle_workspace(self, data: AppsData) -> None:
        app = self.cockpit
        tenant, workspace = self._where(data.workspaces)
        for known in data.workspaces:
            if (known.tenant, known.workspace) == (tenant, workspace):
                app.tenant, app.workspace, app.production = tenant, workspace, known.production
        if not tenant:
            app.tenant = app.workspace = None
        self.draw_crumbs()
        if not tenant and data.workspaces and not self._asked_for_workspace:
            self._asked_for_workspace = True
            self.call_later(app.run_action, "workspaces")

    # ---- drawing

    def _chosen_app(self) -> AppView | None:
        key = self.query_one("#apps", Table).chosen_key
        return next((app for app in (self.data.apps if self.data else ()) if app.name == key), None)

    def _draw(self) -> None:
        if self.data is None:
            return
        paint = paint_of(self.app)
        apps = self.data.apps
        self.query_one("#groups", Table).set_rows(_group_rows(apps, paint))
        shown = [
            app for app in apps if self._group in (_EVERY, app.group or " ") and matches(self._wanted, _texts(app))
        ]
        table = self.query_one("#apps", Table)
        table.say_instead(self._why_none(self.data))
        table.set_rows([_app_row(app, paint) for app in shown])

    def _why_none(self, data: AppsData) -> str:
        if data.apps:
            return _NO_MATCH
        if not data.workspaces:
            return _NO_WORKSPACE
        return _NO_APP if all(self._where(data.workspaces)) else _NOT_CHOSEN


def _texts(app: AppView) -> tuple[str, ...]:
    return (app.name, app.alias, app.group, app.level, app.owner, app.stack, app.runs, *app.metadata.values())


def _group_rows(apps: tuple[AppView, ...], paint: Paint) -> list[Row]:
    groups = sorted({app.group for app in apps})
    rows = [Row(_EVERY, {"name": Text(_("all")), "count": Text(str(len(apps)), style=paint.dim)})]
    for group in groups:
        count = sum(app.group == group for app in apps)
        name = Text(group) if group else Text(_("no group"), style=paint.dim)
        rows.append(Row(group or " ", {"name": name, "count": Text(str(count), style=paint.dim)}))
    return rows


def _app_row(app: AppView, paint: Paint) -> Row:
    return Row(
        app.name,
        {
            "name": Text(app.name, style=paint.strong),
            "alias": Text(app.alias),
            "group": Text(app.group),
            "level": Text(app.level),
            "stack": Text(f"{app.stack} {app.stack_version}".strip(), style=paint.dim),
            "owner": Text(app.owner),
            "status": paint.glyph_and_word(app.status),
            "runs": _runs(app, paint),
            "order": _order(app, paint),
        },
    )


def _runs(app: AppView, paint: Paint) -> Text:
    """`2.0.0 5/8, 1.0.0 2/8 ✗1`: each version with the hosts that run it, and how many failed."""
    if not app.hosts:
        return Text(_("not here"), style=paint.dim)
    every = [each.hosts for each in app.running] == [app.hosts]
    text = Text().append(app.runs or f"- 0/{app.hosts}", paint.tone(Tone.OK if every else Tone.WAIT))
    if app.failed_hosts:
        text.append(f" ✗{app.failed_hosts}", paint.tone(Tone.FAIL))
    return text


def _order(app: AppView, paint: Paint) -> Text:
    state = app.open_order_shown
    if app.open_order is None or state is None:
        return Text("")
    return paint.glyph(state).append(f" #{app.open_order} {words.word(state)}", paint.state(state))
