"""View-models of an order in the states that matter, and an api that answers with them and keeps what it was sent.

For the screens' own tests: fixed rows and a fixed clock. It decides nothing the engine would decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.api import Api, ApiError
from engine.domain.message import message
from engine.domain.orders import ReleaseSpec
from engine.domain.problem import Problem
from engine.domain.states import (
    RELEASE_STEPS,
    Act,
    AppStatus,
    CommandState,
    Direction,
    HostState,
    NodeKind,
    NodeState,
    OrderKind,
    OrderState,
    RunState,
    StepName,
    StepState,
    Strategy,
    TrafficMode,
    Verified,
)
from engine.views import (
    AppView,
    BalancerView,
    CapacityPoint,
    CommandView,
    Consequence,
    EventView,
    HostRunView,
    HostView,
    NodeView,
    OrderRow,
    OrderView,
    ReleasePreview,
    StepView,
    WeightView,
    WorkspaceView,
)

NOW = 1_795_465_800.0
HOSTS = ("hz-01", "hz-02", "hz-03", "hz-04", "sh-01", "sh-02", "sh-03", "sh-04")
BETA, FIRST, SECOND = ("hz-01", "sh-01"), ("hz-02", "hz-03", "sh-02"), ("hz-04", "sh-03", "sh-04")

HEALTH = Problem(
    "health_not_passed",
    message("The health check of {host} did not pass within {seconds} s.", host="hz-02", seconds=60),
    message("Look at the health log and the error log, then retry or roll back."),
    "curl: (7) Failed to connect to localhost port 9500\npassed:false\ncomponent db: timeout after 3000 ms",
)


def node(key: str, kind: NodeKind, state: NodeState, needs: tuple[str, ...], hosts: tuple[str, ...] = (), **more: Any) -> NodeView:
    started = None if state is NodeState.PENDING else NOW - 151.0
    defaults: dict[str, Any] = {
        "number": 0, "direction": Direction.FORWARD, "sliders": False, "done": 0, "failed": 0, "confirmed_by": "",
        "started_at": started, "ended_at": NOW - 90.0 if state.complete else None,
    }
    return NodeView(key=key, kind=kind, state=state, needs=needs, hosts=hosts, **{**defaults, **more})


def chart(gray: bool = False, **states: NodeState) -> tuple[NodeView, ...]:
    """Initialise, Beta, its gate, two groups (with gates when gray), finish; what is not named is pending."""

    def state(key: str) -> NodeState:
        return states.get(key.replace("-", "_"), NodeState.PENDING)

    def counts(key: str, hosts: tuple[str, ...]) -> dict[str, int]:
        return {"done": len(hosts) if state(key) is NodeState.SUCCEEDED else 0}

    nodes = [node("initialise", NodeKind.INITIALISE, state("initialise"), ())]

    def add(key: str, kind: NodeKind, hosts: tuple[str, ...] = (), **more: Any) -> None:
        nodes.append(node(key, kind, state(key), (nodes[-1].key,), hosts, **{**counts(key, hosts), **more}))

    add("beta", NodeKind.BETA, BETA)
    by = "alice" if state("beta-confirm") is NodeState.SUCCEEDED else ""
    add("beta-confirm", NodeKind.GATE, BETA, sliders=gray, confirmed_by=by)
    for number, hosts in ((1, FIRST), (2, SECOND)):
        add(f"group-{number}", NodeKind.GROUP, hosts, number=number)
        if gray:
            add(f"group-{number}-confirm", NodeKind.GATE, hosts, number=number, sliders=True)
    add("finish", NodeKind.FINISH)
    return tuple(nodes)


def weight(asked: int | None = None, confirmed: int | None = 100, verified: Verified = Verified.YES) -> WeightView:
    return WeightView("lb-2zelab01", "rsp-2zelab01", 4110, 100, asked, confirmed, verified, asked is not None)


def host(name: str, log_dir: Path | None = None, **more: Any) -> HostRunView:
    node_key = "beta" if name in BETA else "group-1" if name in FIRST else "group-2"
    defaults: dict[str, Any] = {
        "data_centre": "hz-a" if name.startswith("hz") else "sh-b", "cell": "cell-1", "node": node_key,
        "direction": Direction.FORWARD, "state": RunState.PENDING, "attempt": 1, "version": "1.0.0",
        "from_version": "1.0.0", "to_version": "2.0.0", "step": None, "step_started_at": None, "steps": (),
        "weights": (weight(),), "problem": None, "started_at": None, "ended_at": None,
        "log_path": str(log_dir / f"{name}.log") if log_dir else "",
    }
    return HostRunView(name=name, **{**defaults, **more})


def done(name: str, log_dir: Path | None = None, **more: Any) -> HostRunView:
    return host(
        name, log_dir, state=RunState.SUCCEEDED, version="2.0.0", step=StepName.RESTORE_TRAFFIC, steps=steps(9),
        weights=(weight(100, 100),), started_at=NOW - 151.0, ended_at=NOW - 90.0, **more,
    )  # fmt: skip


def running(name: str, log_dir: Path | None = None, at: StepName = StepName.DEPLOY) -> HostRunView:
    return host(
        name, log_dir, state=RunState.RUNNING, step=at, step_started_at=NOW - 31.0, started_at=NOW - 64.0,
        steps=steps(RELEASE_STEPS.index(at), StepState.RUNNING), weights=(weight(0, 0),),
    )  # fmt: skip


def failed(name: str, log_dir: Path | None = None) -> HostRunView:
    return host(
        name, log_dir, state=RunState.FAILED, step=StepName.CHECK_HEALTH, step_started_at=NOW - 91.0, version="2.0.0",
        steps=steps(7, StepState.FAILED), weights=(weight(0, 0),), problem=HEALTH, started_at=NOW - 151.0, ended_at=NOW - 30.0,
    )  # fmt: skip


def steps(count: int, last: StepState | None = None) -> tuple[StepView, ...]:
    views = [StepView(name, StepState.SUCCEEDED, NOW - 151.0, NOW - 120.0, None) for name in RELEASE_STEPS[:count]]
    if last is not None:
        views.append(StepView(RELEASE_STEPS[count], last, NOW - 91.0, None, None))
    return tuple(views)


def would(act: Act, summary: str, *lines: str, hosts: tuple[str, ...] = (), **more: Any) -> Consequence:
    return Consequence(act, True, None, message(summary), tuple(message(line) for line in lines), hosts, **more)


def order(state: OrderState, nodes: tuple[NodeView, ...], hosts: Mapping[str, HostRunView], **more: Any) -> OrderView:
    every = tuple(hosts.get(name, host(name)) for name in HOSTS)
    serving = sum(h.weights[0].confirmed != 0 for h in every)
    defaults: dict[str, Any] = {
        "title": "", "strategy": Strategy.QUICK, "traffic": TrafficMode.SNAPSHOT, "beta": True,
        "direction": Direction.FORWARD, "paused": False, "reason": "", "problems": (), "problem": None,
        "next": message("Nothing moves by itself."), "acts": (), "engine_alive": True,
        "started_at": NOW - 252.0, "ended_at": None, "floor": 4,
        "balancers": (BalancerView("lb-2zelab01", "rsp-2zelab01", 8, serving, 4),),
    }
    return OrderView(
        id=12, tenant="acme", workspace="prod", production=True, kind=OrderKind.RELEASE, app="trade-core", version="2.0.0",
        state=state, created_by="alice", created_at=NOW - 300.0, epoch=3, nodes=nodes, hosts=every, in_service=serving,
        last_event=1, **{**defaults, **more},
    )  # fmt: skip


CONFIRM = would(
    Act.CONFIRM, "confirms Beta and starts group 1", "3 hosts leave the balancer, 5 of 8 stay (floor 4).",
    "It takes about 2 minutes.", hosts=FIRST,
)  # fmt: skip
ROLL_BACK = would(
    Act.ROLL_BACK, "rolls back 2 hosts", "2 hosts return to 1.0.0.", hosts=BETA, asks_reason=True, type_to_confirm="trade-core"
)
CANCEL = would(Act.CANCEL, "cancels the order", "Weights go back where health allows.", asks_reason=True)
PAUSE = would(Act.PAUSE, "lets what runs finish and starts nothing new")
DONE = NodeState.SUCCEEDED


def scene(name: str, log_dir: Path | None = None) -> OrderView:
    return _SCENES[name](log_dir)


def _ready(log_dir: Path | None) -> OrderView:
    start = would(Act.START, "starts Beta (2 hosts leave the balancer, 6 of 8 stay)", hosts=BETA)
    return order(
        OrderState.READY, chart(initialise=DONE), {}, started_at=None, acts=(start, CANCEL),
        next=message("The check passed; the release waits to be started."),
    )  # fmt: skip


def _running(log_dir: Path | None) -> OrderView:
    hosts = {name: done(name, log_dir) for name in BETA}
    hosts |= {"hz-02": running("hz-02", log_dir), "hz-03": running("hz-03", log_dir, StepName.CHECK_HEALTH)}
    hosts |= {"sh-02": done("sh-02", log_dir)}
    nodes = chart(initialise=DONE, beta=DONE, beta_confirm=DONE, group_1=NodeState.RUNNING)
    nodes = tuple(replace(n, done=1) if n.key == "group-1" else n for n in nodes)
    return order(
        OrderState.RUNNING, nodes, hosts, acts=(PAUSE, CANCEL, ROLL_BACK),
        next=message("Group 1 runs; group 2 follows by itself."),
    )  # fmt: skip


def _waiting(log_dir: Path | None) -> OrderView:
    nodes = chart(initialise=DONE, beta=DONE, beta_confirm=NodeState.WAITING)
    return order(
        OrderState.WAITING, nodes, {name: done(name, log_dir) for name in BETA}, acts=(CONFIRM, ROLL_BACK, CANCEL),
        next=message("Beta is done and waits for a person to confirm it."),
    )  # fmt: skip


def _gray(log_dir: Path | None) -> OrderView:
    nodes = chart(gray=True, initialise=DONE, beta=DONE, beta_confirm=NodeState.WAITING)
    hosts = {
        "hz-01": replace(done("hz-01", log_dir), weights=(weight(25, 25),)),
        "sh-01": replace(done("sh-01", log_dir), weights=(weight(25, None, Verified.CANNOT_TELL),)),
    }
    weights = would(Act.SET_WEIGHTS, "moves the weights of 2 hosts", "hz-01: 25 → 52.", hosts=BETA)
    return order(
        OrderState.WAITING, nodes, hosts, traffic=TrafficMode.GRAY, acts=(CONFIRM, weights, ROLL_BACK, CANCEL),
        next=message("Beta waits for its weights to be moved, then for a person to confirm it."),
    )  # fmt: skip


def _failed(log_dir: Path | None) -> OrderView:
    hosts = {name: done(name, log_dir) for name in (*BETA, "hz-03", "sh-02")} | {"hz-02": failed("hz-02", log_dir)}
    nodes = chart(initialise=DONE, beta=DONE, beta_confirm=DONE, group_1=NodeState.HALTED)
    nodes = tuple(replace(n, done=2, failed=1) if n.key == "group-1" else n for n in nodes)
    retry = would(Act.RETRY, "tries 1 failed host again", "hz-02 runs all of its steps again.", hosts=("hz-02",))
    return order(
        OrderState.HALTED, nodes, hosts, acts=(retry, ROLL_BACK, CANCEL),
        next=message("Group 1 is halted: 1 host failed. A person decides: retry, roll back or cancel."),
    )  # fmt: skip


def _rolling_back(log_dir: Path | None) -> OrderView:
    forward = chart(initialise=DONE, beta=DONE, beta_confirm=DONE, group_1=NodeState.CANCELLED)
    back = (
        node("back-1", NodeKind.GROUP, DONE, (), ("hz-02",), number=1, direction=Direction.BACK, done=1),
        node("back-2", NodeKind.GROUP, NodeState.RUNNING, ("back-1",), ("hz-01", "sh-01", "hz-03"), number=2,
             direction=Direction.BACK),
        node("back-finish", NodeKind.FINISH, NodeState.PENDING, ("back-2",), direction=Direction.BACK),
    )  # fmt: skip
    to = {"from_version": "2.0.0", "to_version": "1.0.0", "direction": Direction.BACK}
    hosts = {"hz-02": replace(done("hz-02", log_dir), version="1.0.0", **to)}
    hosts |= {name: replace(running(name, log_dir), version="2.0.0", **to) for name in back[1].hosts}
    return order(
        OrderState.ROLLING_BACK, back + forward, hosts, direction=Direction.BACK, acts=(PAUSE,),
        reason="error rate", next=message("The hosts this order touched return to their earlier version."),
    )  # fmt: skip


def _succeeded(log_dir: Path | None) -> OrderView:
    nodes = chart(initialise=DONE, beta=DONE, beta_confirm=DONE, group_1=DONE, group_2=DONE, finish=DONE)
    return order(
        OrderState.SUCCEEDED, nodes, {name: done(name, log_dir) for name in HOSTS}, ended_at=NOW - 10.0,
        next=message("The release succeeded; nothing follows."),
    )  # fmt: skip


def _init_failed(log_dir: Path | None) -> OrderView:
    missing = Problem(
        "package_missing",
        message("The package {key} is not in OSS.", key="packages/trade-core-2.0.0.tar.gz"),
        message("Upload it again, then initialise again."),
        "404 NoSuchKey",
    )
    agent = Problem(
        "agent_down", message("StarAgent does not run on {host}.", host="sh-03"), message("Restart the agent, then initialise again."),
        "Agent status not running",
    )  # fmt: skip
    again = would(Act.INITIALISE, "checks every host and the package again")
    return order(
        OrderState.INIT_FAILED, (), {}, started_at=None, problems=(("", missing), ("sh-03", agent)), acts=(again, CANCEL),
        next=message("The check failed; put right what it names, then initialise again."),
    )  # fmt: skip


_SCENES = {
    "ready": _ready, "running": _running, "waiting": _waiting, "gray": _gray, "failed": _failed,
    "rolling_back": _rolling_back, "succeeded": _succeeded, "init_failed": _init_failed,
}  # fmt: skip


class SceneApi(Api):
    """Answers with one scene. `sent` holds (act, params, reason) of every command."""

    def __init__(self, name: str, log_dir: Path, *, empty: bool = False) -> None:
        super().__init__("sqlite://", operator="alice", log_dir=log_dir)
        self.view = scene(name, log_dir)
        self.empty = empty
        self.broken: Problem | None = None
        self.refusal: Problem | None = None
        self.sent: list[tuple[Act, dict[str, Any], str]] = []
        self.created: list[ReleaseSpec] = []
        self.version = 0

    def open(self) -> None:
        self._check()

    def close(self) -> None:
        pass

    def _check(self) -> None:
        if self.broken is not None:
            raise ApiError(self.broken)

    def change(self, view: OrderView) -> None:
        self.view, self.version = view, self.version + 1

    def change_token(self) -> object:
        self._check()
        return self.version

    def events(self, *, order_id: int | None = None, after: int = 0, limit: int = 500) -> tuple[EventView, ...]:
        return ()

    def workspaces(self) -> tuple[WorkspaceView, ...]:
        self._check()
        return (
            WorkspaceView("acme", "dev", False, 4, 2, 0, 0),
            WorkspaceView("acme", "test", False, 4, 3, 1, 0),
            WorkspaceView("acme", "prod", True, 4, 8, 1, 1),
        )

    def apps(self, tenant: str, workspace: str) -> tuple[AppView, ...]:
        self._check()
        if self.empty:
            return ()

        def app(name: str, alias: str, group: str, level: str, **more: Any) -> AppView:
            defaults: dict[str, Any] = {
                "description": "", "stack": "python-web", "stack_version": "1.0", "owner": "alice", "creator": "bob",
                "status": AppStatus.CREATED, "metadata": {"team": group}, "version": "1.0.0", "hosts": 8, "deployed_hosts": 8,
                "failed_hosts": 0, "open_order": None, "open_order_state": None,
                "packages": ("3.0.0", "2.0.0", "1.0.0"), "succeeded_versions": ("1.0.0",),
            }  # fmt: skip
            return AppView(name=name, alias=alias, group=group, level=level, **{**defaults, **more})

        return (
            app("ledger", "总账", "accounting", "core", version="", hosts=2, deployed_hosts=0),
            app("notify", "消息通知服务", "", "edge", hosts=0, version="", deployed_hosts=0, owner="carol"),
            app("quote", "行情", "trading", "edge", status=AppStatus.CREATE_FAILED, deployed_hosts=6, failed_hosts=1),
            app("trade-core", "交易核心", "trading", "core", deployed_hosts=5, open_order=12, open_order_state=self.view.state),
        )

    def hosts(self, tenant: str, workspace: str, *, app: str | None = None) -> tuple[HostView, ...]:
        return tuple(
            HostView(name, "127.0.0.1", 22, "admin", "hz-a", "cell-1", ("jump-1",), "debian", "12", HostState.DEPLOYED, "1.0.0", ("trade-core",))
            for name in HOSTS
        )  # fmt: skip

    def orders(self, tenant: str, workspace: str, *, open_only: bool = False, limit: int = 200) -> tuple[OrderRow, ...]:
        self._check()
        if self.empty:
            return ()

        def row(number: int, app: str, version: str, state: OrderState, **more: Any) -> OrderRow:
            defaults: dict[str, Any] = {
                "kind": OrderKind.RELEASE, "title": "", "done_hosts": 3, "failed_hosts": 0, "hosts": 8, "created_by": "alice",
                "created_at": NOW - 4000, "started_at": NOW - 3900, "ended_at": NOW - 3000 if state.complete else None,
                "changed_at": NOW - 3000,
            }  # fmt: skip
            return OrderRow(id=number, app=app, version=version, state=state, **{**defaults, **more})

        return (
            row(14, "quote", "1.4.0", OrderState.SUCCEEDED, done_hosts=8, title="行情修复"),
            row(13, "ledger", "2.0.0", OrderState.RUNNING, hosts=2, done_hosts=1),
            row(12, "trade-core", "2.0.0", self.view.state, failed_hosts=1, title="十一月发布窗口"),
            row(11, "trade-core", "1.0.0", OrderState.ROLLED_BACK, kind=OrderKind.ROLLBACK),
            row(10, "notify", "0.9.1", OrderState.CANCELLED, created_by="bob"),
        )

    def order(self, tenant: str, workspace: str, order_id: int) -> OrderView:
        self._check()
        return self.view

    def engine_alive(self) -> bool:
        return True

    def preview(self, tenant: str, workspace: str, spec: ReleaseSpec) -> ReleasePreview:
        lowest = {Strategy.ONE_GROUP: 0}.get(spec.strategy, 4)
        points = (CapacityPoint("beta", 6),) if spec.beta else ()
        nodes = chart(gray=spec.traffic is TrafficMode.GRAY)
        kept = nodes if spec.beta else tuple(
            replace(n, needs=("initialise",)) if n.key == "group-1" else n for n in nodes if not n.key.startswith("beta")
        )  # fmt: skip
        return ReleasePreview(
            spec.app, spec.version, "1.0.0", kept, BETA if spec.beta else (),
            (*points, CapacityPoint("group-1", 5), CapacityPoint("group-2", lowest)), 8, 4, lowest, lowest < 4,
            (message("Cutting traffic stops only external web traffic; RPC and messages go on."),), (),
        )  # fmt: skip

    def create_release(self, tenant: str, workspace: str, spec: ReleaseSpec) -> int:
        if self.refusal is not None:
            raise ApiError(self.refusal)
        self.created.append(spec)
        return 12

    def consequence(
        self, tenant: str, workspace: str, order_id: int, act: Act, params: Mapping[str, Any] | None = None
    ) -> Consequence:
        known = next((c for c in self.view.acts if c.act is act), None)
        if known is not None:
            return known
        refusal = Problem("not_now", message("That can't be done now."), message("Wait until the order asks for it."))
        return Consequence(act, False, refusal, message("not now"), (), ())

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
        self.sent.append((act, dict(params or {}), reason))
        return len(self.sent)

    def command(self, command_id: int) -> CommandView:
        act = self.sent[command_id - 1][0]
        return CommandView(command_id, 12, act, CommandState.REFUSED if self.refusal else CommandState.ACCEPTED, self.refusal)

    def wait_command(self, command_id: int, *, timeout_s: float = 10.0) -> CommandView:
        return self.command(command_id)
