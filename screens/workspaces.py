"""`w`: the switcher. Every tenant and workspace there is, by typing a part of the name."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from engine.domain.problem import ProblemError
from engine.views.catalogue import WorkspaceView
from screens.asking import ask, in_worker
from screens.cockpit import cockpit_of
from screens.commands import AROUND, MOST_ROWS
from screens.paint import paint_of
from screens.translate import N_, _
from screens.widgets.filter_line import matches
from screens.widgets.key_button import DialogButton
from screens.widgets.table import Column, Row, Table
from screens.widgets.trouble import problem_text
from screens.words import Tone

_COLUMNS = (
    Column("name", N_("tenant / workspace"), most=34),
    Column("production", "", most=10),
    Column("apps", N_("apps"), right=True, rank=3),
    Column("hosts", N_("hosts"), right=True, rank=4),
    Column("open", N_("open orders"), right=True, rank=2),
    Column("waiting", N_("waiting"), right=True, rank=1),
)


class WorkspacesScreen(ModalScreen[WorkspaceView | None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", N_("back")),
        Binding("down", "move(1)", N_("down"), show=False, priority=True),
        Binding("up", "move(-1)", N_("up"), show=False, priority=True),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._workspaces: tuple[WorkspaceView, ...] = ()

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="workspaces"):
            yield Input(placeholder=_("type a part of the name"))
            yield Table(_COLUMNS, led=True)
            yield Static("", id="refusal", markup=False)
            yield DialogButton(id="choose")
            yield DialogButton(id="leave", action="screen.leave")

    def on_mount(self) -> None:
        self.query_one("#dialog").border_title = _("Workspaces")
        self.query_one("#choose", DialogButton).say("enter", _("go there"))
        self.query_one("#leave", DialogButton).say("escape", _("back"))
        self.query_one("#refusal").display = False
        self.query_one(Input).focus()
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._draw())
        in_worker(self, self._load, group="load")

    async def _load(self) -> None:
        try:
            self._workspaces = await ask(self, lambda api: api.workspaces())
        except ProblemError as error:
            refusal = self.query_one("#refusal", Static)
            refusal.update(problem_text(error.problem, self.app))
            refusal.display = True
            return
        none_yet = N_("There is no workspace yet: `cockpit apply FILE` puts a catalogue in.")
        self.query_one(Table).say_instead(N_("No workspace of that name.") if self._workspaces else none_yet)
        self._draw()
        self.query_one(Table).move_to(self._here())

    def on_resize(self) -> None:
        """As many rows as fit, and the buttons below them."""
        self.query_one(Table).styles.max_height = max(2, min(MOST_ROWS, self.size.height * 9 // 10 - AROUND))

    def action_move(self, by: int) -> None:
        self.query_one(Table).action_move(by)

    def action_leave(self) -> None:
        self.dismiss(None)

    def on_input_changed(self) -> None:
        self._draw()

    def on_input_submitted(self) -> None:
        self._choose(self.query_one(Table).chosen_key)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self._choose(self.query_one(Table).chosen_key)

    def _here(self) -> str:
        """The cursor begins where one is."""
        here = cockpit_of(self).here()
        return next((_key(each) for each in self._workspaces if (each.tenant, each.workspace) == here), "")

    def _choose(self, key: str) -> None:
        chosen = next((w for w in self._workspaces if _key(w) == key), None)
        if chosen is not None:
            self.dismiss(chosen)

    def _draw(self) -> None:
        wanted = self.query_one(Input).value
        self.query_one(Table).set_rows([self._row(w) for w in self._workspaces if matches(wanted, (_key(w),))])

    def _row(self, workspace: WorkspaceView) -> Row:
        paint = paint_of(self.app)
        return Row(
            _key(workspace),
            {
                "name": Text(_key(workspace), style=paint.strong),
                "production": Text(_("production") if workspace.production else "", style=paint.tone(Tone.FAIL)),
                "apps": Text(str(workspace.apps)),
                "hosts": Text(str(workspace.hosts)),
                "open": Text(str(workspace.open_orders)),
                "waiting": Text(
                    str(workspace.waiting_orders),
                    style=paint.tone(Tone.WAIT) if workspace.waiting_orders else paint.dim,
                ),
            },
        )


def _key(workspace: WorkspaceView) -> str:
    return f"{workspace.tenant} / {workspace.workspace}"
