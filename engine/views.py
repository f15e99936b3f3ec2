"""View-models: what screens and the command line show of apps, orders and hosts, apart from how it is drawn.

Plain frozen data, JSON-able through `to_json`, built by `engine.api` from the store; screens never see a row or a table.
Nothing here is coloured, padded or translated: a `Message` is translated by whoever shows it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from engine.domain.message import Message
from engine.domain.problem import Problem
from engine.domain.states import (
    Act,
    AppStatus,
    CommandState,
    Direction,
    Health,
    HostState,
    NodeKind,
    NodeState,
    OrderState,
    RunState,
    Shown,
    StepState,
    Strategy,
    TrafficMode,
    Verified,
)

GATE_WITHOUT_TRAFFIC = "gate_without_traffic"


def to_json(view: Any) -> Any:
    """Any view-model as plain JSON data. A `Message` becomes its English sentence, a `Problem` {code, what, remedy, evidence}."""
    if isinstance(view, Message):
        return str(view)
    if isinstance(view, Problem):
        return {"code": view.code, "what": str(view.what), "remedy": str(view.remedy), "evidence": view.evidence}
    if dataclasses.is_dataclass(view) and not isinstance(view, type):
        return {f.name: to_json(getattr(view, f.name)) for f in dataclasses.fields(view)}
    if isinstance(view, Mapping):
        return {str(key): to_json(value) for key, value in view.items()}
    if isinstance(view, (list, tuple)):
        return [to_json(value) for value in view]
    return view


def percent(share: float) -> str:
    """A share of 0–1 as it is written everywhere: `12.5%`, `25%`. With a tenth, so that two shares and their sum agree."""
    return f"{share * 100:.1f}".removesuffix(".0") + "%"


def _shown(state: OrderState, *, paused: bool, failed: bool) -> OrderState | Shown:
    """A paused order is paused, whatever it was at; one with failed hosts is halted, and a person must decide about them."""
    going = state in (OrderState.RUNNING, OrderState.WAITING, OrderState.HALTED)
    return Shown.PAUSED if paused and going and not failed else state


@dataclass(frozen=True, slots=True)
class EngineView:
    """A living engine. `embedded`: a cockpit started it. `agent` (a socket) and `credentials` (where it found its access key) are
    as they were at its start, empty for none; `started_with` is all that is known of it, for comparing."""

    id: str
    machine: str
    here: bool
    pid: int
    started_at: float
    user: str
    embedded: bool
    version: str
    program: str
    agent: str
    credentials: str
    started_with: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WorkspaceView:
    tenant: str
    workspace: str
    production: bool
    apps: int
    hosts: int
    open_orders: int
    waiting_orders: int  # waiting or halted: a person must act


@dataclass(frozen=True, slots=True)
class RunningVersion:
    version: str
    hosts: int


@dataclass(frozen=True, slots=True)
class AppView:
    """An app as its tenant's catalogue has it and as it stands in this workspace. `hosts` 0: no service instance here."""

    name: str
    alias: str
    description: str
    group: str
    level: str
    stack: str
    stack_version: str
    owner: str
    creator: str
    status: AppStatus
    metadata: Mapping[str, str]
    version: str  # here; empty when it never succeeded here
    hosts: int
    deployed_hosts: int  # run `version`
    failed_hosts: int
    open_order: int | None
    open_order_state: OrderState | None
    packages: tuple[str, ...]  # versions, newest first
    succeeded_versions: tuple[str, ...]  # here, newest first
    running: tuple[RunningVersion, ...] = ()  # what the deployed hosts run, the most frequent first
    open_order_paused: bool = False

    @property
    def runs(self) -> str:
        """`2.0.0 5/8, 1.0.0 3/8`: each version that runs here and on how many of the hosts; empty when none does."""
        return ", ".join(f"{each.version} {each.hosts}/{self.hosts}" for each in self.running)

    @property
    def open_order_shown(self) -> OrderState | Shown | None:
        if self.open_order_state is None:
            return None
        return _shown(self.open_order_state, paused=self.open_order_paused, failed=self.failed_hosts > 0)


@dataclass(frozen=True, slots=True)
class HostView:
    name: str
    address: str
    ssh_port: int
    ssh_user: str
    data_centre: str
    cell: str
    jump_chain: tuple[str, ...]
    os: str
    os_version: str
    state: HostState
    version: str
    apps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OrderedApp:
    """An app of an order: what it ran when the order was made, and what it is to run (the same, where no version changes)."""

    app: str
    from_version: str
    to_version: str


@dataclass(frozen=True, slots=True)
class OrderRow:
    id: int
    kind: str
    title: str
    apps: tuple[OrderedApp, ...]
    state: OrderState
    done_hosts: int
    failed_hosts: int
    hosts: int
    created_by: str
    created_at: float
    started_at: float | None
    ended_at: float | None
    changed_at: float
    paused: bool = False

    @property
    def shown(self) -> OrderState | Shown:
        return _shown(self.state, paused=self.paused, failed=self.failed_hosts > 0)

    @property
    def subject(self) -> str:
        return subject(self.apps)

    @property
    def versions(self) -> str:
        return versions(self.apps)


