"""What others may ask of the engine: read view-models, create orders, send commands. The only door for screens and command line.

Synchronous and thread-safe: a screen calls it in a worker thread, the command line directly. SQLAlchemy is imported when a
store is opened, not when this module is, so that the first frame does not wait for it; asyncssh, oss2 and the aliyun SDK are
never imported from here. Nothing in here runs a release: acts are command rows that the engine process answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.domain.orders import ReleaseSpec
from engine.domain.problem import ProblemError
from engine.domain.states import Act
from engine.views import (
    AppView,
    CommandView,
    Consequence,
    EventView,
    HostView,
    OrderRow,
    OrderView,
    ReleasePreview,
    WorkspaceView,
)


class ApiError(ProblemError):
    """What was asked for can't be answered: codes `store_unreachable`, `store_too_old`, `no_such_order`, `no_such_app`,
    `no_such_workspace`, `release_refused`, `no_engine`, …"""


class Api:
    """One store, read and commanded on behalf of one operator."""

    def __init__(self, store_url: str, *, operator: str, log_dir: Path) -> None:
        """Opens nothing yet. `store_url` is an SQLAlchemy URL (sqlite or postgresql+psycopg); `log_dir` holds the hosts' logs."""
        self.store_url = store_url
        self.operator = operator
        self.log_dir = log_dir

    def open(self) -> None:
        """Connect, and create or migrate the tables when they are missing. Raises ApiError."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    # ---- watching

    def change_token(self) -> object:
        """A cheap value that differs from the last one when anything in the store may have changed (data_version, NOTIFY)."""
        raise NotImplementedError

    def events(self, *, order_id: int | None = None, after: int = 0, limit: int = 500) -> tuple[EventView, ...]:
        raise NotImplementedError

    # ---- reading

    def workspaces(self) -> tuple[WorkspaceView, ...]:
        raise NotImplementedError

    def apps(self, tenant: str, workspace: str) -> tuple[AppView, ...]:
        raise NotImplementedError

    def hosts(self, tenant: str, workspace: str, *, app: str | None = None) -> tuple[HostView, ...]:
        raise NotImplementedError

    def orders(self, tenant: str, workspace: str, *, open_only: bool = False, limit: int = 200) -> tuple[OrderRow, ...]:
        """Newest first."""
        raise NotImplementedError

    def order(self, tenant: str, workspace: str, order_id: int) -> OrderView:
        """Raises ApiError `no_such_order` (also for an order of another tenant or workspace)."""
        raise NotImplementedError

    def engine_alive(self) -> bool:
        raise NotImplementedError

    # ---- releasing

    def preview(self, tenant: str, workspace: str, spec: ReleaseSpec) -> ReleasePreview:
        """What the release would be. Weights are counted as recorded last; nothing is written. Raises ApiError `no_such_app`."""
        raise NotImplementedError

    def create_release(self, tenant: str, workspace: str, spec: ReleaseSpec) -> int:
        """Create the order (state `initialising`; the engine checks it next) and return its id. Raises ApiError `release_refused`
        with every problem named; nothing is written then."""
        raise NotImplementedError

    # ---- acting

    def consequence(
        self, tenant: str, workspace: str, order_id: int, act: Act, params: Mapping[str, Any] | None = None
    ) -> Consequence:
        """What the act would do now. For `set_weights` params are {"weights": {host: weight}}; for `roll_back` {"version": …}."""
        raise NotImplementedError

    def send(
        self,
        tenant: str,
        workspace: str,
        order_id: int,
        act: Act,
        params: Mapping[str, Any] | None = None,
        *,
        reason: str = "",
    ) -> int:
        """Write a command row and return its id at once. The engine accepts or refuses it: see `command`.

        params: set_weights {"weights": {host: 0–100}}; retry {"hosts": [...]} (empty: all failed); confirm {"node": key}."""
        raise NotImplementedError

    def command(self, command_id: int) -> CommandView:
        raise NotImplementedError

    def wait_command(self, command_id: int, *, timeout_s: float = 10.0) -> CommandView:
        """Wait for the engine's answer. Raises ApiError `no_engine` when none came in time."""
        raise NotImplementedError
