"""What a screen may ask of the app it is in: where one is, whose clock counts, and the api behind the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from engine.api import Api
from engine.views import WorkspaceView
from screens.typed_ahead import TypedAhead

if TYPE_CHECKING:
    from textual.dom import DOMNode


class Cockpit(TypedAhead):
    """`now` gives seconds since the epoch. `tenant` and `workspace` are None until one was chosen. `ascii`: only that is drawn."""

    api: Api
    tenant: str | None
    workspace: str | None
    production: bool
    ascii: bool
    now: Callable[[], float]

    @property
    def unread(self) -> bool:
        """The terminal takes nothing any more, so nothing is drawn or looked at for it."""
        return False

    def open_api(self) -> Api:
        """The api with its store open; for worker threads. Raises ApiError."""
        raise NotImplementedError

    def here(self) -> tuple[str, str]:
        """(tenant, workspace); for screens that are only opened once there is one."""
        return self.tenant or "", self.workspace or ""

    def go_to_workspace(self, chosen: WorkspaceView) -> None:
        raise NotImplementedError


def cockpit_of(node: DOMNode) -> Cockpit:
    return cast(Cockpit, node.app)
