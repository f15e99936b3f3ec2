"""What a screen may ask of the app it is in: where one is, whose clock counts, and the api behind the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from engine.api import Api
from engine.views.catalogue import WorkspaceView
from screens.translate import _
from screens.typed_ahead import TypedAhead

if TYPE_CHECKING:
    from textual.dom import DOMNode


@dataclass(frozen=True, slots=True)
class Practice:
    """What is on the screens is a practice fleet: the commands that break something on it and list what can be broken, and where
    everything of it is kept."""

    fault: str
    faults: str
    store: Path


class Cockpit(TypedAhead):
    """`now` gives seconds since the epoch. `tenant` and `workspace` are None until one was chosen. `ascii`: only that is drawn."""

    api: Api
    tenant: str | None
    workspace: str | None
    production: bool
    practice: Practice | None = None
    ascii: bool
    now: Callable[[], float]

    @property
    def unread(self) -> bool:
        """The terminal takes nothing any more, so nothing is drawn or looked at for it."""
        return False

    def tell_terminal(self, title: str, *, rings: bool = False) -> None:
        """Its title from now on (empty: the cockpit's own), and whether it calls for somebody. At no terminal nothing happens."""

    def open_api(self) -> Api:
        """The api with its store open; for worker threads. Raises ApiError."""
        raise NotImplementedError

    def here(self) -> tuple[str, str]:
        """(tenant, workspace); for screens that are only opened once there is one."""
        return self.tenant or "", self.workspace or ""

    def somewhere(self) -> bool:
        """Whether a workspace was chosen; if not, the operator is told what comes first."""
        if self.tenant and self.workspace:
            return True
        self.notify(
            _("No workspace yet, or none is chosen: w chooses one; `cockpit apply FILE` puts a catalogue in."),
            markup=False,
        )
        return False

    def go_to_workspace(self, chosen: WorkspaceView) -> None:
        raise NotImplementedError


def cockpit_of(node: DOMNode) -> Cockpit:
    return cast(Cockpit, node.app)
