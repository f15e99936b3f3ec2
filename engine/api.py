"""What others may ask of the engine: read view-models, create orders, send commands. The only door for screens and command line.

Synchronous and thread-safe: a screen calls it in a worker thread, the command line directly. SQLAlchemy is imported when a
store is opened, not when this module is, so that the first frame does not wait for it; asyncssh, oss2 and the aliyun SDK are
never imported from here. Nothing in here runs a release: acts are command rows that the engine process answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.api_errors import (
    ApiError,
    as_api_errors,
    engine_silent,
    no_answer,
    no_weights_given,
    nothing_chosen,
    order_ended,
    order_open,
    order_refused,
    reason_missing,
    still_working,
)
from engine.domain.acts import (
    ACTS,
    AnyAct,
    Exclude,
    GiveBack,
    HandOver,
    PauseBefore,
    RollBack,
    SetLimits,
    SetWeights,
    Skip,
    encode,
)
from engine.domain.fleet import Host
from engine.domain.message import Message, message
from engine.domain.orders import OrderSpec
from engine.domain.problem import Problem
from engine.domain.roles import Role, Standing
from engine.domain.states import CommandState
from engine.views.acts import CommandView, Consequence, EventView, HistoryView
from engine.views.catalogue import AppView, HostView, WorkspaceView
from engine.views.engines import EngineView, PromptView
from engine.views.orders import AttemptView, OrderRow, OrderView, OrphanView
from engine.views.preview import OrderPreview

if TYPE_CHECKING:
    import sqlalchemy as sa

    from engine.reading.host_runs import HostRuns
    from engine.reading.preview import Preview
    from engine.reading.scope import Scope
    from engine.reading.step_times import RecordedTimes
    from engine.store.audit import Entry
    from engine.store.gate import Passing
    from engine.store.store import Store

BEGUN_WITHIN_S = 10.0  # then it is looked whether an engine is alive at all
SILENT_S = 60.0  # an engine that is alive has taken a command up long before
DONE_WITHIN_S = 900.0  # longer than a balancer that is busy all the time is asked again
LOOK_AGAIN_S = 0.5  # a lost change notice costs a waiting command this much at most


class Api:
    """One store, read and commanded on behalf of one operator."""

    def __init__(
        self, store_url: str, *, operator: str, log_dir: Path, now: Callable[[], float] = time.time, create: bool = True
    ) -> None:
        """Opens nothing yet. `store_url` is an SQLAlchemy URL (sqlite or postgresql+psycopg); `log_dir` holds the hosts' logs.
        `now` gives epoch seconds; `create` False: a store that is not there yet is refused."""
        self.store_url = store_url
        self.operator = operator
        self.log_dir = log_dir
        self._now = now
        self._create = create
        self._store: Store | None = None
        self._host_runs: HostRuns
        self._recorded: RecordedTimes

    def open(self) -> None:
        """Connect, and create or migrate the tables when they are missing. Raises ApiError."""
        from engine.reading.host_runs import HostRuns
        from engine.reading.step_times import RecordedTimes
        from engine.store.store import Store

        self._host_runs = HostRuns(self.log_dir)
        self._recorded = RecordedTimes()
        with as_api_errors():
            self._store = Store.open(self.store_url, create=self._create)

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    # ---- watching

    def change_token(self) -> object:
        """A cheap value that differs from the last one when anything in the store may have changed (data_version, NOTIFY)."""
        with as_api_errors():
            return self._opened().change_token()

    def wait_change(self, token: object, *, timeout_s: float) -> object:
        """Block until the token differs from `token`, at most `timeout_s`; returns the token of now."""
        with as_api_errors():
            return self._opened().wait_change(token, timeout_s)

    def events(
        self, *, order_id: int | None = None, after: int = 0, limit: int = 500, within: tuple[str, str] | None = None
    ) -> tuple[EventView, ...]:
        """Oldest first, behind event `after`. `within` (tenant, workspace): those of its orders only, else of the whole store.
        Raises ApiError `no_such_workspace`."""
        from engine.reading.events import read_events
        from engine.reading.scope import find_scope

        with self._reading() as conn:
            workspace_id = None if within is None else find_scope(conn, *within).workspace_id
            return read_events(conn, order_id=order_id, workspace_id=workspace_id, after=after, limit=limit)

    # ---- reading

    def workspaces(self) -> tuple[WorkspaceView, ...]:
        """All of the store, by tenant and name."""
        from engine.reading.catalogue import read_workspaces

        with self._reading() as conn:
            return read_workspaces(conn)

    def apps(self, tenant: str, workspace: str) -> tuple[AppView, ...]:
        """The tenant's apps by name, each as it stands in the workspace. Raises ApiError `no_such_workspace`."""
        from engine.reading.catalogue import read_apps
        from engine.reading.scope import find_scope

        with self._reading() as conn:
            return read_apps(conn, find_scope(conn, tenant, workspace))

    def hosts(self, tenant: str, workspace: str, *, app: str | None = None) -> tuple[HostView, ...]:
        """By data centre, cell and name; with `app` those of its service instance. Raises ApiError `no_such_app`."""
        from engine.reading.catalogue import read_hosts
        from engine.reading.scope import find_scope

        with self._reading() as conn:
            return read_hosts(conn, find_scope(conn, tenant, workspace), app)

    def host(self, tenant: str, workspace: str, name: str) -> Host:
        """One host as the catalogue has it, with its jump chain. Raises ApiError `no_such_host`."""
        from engine.reading.scope import find_host, find_scope

        with self._reading() as conn:
            return find_host(conn, find_scope(conn, tenant, workspace), name)

    def orders(self, tenant: str, workspace: str, *, open_only: bool = False, limit: int = 200) -> tuple[OrderRow, ...]:
        """Newest first."""
        from engine.reading.orders import read_orders
        from engine.reading.scope import find_scope

        with self._reading() as conn:
            return read_orders(conn, find_scope(conn, tenant, workspace), open_only=open_only, limit=limit)

    def order(self, tenant: str, workspace: str, order_id: int) -> OrderView:
        """Raises ApiError `no_such_order` (also for an order of another tenant or workspace)."""
        from engine.reading.orders import read_order
        from engine.reading.scope import find_scope
        from engine.reading.standing import judged

        with self._reading() as conn:
            scope = find_scope(conn, tenant, workspace)
            host_runs, recorded = self._host_runs, self._recorded
            view = read_order(conn, scope, order_id, host_runs=host_runs, recorded=recorded, now=self._now())
            acts = judged(conn, scope, self.operator, view.acts)
        return replace(view, acts=tuple(sorted(acts, key=lambda act: not act.allowed)))

    def attempts(
        self, tenant: str, workspace: str, order_id: int, *, host: str | None = None
    ) -> tuple[AttemptView, ...]:
        """Every attempt of the order's hosts in both directions, by host, oldest first; with `host` of this one only.
        Raises ApiError `no_such_order`."""
        from engine.reading.attempts import read_attempts
        from engine.reading.scope import check_order, find_scope

        with self._reading() as conn:
            check_order(conn, find_scope(conn, tenant, workspace), order_id)
            return read_attempts(conn, order_id, self.log_dir, host)

    def orphans(self, tenant: str, workspace: str) -> tuple[OrphanView, ...]:
        """Weights that orders of the workspace which have ended left behind, oldest order first; `give_back` gives them back."""
        from engine.reading.orphans import read_orphans
        from engine.reading.scope import find_scope

        with self._reading() as conn:
            return read_orphans(conn, find_scope(conn, tenant, workspace))

    def orphan_count(self, tenant: str, workspace: str) -> int:
        """How many `orphans` there are; cheap, for every screen's top line; 0 where there is no such workspace."""
        from engine.reading.orphans import count_orphans
        from engine.reading.scope import NotThere, find_scope

        with self._reading() as conn:
            try:
                scope = find_scope(conn, tenant, workspace)
            except NotThere:
                return 0
            return count_orphans(conn, scope)

    def engine_alive(self) -> bool:
        """Whether an engine works for the store: one that was killed is missed at once, a frozen one after 5 seconds."""
        from engine.store.engines import any_alive

        with self._reading() as conn:
            return any_alive(conn, self._now())

    def engines(self) -> tuple[EngineView, ...]:
        """The engines that work for the store now, on any machine."""
        from engine.reading.engines import read_engines

        with self._reading() as conn:
            return read_engines(conn, self._now())

    def engine_busy(self) -> bool:
        """Whether an engine has something to do by itself; False while all that is open waits for a person."""
        from engine.store.engines import busy

        with self._reading() as conn:
            return busy(conn)

    # ---- one-time passwords

    def prompts(self) -> tuple[PromptView, ...]:
        """What SSH servers ask and nobody has answered yet, oldest first; of the whole store, as a jump host serves all of it."""
        from engine.store.prompts import open_prompts

        with self._reading() as conn:
            return open_prompts(conn, self._now())

    def answer_prompt(self, prompt_id: int, answer: str) -> None:
        """Give the answer to the engine that asks, sealed so that nobody else can read it. Raises ApiError: `no_such_prompt`,
        `prompt_ended` (answered by somebody else, or too late), `answer_unusable`."""
        from engine.store.prompts import put_answer

        with self._passing("answer_prompt", Role.OPERATOR) as passing:
            now = self._now()
            passing.entry.target = put_answer(passing.conn, prompt_id, answer, operator=self.operator, now=now)

    # ---- creating

    def preview(self, tenant: str, workspace: str, spec: OrderSpec) -> OrderPreview:
        """What the order would be. Weights are counted as recorded last; nothing is written. Raises ApiError `no_such_app`,
        `kind_unknown`."""
        from engine.reading.preview import read_preview
        from engine.reading.scope import find_scope

        with self._reading() as conn:
            return read_preview(conn, find_scope(conn, tenant, workspace), spec).view

    def order_spec(self, tenant: str, workspace: str, order_id: int) -> OrderSpec:
        """What was asked for. Raises ApiError `no_such_order`."""
        from engine.reading.scope import check_order, find_scope
        from engine.store.progress import load_progress

        with self._reading() as conn:
            check_order(conn, find_scope(conn, tenant, workspace), order_id)
            return load_progress(conn, order_id).spec

    def create_order(self, tenant: str, workspace: str, spec: OrderSpec) -> int:
        """Create the order (state `initialising`; the engine checks it next) and return its id. Raises ApiError `order_refused`
        with every problem named; nothing is written then."""
        from engine.reading.preview import read_preview
        from engine.reading.scope import find_scope

        here = (tenant, workspace)
        reason = spec.reason or spec.override_reason
        with self._passing(f"create_{spec.kind}", _least_to_create(spec.kind), here, reason=reason) as passing:
            conn, scope = passing.conn, find_scope(passing.conn, *here)
            self._lock_hosts(conn, scope, spec)
            order_id = self._insert_order(conn, scope, spec, read_preview(conn, scope, spec))
            _made(passing.entry, order_id, spec)
        return order_id

    def create_rollback(self, tenant: str, workspace: str, order_id: int, act: RollBack, *, reason: str) -> int:
        """Create the order that rolls an ended order back (state `initialising`) and return its id.

        Raises ApiError: `no_such_order`; `order_open` (such an order is rolled back with `send`); `reason_missing`;
        `rollback_never_succeeded`; `order_refused`. Nothing is written then."""
        from engine.reading.orders import read_consequence
        from engine.reading.rolling_back import read_rollback_order
        from engine.reading.scope import find_scope
        from engine.store.progress import load_progress

        here = (tenant, workspace)
        with self._passing(str(act.name), ACTS[act.name].least, here, order_id=order_id, reason=reason) as passing:
            conn, scope = passing.conn, find_scope(passing.conn, *here)
            meaning = read_consequence(conn, scope, order_id, act, now=self._now())
            ended = load_progress(conn, order_id)
            if not ended.state.complete:
                raise ApiError(order_open(order_id, str(ended.state)))
            if not reason.strip():
                raise ApiError(reason_missing(act.name))
            if meaning.refusal is not None:
                raise ApiError(meaning.refusal)
            self._lock_hosts(conn, scope, ended.spec)
            order = read_rollback_order(conn, scope, ended, meaning, reason=reason, override_reason=act.override_reason)
            made = self._insert_order(conn, scope, order.spec, order.preview)
            says = message("{what}: order #{id}", what=meaning.summary, id=made)
            passing.entry.after = {"order": made, "params": encode(act), "says": says.to_json()}
            passing.also(f"create_{order.spec.kind}", "", after=None)
            _made(passing.entries[-1], made, order.spec)
        return made

    def _lock_hosts(self, conn: sa.Connection, scope: Scope, spec: OrderSpec) -> None:
        """Two orders of one host are decided one after the other."""
        from engine.kinds.registry import kind_of
        from engine.reading.scope import lock_hosts

        lock_hosts(conn, scope, [app.app for app in kind_of(spec.kind).apps(spec)])

    def _insert_order(self, conn: sa.Connection, scope: Scope, spec: OrderSpec, found: Preview) -> int:
        from engine.store.orders import insert_order

        if not found.apps or found.view.problems:
            raise order_refused(found.view)
        return insert_order(
            conn,
            workspace_id=scope.workspace_id,
            spec=spec,
            apps=found.apps,
            hosts=found.hosts,
            created_by=self.operator,
            now=self._now(),
        )

    # ---- acting

    def consequence(
        self, tenant: str, workspace: str, order_id: int, act: AnyAct, *, first: SetWeights | None = None
    ) -> Consequence:
        """What the act would do now, or once the weights of `first` are set; refused as well when this operator's role is not
        enough. Raises ApiError `no_such_order`."""
        from engine.reading.expected import with_expected_time
        from engine.reading.orders import read_consequence
        from engine.reading.scope import find_scope
        from engine.reading.standing import judged

        with self._reading() as conn:
            scope = find_scope(conn, tenant, workspace)
            meaning = read_consequence(conn, scope, order_id, act, now=self._now(), first=first)
            meaning = with_expected_time(conn, meaning, order_id, self._recorded)
            return judged(conn, scope, self.operator, (meaning,))[0]

    def standing(self, tenant: str, workspace: str) -> Standing:
        """What this operator may do in the workspace. Raises ApiError `no_such_workspace`."""
        from engine.reading.scope import find_scope
        from engine.store.gate import load_grants

        with self._reading() as conn:
            scope = find_scope(conn, tenant, workspace)
            return load_grants(conn, self.operator).at(scope.tenant_id, scope.workspace_id)

    def history(self, tenant: str, workspace: str, order_id: int) -> tuple[HistoryView, ...]:
        """Who did what to the order, when and why, and what was refused; oldest first. Raises ApiError `no_such_order`."""
        from engine.reading.history import read_history
        from engine.reading.scope import find_scope

        with self._reading() as conn:
            return read_history(conn, find_scope(conn, tenant, workspace), order_id)

    def send(self, tenant: str, workspace: str, order_id: int, act: AnyAct, *, reason: str = "") -> int:
        """Write a command row and return its id at once. The engine accepts or refuses it: see `command`. `GiveBack` is the one act
        of an ended order.

        Raises ApiError: `no_such_order`; `order_ended` (it is rolled back with `create_rollback`); `reason_missing` for an act
        that asks for one; `no_weights_given`, `nothing_chosen`. Nothing is written then."""
        from engine.reading.orders import read_consequence, read_order_state
        from engine.reading.scope import find_scope
        from engine.store.commands import insert_command

        here = (tenant, workspace)
        with self._passing(str(act.name), ACTS[act.name].least, here, order_id=order_id, reason=reason) as passing:
            conn, scope, entry = passing.conn, find_scope(passing.conn, *here), passing.entry
            entry.after = {"params": encode(act)}
            state = read_order_state(conn, scope, order_id)
            if state.complete and not isinstance(act, GiveBack):
                raise ApiError(order_ended(order_id, str(state)))
            if isinstance(act, SetWeights) and not act.weights:
                raise ApiError(no_weights_given())
            if isinstance(act, Skip | Exclude | SetLimits | PauseBefore | HandOver) and not encode(act):
                raise ApiError(nothing_chosen(act.name))
            meaning = read_consequence(conn, scope, order_id, act, now=self._now())
            entry.after = {"params": encode(act), "says": meaning.summary.to_json()}
            if meaning.asks_reason and not reason.strip():
                raise ApiError(reason_missing(act.name))
            command_id = insert_command(
                conn, order_id=order_id, act=act, operator=self.operator, reason=reason, now=self._now()
            )
            entry.before, entry.command_id = {"state": str(state)}, command_id
        return command_id

    def command(self, command_id: int) -> CommandView:
        """Raises ApiError `no_such_command`."""
        from engine.reading.orders import read_command

        with self._reading() as conn:
            return read_command(conn, command_id)

    def wait_command(
        self,
        command_id: int,
        *,
        begun_within_s: float = BEGUN_WITHIN_S,
        done_within_s: float = DONE_WITHIN_S,
        working: Callable[[CommandView], None] = lambda view: None,
    ) -> CommandView:
        """Wait for the engine's answer. `working` is told each time what an act that takes its time waits for now.

        Raises ApiError: `no_engine` when no engine is alive to take it up; `engine_silent` when one is and does not;
        `still_working` when it was not done in time. The command goes on in each case."""
        start = time.monotonic()
        said: Message | None = None
        while True:
            token = self.change_token()
            view = self.command(command_id)
            if view.state.answered:
                return view
            if view.state is CommandState.WORKING and view.waits_for != said:
                said = view.waits_for
                working(view)
            passed_s = time.monotonic() - start
            if passed_s >= done_within_s:
                raise ApiError(still_working(view, done_within_s))
            if view.state is CommandState.SENT and passed_s >= begun_within_s:
                alive = self.engine_alive()
                if not alive:
                    raise ApiError(no_answer(command_id, begun_within_s))
                if passed_s >= SILENT_S:
                    raise ApiError(engine_silent(command_id, SILENT_S))
            self.wait_change(token, timeout_s=min(LOOK_AGAIN_S, max(0.0, begun_within_s - passed_s) or LOOK_AGAIN_S))

    # ---- the store

    def _opened(self) -> Store:
        if self._store is None:
            raise ApiError(
                Problem(
                    "store_unreachable",
                    message("The store is not open."),
                    message("Open it before using it."),
                )
            )
        return self._store

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with as_api_errors(), self._opened().reading() as conn:
            yield conn

    @contextmanager
    def _passing(
        self,
        act: str,
        least: Role,
        place: tuple[str, str] | None = None,
        *,
        order_id: int | None = None,
        reason: str = "",
    ) -> Iterator[Passing]:
        """Everything that is written goes through the one gate. Raises ApiError `not_allowed`, and whatever is raised in it."""
        from engine.reading.scope import find_scope
        from engine.store.gate import Gate

        gate = Gate(self._opened(), self.operator, self._now)
        where = None if place is None else lambda conn: find_scope(conn, *place)
        with as_api_errors(), gate.passing(act, least, place=where, order_id=order_id, reason=reason) as passing:
            yield passing


def _least_to_create(kind: str) -> Role:
    """Going back to an earlier version is an approver's, wherever it is asked for."""
    return Role.APPROVER if kind == "rollback" else Role.OPERATOR


def _made(entry: Entry, order_id: int, spec: OrderSpec) -> None:
    from engine.store.encoding import encode_spec

    entry.order_id, entry.target, entry.after = order_id, f"order #{order_id}", encode_spec(spec)
