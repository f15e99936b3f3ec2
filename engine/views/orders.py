"""What is shown of orders: as rows of a list, and as the whole picture of one with its nodes, hosts, weights and orphans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.domain.message import Message
from engine.domain.problem import Problem
from engine.domain.states import (
    Direction,
    Health,
    Leaving,
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
from engine.views.acts import AtWorkView, Consequence
from engine.views.expected import ExpectedView
from engine.views.values import shown_state


@dataclass(frozen=True, slots=True)
class OrderedApp:
    """An app of an order: what it ran when the order was made, and what it is to run (the same, where no version changes)."""

    app: str
    from_version: str
    to_version: str
    needs: tuple[str, ...] = ()  # the apps it waits for


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
        return shown_state(self.state, paused=self.paused, failed=self.failed_hosts > 0)

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
    deadline_s: float | None = None  # of the running step, from its start on; a step at a balancer has none
    by_hand: bool = False  # done, and its traffic is given by hand: its steps end without any
    no_traffic: bool = False  # and none was given yet, though it had some before
    app: str = ""  # empty before there is a plan
    skips: tuple[str, ...] = ()  # steps that a person has skipped
    leaving: Leaving = Leaving.STAYS  # it leaves the order before its end, or has left it

    @property
    def version_unknown(self) -> bool:
        """Something was done to it, and nobody knows what it runs."""
        return not self.version and self.attempt > 1 and (bool(self.skips) or self.leaving is not Leaving.STAYS)

    @property
    def shown(self) -> RunState | Shown:
        """A host that was called off before it began is untouched: nothing of it was cancelled."""
        if self.state is RunState.SKIPPED and self.leaving is Leaving.EXCLUDED:
            return Shown.EXCLUDED
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
    app: str = ""  # whose hosts they are
    skipped: int = 0  # hosts that were skipped or excluded
    pauses: bool = False  # the order pauses before it begins

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
class RemedyView:
    """What can be done by a step about the failure of a host: `remedy` is its name, `word` what operators call it. It helped here
    (in this workspace) `helped` of the `tried` times of which one knows. `last`: why it did not succeed when it was asked for
    last, in this order."""

    host: str
    code: str
    remedy: str
    word: Message
    helped: int
    tried: int
    last: Problem | None = None


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
    by_hand: bool = False  # groups were named host by host, for one app at least
    excluded: tuple[str, ...] = ()  # hosts that are left alone
    expected: ExpectedView | None = None  # when it will be done; None: it has ended, or has no plan yet
    remedies: tuple[RemedyView, ...] = ()
    responsible: str = ""  # who created it, or to whom it was handed over since
    parallelism: int = 0
    max_failures: int = 0

    @property
    def shown(self) -> OrderState | Shown:
        return shown_state(
            self.state, paused=self.paused, failed=any(host.state is RunState.FAILED for host in self.hosts)
        )

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
