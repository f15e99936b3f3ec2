"""The app: palettes, language, the walls against hostile text, and which screen comes first. It runs no release itself.

It imports the engine's api and views only; the store is opened in a worker thread behind the first frame.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.filter import Monochrome, NoColor
from textual.screen import Screen

from engine.api import Api
from engine.domain.problem import ProblemError
from engine.views.catalogue import WorkspaceView
from screens import translate
from screens.apps import AppsScreen
from screens.cockpit import Cockpit
from screens.commands import Command, CommandsScreen
from screens.filters import AsciiOnly, HostileText, NoColours
from screens.help import HelpScreen, help_lines
from screens.orders import OrdersScreen
from screens.orphans import OrphansScreen
from screens.prompt_watch import PromptWatch
from screens.translate import N_, _
from screens.watching import WatchingScreen
from screens.workspaces import WorkspacesScreen
from themes.palettes import PALETTES, palette_for

LOCALE_DIR = Path(__file__).parent / "locale"
STYLE_SHEET = Path(__file__).parent.parent / "themes" / "cockpit.tcss"
LANGUAGES = {"en": "English", "zh_CN": "简体中文"}
TWICE_WITHIN_S = 3.0
_COLOURS = {"standard": 16, "windows": 16, "256": 256, "truecolor": 1 << 24}


class CockpitApp(Cockpit):
    """`tenant` and `workspace` None: asked for, or taken when there is only one. `theme` None: what the terminal can show."""

    CSS_PATH = STYLE_SHEET
    ENABLE_COMMAND_PALETTE = False  # the framework's own speaks English only
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "workspaces", N_("workspaces"), show=False),
        Binding("o", "orders", N_("orders"), show=False),
        Binding("z", "orphans", N_("weights left behind"), show=False),
        Binding("colon,ctrl+p", "commands", N_("commands"), show=False),
        Binding("question_mark", "help", N_("help"), key_display="?"),
        Binding("q,ctrl+q", "quit", N_("leave"), key_display="q"),
        Binding("ctrl+c", "interrupt", N_("leave, pressed twice"), show=False, key_display="ctrl+c"),
        Binding(
            "ctrl+z", "suspend_process", N_("suspend; fg comes back"), show=False, key_display="ctrl+z", priority=True
        ),
    ]

    def __init__(
        self,
        api: Api,
        *,
        tenant: str | None,
        workspace: str | None,
        language: str,
        theme: str | None,
        ascii: bool = False,
        now: Callable[[], float] = time.time,
        remember: Callable[[str, str], None] = lambda _key, _value: None,
    ) -> None:
        """`remember` keeps a setting that was chosen here; it raises ProblemError."""
        translate.use(language, LOCALE_DIR)
        super().__init__()
        self.api = api
        self.tenant = tenant
        self.workspace = workspace
        self.production = False
        self.says_farewell = True
        self.now = now
        self._remember = remember
        self.ascii = ascii
        self._opened = False
        self._interrupted_at = -TWICE_WITHIN_S
        self._opening = threading.Lock()
        self._prompts = PromptWatch(self)
        if self.no_color:
            own = (Monochrome, NoColor)
            self._filters = [NoColours(self) if isinstance(each, own) else each for each in self._filters]
        self._filters.append(HostileText())
        if ascii:
            self._filters.append(AsciiOnly())
        for palette in PALETTES:
            self.register_theme(palette)
        self.theme = palette_for(theme, colours=_COLOURS.get(self.console.color_system or ""))
        self.title = "cockpit"

    def open_api(self) -> Api:
        """The api with its store open. Called in worker threads; raises ApiError when the store can't be opened."""
        with self._opening:
            if not self._opened:
                self.api.open()
                self._opened = True
        return self.api

    def on_mount(self) -> None:
        self.push_screen(AppsScreen())
        self._prompts.start()

    def go_to_workspace(self, chosen: WorkspaceView) -> None:
        """The whole screen follows: everything but the list of apps is closed."""
        self.tenant, self.workspace, self.production = chosen.tenant, chosen.workspace, chosen.production
        while len(self.screen_stack) > 2:
            self.pop_screen()
        if isinstance(self.screen, AppsScreen):
            self.screen.workspace_changed()

    def action_workspaces(self) -> None:
        if not isinstance(self.screen, WorkspacesScreen):
            self.push_screen(WorkspacesScreen(), self._workspace_chosen)

    def action_orders(self) -> None:
        if self.somewhere() and not isinstance(self.screen, OrdersScreen):
            self.push_screen(OrdersScreen())

    def action_orphans(self) -> None:
        if self.somewhere() and not isinstance(self.screen, OrphansScreen):
            self.push_screen(OrphansScreen())

    async def action_help(self) -> None:
        if not isinstance(self.screen, HelpScreen):
            await self.push_screen(HelpScreen(help_lines(self.screen)))

    async def action_quit(self) -> None:
        """Leaving the screens leaves the engine alone, and says so, unless whoever opened them says what becomes of it."""
        if not self.says_farewell:
            self.exit()
            return
        self.exit(
            message=Text(
                _("You left the cockpit. The engine goes on with what is running; start the cockpit again to see it.")
            )
        )

    async def action_interrupt(self) -> None:
        """Ctrl+C, where nothing is selected that it could copy: said what it does, and done when it is meant."""
        before, self._interrupted_at = self._interrupted_at, time.monotonic()
        if self._interrupted_at - before < TWICE_WITHIN_S:
            await self.action_quit()
            return
        self.notify(
            _("Press Ctrl+C again to leave the cockpit. What runs goes on; x on an order's screen cancels it."),
            timeout=TWICE_WITHIN_S,
            markup=False,
        )

    def action_suspend_process(self) -> None:
        """Ctrl+Z, where a shell waits to bring the screens back."""
        if not self.stop_until_continued():
            self.notify(
                _("No shell here could bring the cockpit back: q leaves it, and what runs goes on."),
                severity="warning",
                markup=False,
            )

    def stop_until_continued(self) -> bool:
        """Stop the process until somebody continues it; False where nobody could."""
        return False

    def action_commands(self) -> None:
        if not isinstance(self.screen, CommandsScreen):
            self.push_screen(CommandsScreen(self._commands(self.screen)), self._command_chosen)

    def _command_chosen(self, chosen: Command | None) -> None:
        if chosen is not None:
            self.call_later(chosen.run)

    def _commands(self, screen: Screen[object]) -> list[Command]:
        history, remedy = (getattr(screen, f"action_{name}", None) for name in ("history", "remedy"))
        own = getattr(screen, "commands", None)
        return [
            *(own() if own else []),
            Command(_("Workspaces"), _("switch tenant and workspace"), self.action_workspaces),
            Command(_("Orders"), _("what runs, what waits, what failed"), self.action_orders),
            *([Command(_("History"), _("who did what, when and why"), history)] if history else []),
            *([Command(_("Remedy"), _("do what the failure's card offers"), remedy)] if remedy else []),
            Command(_("Weights"), _("what ended orders left behind"), self.action_orphans),
            Command(_("Help"), _("the keys of this screen"), self.action_help),
            Command(_("Answer"), _("what an SSH server asks: a one-time password"), self._prompts.ask_again),
            *(
                Command(
                    _("Theme: {name}").format(name=palette.name),
                    _("use these colours"),
                    partial(self._wear, palette.name),
                )
                for palette in PALETTES
            ),
            *(
                Command(f"Language 语言: {name}", _("use this language"), partial(self.speak, language))
                for language, name in LANGUAGES.items()
            ),
            Command(_("Leave"), _("what runs goes on"), self.action_quit),
        ]

    def _wear(self, palette: str) -> None:
        self.theme = palette
        self._keep("theme", palette)

    def speak(self, language: str) -> None:
        """On every screen that is open, in its place."""
        translate.use(language, LOCALE_DIR)
        for screen in self.screen_stack:
            if isinstance(screen, WatchingScreen):
                screen.retell()
        self._keep("language", language)

    def _keep(self, key: str, value: str) -> None:
        try:
            self._remember(key, value)
        except ProblemError as error:
            self.notify(f"{translate.tr(error.problem.what)} {translate.tr(error.problem.remedy)}", markup=False)

    def _workspace_chosen(self, chosen: WorkspaceView | None) -> None:
        if chosen is not None:
            self.go_to_workspace(chosen)