def subject(apps: Sequence[OrderedApp]) -> str:
    """The apps of an order in a word."""
    return ", ".join(app.app for app in apps)


def versions(apps: Sequence[OrderedApp]) -> str:
    """What they are to run, each once; `-` where nothing is known."""
    return ", ".join(dict.fromkeys(app.to_version or "-" for app in apps))


@dataclass(frozen=True, slots=True)
class StepView:
    """`name` is its key in the list, `does` what it does; `title` is what it is called when it has a name of its own. `kept_from`:
    the earlier attempt that did it; it is not done again."""

    name: str
    does: str
    title: str
    state: StepState
    started_at: float | None
    ended_at: float | None
    problem: Problem | None
    kept_from: int = 0


@dataclass(frozen=True, slots=True)
class WeightView:
    """A weight of a host: recorded before the order, asked last, confirmed by reading back (None: not read back yet). `note`:
    what somebody else did to it during the order, and what follows from that."""

    balancer: str
    server_group: str
    port: int
    recorded: int
    asked: int | None
    confirmed: int | None
    verified: Verified | None
    owned: bool
    note: Problem | None = None
    health: Health | None = None


@dataclass(frozen=True, slots=True)
class HostRunView:
    """A host within an order. `node` is the plan node it belongs to in the order's present direction.

    `log_path` is the file its present attempt's log is written to (it may not exist yet).
    """

    name: str
    data_centre: str
    cell: str
    node: str
    direction: Direction
    state: RunState
    attempt: int
    version: str  # it runs now
    from_version: str
    to_version: str
    step: str | None  # the running or failed one, else the last one that ended
    step_started_at: float | None
    steps: tuple[StepView, ...]
    weights: tuple[WeightView, ...]
    problem: Problem | None
    started_at: float | None
    ended_at: float | None
    log_path: str
    waits_for: Message | None = None  # a balancer whose API is away
    by_hand: bool = False  # done, and its traffic is given by hand: its steps end without any
    no_traffic: bool = False  # and none was given yet, though it had some before

    @property
    def shown(self) -> RunState | Shown:
        """A host that was called off before it began is untouched: nothing of it was cancelled."""
        untouched = self.state is RunState.CANCELLED and self.started_at is None and self.attempt == 1
        return Shown.UNTOUCHED if untouched else self.state


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One attempt of a host at a node: what became of it, and the file its log is in (it may not exist yet, or no more).

    Attempts are numbered from 1 in each direction."""

    host: str
    node: str
    direction: Direction
    number: int
    state: RunState
    problem: Problem | None
    started_at: float | None
    ended_at: float | None
    log_path: str


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node of the flowchart. `hosts` in plan order; `done` and `failed` count them."""

    key: str
    kind: NodeKind
    label: Message
    direction: Direction
    state: NodeState
    needs: tuple[str, ...]
    hosts: tuple[str, ...]
    sliders: bool
    done: int
    failed: int
    started_at: float | None
    ended_at: float | None
    confirmed_by: str
    paused: bool = False  # it has begun, and nothing of it runs before the order is resumed

    @property
    def shown(self) -> NodeState | Shown:
        return Shown.PAUSED if self.paused else self.state


@dataclass(frozen=True, slots=True)
class BalancerView:
    """A server group of the order: how many of its hosts take traffic and answer now, and how many must."""

    balancer: str
    server_group: str
    hosts: int
    in_service: int
    floor: int
    # Hosts with a weight that do not count: those that do not answer, and those of which nobody can tell.
    silent: tuple[str, ...] = ()
    cannot_tell: tuple[str, ...] = ()
    # Hosts in service with less than the weight they are due, and what share of the group's traffic (0–1) they carry together.
    part: tuple[str, ...] = ()
    part_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Consequence:
    """What an act would do if it were asked for now: shown before it is pressed.

    `lines` say it in whole sentences (hosts, traffic, floor, expected time); `refusal` says why it can't be done now.
    `hosts` are those it would touch.
    """

    act: Act
    allowed: bool
    refusal: Problem | None
    # for the "next" line: "confirms Beta and starts group 1 (2 hosts leave the balancer, 4 of 8 stay)"
    summary: Message
    lines: tuple[Message, ...]
    hosts: tuple[str, ...]
    asks_reason: bool = False
    type_to_confirm: str = ""  # production: the name to be typed where a reason is asked for
    choices: tuple[str, ...] = ()  # versions to choose from; "" among them: the one each host ran before
    chosen: str = ""  # of the choices, what all this is said of
    makes_order: bool = False  # done by an order of its own
    may_keep: bool = False  # a retry that may keep what was done: everything can be done again instead
    asks_override: bool = False  # it goes below the capacity floor: why it may is asked for as well

    @property
    def weights_first(self) -> bool:
        """A gate that is not confirmed before its hosts take traffic."""
        return self.refusal is not None and self.refusal.code == GATE_WITHOUT_TRAFFIC


