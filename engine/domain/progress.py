"""How far an order is: its rows as frozen data, the input of every decision (what is next, what an act would mean)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from engine.domain.acts import AnyAct, SetWeights
from engine.domain.fleet import Mount
from engine.domain.health import answers, either
from engine.domain.leaving import leaving_plan
from engine.domain.message import Message
from engine.domain.orders import HostPlan, OrderApp, OrderSpec, Plan
from engine.domain.outage import Outage
from engine.domain.problem import Problem
from engine.domain.states import (
    Direction,
    Health,
    HostState,
    Leaving,
    NodeState,
    OrderState,
    RunState,
    StepState,
    Verified,
)


@dataclass(frozen=True, slots=True)
class StepProgress:
    """A step of one attempt. `kept_from`: the earlier attempt that did it, and it is still so; 0: it is this attempt's to do."""

    key: str
    position: int
    state: StepState
    started_at: float | None = None
    ended_at: float | None = None
    problem: Problem | None = None
    kept_from: int = 0

    @property
    def begun(self) -> bool:
        """This attempt has begun it."""
        return self.state not in (StepState.PENDING, StepState.SKIPPED) and not self.kept_from


@dataclass(frozen=True, slots=True)
class NodeProgress:
    key: str
    state: NodeState
    started_at: float | None = None
    ended_at: float | None = None
    confirmed_by: str = ""


RunKey = tuple[Direction, str, str]  # direction, node, host


@dataclass(frozen=True, slots=True)
class RunProgress:
    """One host in one node. `touched`: it may no longer be what it was before, so a way back returns it. `job` begins the names
    of its attempts' folders and logs. `failed_at`: the step at which the attempt failed that failed last. `from_start`: the
    present attempt does everything again, whatever was done before. `skips`: the steps that a person has skipped. `leaving`: the
    present attempt gives the host its weight back and does nothing else, or has done so."""

    direction: Direction
    node: str
    host: str
    state: RunState
    attempt: int
    from_version: str
    to_version: str
    touched: bool = False
    problem: Problem | None = None
    started_at: float | None = None
    ended_at: float | None = None
    job: str = ""
    failed_at: str = ""
    from_start: bool = False
    skips: tuple[str, ...] = ()
    leaving: Leaving = Leaving.STAYS

    @property
    def key(self) -> RunKey:
        return self.direction, self.node, self.host

    @property
    def held(self) -> bool:
        """It has begun and stands between two of its steps, because the order was paused."""
        return self.state is RunState.PENDING and self.started_at is not None

    @property
    def begun(self) -> bool:
        """Something may have been done to the host or its weights by this run or by an earlier attempt."""
        called_off = self.state is RunState.SKIPPED and self.started_at is None
        return (self.state is not RunState.PENDING and not called_off) or self.held or self.attempt > 1

    @property
    def excluded(self) -> bool:
        return self.leaving is Leaving.EXCLUDED


def job_of(direction: Direction, node: str) -> str:
    """What the jobs and logs of a node's hosts are called, without their attempt."""
    return f"{direction}-{node}"


def leaves_host(plan: HostPlan, ended: RunState, *, touched: bool, skips: Collection[str] = ()) -> HostState:
    """The state of the host when its run ends so. `skips`: steps that were skipped."""
    if ended in (RunState.SUCCEEDED, RunState.SKIPPED):
        undone = any(step.touches and step.key in skips for step in plan.steps)
        return plan.on_failure if undone else plan.after.state
    if ended is RunState.CANCELLED and not touched:
        return plan.before.state
    return plan.on_failure


