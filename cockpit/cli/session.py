"""One run of one command: its global options, the settings and the store behind them, and the workspace that is meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cockpit.cli.output import print_problem
from cockpit.cli.wrong_use import WrongUse
from cockpit.identity import operating_system_user
from engine.domain.message import message
from engine.domain.problem import Problem
from screens.translate import _

if TYPE_CHECKING:
    from cockpit.lab.process import LabInfo
    from cockpit.settings import Settings
    from engine.api import Api
    from engine.views.catalogue import WorkspaceView

LOCALE_DIR = Path(__file__).parent.parent / "locale"


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """Given before or after the command; what is given after it wins."""

    json: bool = False
    store: str | None = None
    tenant: str | None = None
    workspace: str | None = None

    def then(self, later: GlobalOptions) -> GlobalOptions:
        return GlobalOptions(
            json=self.json or later.json,
            store=later.store or self.store,
            tenant=later.tenant or self.tenant,
            workspace=later.workspace or self.workspace,
        )


class Session:
    def __init__(self, options: GlobalOptions) -> None:
        self.options = options

    @property
    def json(self) -> bool:
        return self.options.json

    @cached_property
    def own_settings(self) -> Settings:
        """Of the store that is named or the usual one, whatever else runs here: for what fills a store. Raises SettingsError. From
        here on sentences are in the language that is set."""
        from cockpit.settings import load_settings
        from screens import translate

        settings = load_settings(self.options.store)
        translate.use(settings.language, LOCALE_DIR)
        if settings.ignored is not None:
            print_problem(settings.ignored, as_json=False)
        return settings

    @cached_property
    def settings(self) -> Settings:
        """As `own_settings`; but for somebody who names no store and has none, those of the one practice fleet that runs."""
        settings = self.own_settings
        if self.options.store or self.practice is None:
            return settings
        from cockpit.cli.output import note
        from cockpit.practice import settings_of

        note(
            _("This is the practice fleet in {dir}: no store is named, and the default one is empty.").format(
                dir=self.practice.dir
            )
        )
        return settings_of(self.practice)

    @cached_property
    def practice(self) -> LabInfo | None:
        """The practice fleet whose store stands in for one that is not there."""
        if self.options.store:
            return None
        from cockpit.practice import stand_in

        return stand_in(self.own_settings)

    @contextmanager
    def api(self, *, create: bool = False) -> Iterator[Api]:
        """The store, open. `create` False: a store that is not there is refused. Raises ApiError."""
        from engine.api import Api

        settings = self.settings
        api = Api(settings.store, operator=operating_system_user(), log_dir=settings.log_dir, create=create)
        api.open()
        try:
            yield api
        finally:
            api.close()

    def say_standing(self, api: Api, place: tuple[str, str]) -> None:
        """For the person at the terminal: that nothing but owning the store gives leave to what is done now."""
        from cockpit.cli.output import note
        from engine.domain.roles import acts_as_owner
        from screens.translate import tr

        standing = api.standing(*place)
        if standing.as_owner:
            note(tr(acts_as_owner(standing.operator)))

    def ensure_engine(self) -> None:
        from cockpit.engine_process import ensure_engine

        ensure_engine(self.settings)

    def place(self, api: Api) -> tuple[str, str]:
        """(tenant, workspace): as given, as set, or the only one there is. Raises WrongUse, naming those to choose from."""
        tenant = self.options.tenant or self.settings.tenant
        workspace = self.options.workspace or self.settings.workspace
        every = api.workspaces()
        fits: Callable[[WorkspaceView], bool] = lambda view: (  # noqa: E731
            (not tenant or view.tenant == tenant) and (not workspace or view.workspace == workspace)
        )
        found = [view for view in every if fits(view)]
        if len(found) == 1:
            return found[0].tenant, found[0].workspace
        raise WrongUse(_which_workspace(found or list(every), "/".join(filter(None, (tenant, workspace))), bool(found)))


def _which_workspace(choices: list[WorkspaceView], asked: str, several: bool) -> Problem:
    if not choices:
        return Problem(
            "no_workspace",
            message("There is no workspace in this store."),
            message("Apply a catalogue first: cockpit apply FILE."),
        )
    listed = ", ".join(f"{view.tenant}/{view.workspace}" for view in choices)
    what = (
        message("More than one workspace could be meant: {listed}.", listed=listed)
        if several
        else message("There is no workspace {asked}; there are: {listed}.", asked=asked, listed=listed)
    )
    return Problem("which_workspace", what, message("Name it with --tenant and --workspace."))