@dataclass(frozen=True, slots=True)
class AtWorkView:
    """An act that waits on the world and is not answered yet: who asked, since when it is at work, and for what it waits."""

    command_id: int
    act: Act
    operator: str
    since: float
    waits_for: Message


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order as the order screen and `cockpit order show` have it: one consistent snapshot."""

    id: int
    tenant: str
    workspace: str
    production: bool
    kind: str
    title: str
    apps: tuple[OrderedApp, ...]
    strategy: Strategy
    traffic: TrafficMode | None  # of a kind that gives weights; None: it does not choose
    beta: bool
    state: OrderState
    direction: Direction
    paused: bool
    reason: str
    created_by: str
    created_at: float
    started_at: float | None
    ended_at: float | None
    epoch: int
    nodes: tuple[NodeView, ...]  # those forward, then those of the way back
    hosts: tuple[HostRunView, ...]
    balancers: tuple[BalancerView, ...]
    floor: int
    in_service: int
    problems: tuple[tuple[str, Problem], ...]
    problem: Problem | None
    next: Message  # what happens next by itself or what it waits for, one sentence
    acts: tuple[Consequence, ...]  # every act that makes sense now, the expected one first
    engine_alive: bool
    last_event: int
    at_work: tuple[AtWorkView, ...] = ()

    @property
    def shown(self) -> OrderState | Shown:
        return _shown(self.state, paused=self.paused, failed=any(host.state is RunState.FAILED for host in self.hosts))

    @property
    def counted(self) -> tuple[HostRunView, ...]:
        """The hosts that its present direction is about: a way back leaves out those that were never touched."""
        return tuple(host for host in self.hosts if host.direction is self.direction)

    @property
    def subject(self) -> str:
        return subject(self.apps)

    @property
    def versions(self) -> str:
        return versions(self.apps)


@dataclass(frozen=True, slots=True)
class OrphanView:
    """A weight that no living order owns: `order` has ended without giving it back. `due`: what the host should get; `now`: what
    was read last."""

    order: int
    kind: str
    apps: tuple[str, ...]
    state: OrderState
    ended_at: float | None
    host: str
    balancer: str
    server_group: str
    port: int
    recorded: int
    due: int
    now: int | None
    verified: Verified | None


class Outcome(StrEnum):
    """What became of what a person asked for; `by_itself`: nobody asked, the engine did it."""

    ASKED = "asked"  # and not answered yet
    AT_WORK = "working"
    DONE = "done"
    REFUSED = "refused"
    BY_ITSELF = "by_itself"


@dataclass(frozen=True, slots=True)
class HistoryView:
    """One thing that a person did to an order, or wanted to; or that the engine did by itself and a person should know: `operator`
    is empty then. `act` is an act's name or `create_release` and the like; `said` is what it meant when it was asked for;
    `problem` why it was refused, or why the engine halted."""

    at: float
    operator: str
    act: str
    said: Message
    reason: str
    outcome: Outcome
    problem: Problem | None
    answered_at: float | None


@dataclass(frozen=True, slots=True)
class EventView:
    id: int
    order_id: int
    at: float
    kind: str  # order | node | host | step | weight | outside | command | engine | warning
    data: Mapping[str, Any]
    sentence: Message


@dataclass(frozen=True, slots=True)
class CommandView:
    id: int
    order_id: int
    act: Act
    state: CommandState
    problem: Problem | None
    waits_for: Message | None = None  # while it is working


@dataclass(frozen=True, slots=True)
class PromptView:
    """A question an SSH server asks and nobody has answered yet; its words are the server's. `attempt` above 1: the answer
    before was refused."""

    id: int
    hop: str
    login: str  # user@address:port
    is_jump: bool
    instruction: str
    question: str
    echo: bool  # the answer may be seen while it is typed
    attempt: int
    asked_at: float
    deadline_at: float


@dataclass(frozen=True, slots=True)
class CapacityPoint:
    """One step of the preview's capacity curve: hosts in service while `node` runs."""

    node: str
    in_service: int


@dataclass(frozen=True, slots=True)
class OrderPreview:
    """What an order would be, before anything is created. `problems` name everything that forbids it, all at once."""

    kind: str
    apps: tuple[OrderedApp, ...]
    hosts: tuple[str, ...]
    nodes: tuple[NodeView, ...]
    beta_hosts: tuple[str, ...]
    capacity: tuple[CapacityPoint, ...]
    in_service: int
    floor: int
    lowest_in_service: int
    breaks_floor: bool
    notes: tuple[Message, ...]  # e.g. cutting traffic stops only external web traffic
    problems: tuple[Problem, ...]