@dataclass(frozen=True, slots=True)
class WeightLine:
    """A mount's weight within an order: recorded → asked → confirmed, and whether reading back agreed.

    `owned`: the order has moved it and has not given it back; no ended order may own a weight. `outside`: what somebody else
    set it to meanwhile, as noticed last (None: nobody did); `cut_again`: it was raised so during a cut, and cut once more.
    `balancer_health` is what the balancer's own check said last, `own_health` what ours said (None: nobody has asked).
    """

    mount: Mount
    recorded: int
    asked: int | None = None
    confirmed: int | None = None
    verified: Verified | None = None
    confirmed_at: float | None = None
    owned: bool = False
    problem: Problem | None = None
    outside: int | None = None
    outside_at: float | None = None
    cut_again: bool = False
    balancer_health: Health | None = None
    own_health: Health | None = None

    @property
    def health(self) -> Health | None:
        return either(self.balancer_health, self.own_health)

    @property
    def serves(self) -> bool:
        """Whether it is in service: it has a weight, and what is behind it answers."""
        return self.believed > 0 and answers(self.health)

    @property
    def due(self) -> int:
        """The weight it gets back: what somebody else has set during the order counts for more than what was recorded before it."""
        return self.recorded if self.outside is None else self.outside

    @property
    def in_doubt(self) -> bool:
        """A call of the order asked for a weight that was not seen on the balancer: it may still get there."""
        return self.asked is not None and self.verified is not Verified.YES

    @property
    def left_behind(self) -> bool:
        """Whether the order holds a weight that is not, or not surely, the one the host should get back."""
        return self.owned and (self.in_doubt or self.believed != self.due)

    @property
    def believed(self) -> int:
        """The weight to count with: what was last read back, else what was recorded."""
        return self.recorded if self.confirmed is None else self.confirmed


@dataclass(frozen=True, slots=True)
class ActAtWork:
    """An act of the order that waits on the world and is not answered yet."""

    command_id: int
    act: AnyAct
    operator: str
    since: float
    waits_for: Message


@dataclass(frozen=True, slots=True)
class OrderProgress:
    id: int
    workspace_id: int
    apps: tuple[OrderApp, ...]
    kind: str
    title: str
    state: OrderState
    direction: Direction
    spec: OrderSpec
    plan: Plan | None
    back_plan: Plan | None
    nodes: Mapping[tuple[Direction, str], NodeProgress]
    runs: Mapping[RunKey, RunProgress]
    weights: tuple[WeightLine, ...]
    paused: bool
    parallelism: int
    epoch: int
    problems: tuple[tuple[str, Problem], ...]  # (host or "", problem): what initialisation found
    problem: Problem | None
    reason: str
    created_by: str
    created_at: float
    started_at: float | None
    ended_at: float | None
    at_work: tuple[ActAtWork, ...] = ()
    outages: tuple[Outage, ...] = ()  # balancers it waits for now
    max_failures_now: int | None = None  # None: as it was asked for
    pauses_before: tuple[str, ...] = ()  # groups before which it pauses
    handed_to: str = ""  # who has taken it over from whoever created it

    @property
    def max_failures(self) -> int:
        """How many hosts of a group may fail before no other of it begins."""
        return self.spec.max_failures if self.max_failures_now is None else self.max_failures_now

    @property
    def responsible(self) -> str:
        return self.handed_to or self.created_by

    @property
    def weights_at_work(self) -> frozenset[str]:
        """Hosts whose weight is being set by hand: until that has come to its end, the order neither ends nor turns back."""
        acts = [each.act for each in self.at_work]
        return frozenset(host for act in acts if isinstance(act, SetWeights) for host in act.weights)

    def without(self, command_id: int) -> OrderProgress:
        """As it would be if that command did not exist: what an act is judged by."""
        return replace(self, at_work=tuple(each for each in self.at_work if each.command_id != command_id))

    @property
    def named(self) -> str:
        """Its apps, as they are called in a sentence."""
        return ", ".join(app.app for app in self.apps)

    @property
    def current_plan(self) -> Plan | None:
        return self.back_plan if self.direction is Direction.BACK else self.plan

    def plan_towards(self, direction: Direction) -> Plan:
        plan = self.back_plan if direction is Direction.BACK else self.plan
        assert plan is not None, "a run stands in a plan"
        return plan

    def host_plan(self, run: RunProgress) -> HostPlan:
        """What the run's present attempt does."""
        plan = self.plan_towards(run.direction).run_of[run.node, run.host]
        failed = run.state is RunState.FAILED  # then all that was planned is open again
        return plan if run.leaving is Leaving.STAYS or failed else leaving_plan(plan, run)

    def towards(self, direction: Direction) -> tuple[RunProgress, ...]:
        """The runs of one direction, in plan order."""
        return tuple(run for run in self.runs.values() if run.direction is direction)

    @property
    def current_runs(self) -> tuple[RunProgress, ...]:
        """The runs of the present direction, in plan order."""
        return self.towards(self.direction)
