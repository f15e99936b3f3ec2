"""A fixed fleet and orders in given situations, written through the real tables at frozen times.

    seed_fleet(store)                                    # tenants acme and globex, their workspaces, apps, hosts, balancer
    order_id = seed_order(store, "waiting_at_beta_gate")  # see SITUATIONS
    seed_engine(store)                                   # an engine that is alive at NOW
    api = Api(store.url, operator="alice", log_dir=…, now=lambda: NOW)

acme / prod / trade-core: hosts hz-01 … hz-04 in data centre hz-a, hz-05 … hz-08 in hz-b, all behind one VServer group with weight
100, version 1.0.0 everywhere, packages 1.0.0, 2.0.0 and 3.0.0. ledger never succeeded anywhere. globex / prod has an app
trade-core of its own with hosts of the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from engine.domain import step_names
from engine.domain.message import message
from engine.domain.orders import HostPlan, OrderSpec, Plan
from engine.domain.outage import Outage
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress, RunProgress, StepProgress
from engine.domain.states import (
    Direction,
    NodeState,
    OrderState,
    RunState,
    StepState,
    TrafficMode,
    Verified,
)
from engine.kinds.registry import kind_of, plan_of, traffic_of
from engine.kinds.release import release_spec as make_spec
from engine.plan.back import plan_cancel, plan_rollback
from engine.reading.preview import known_weights
from engine.reading.scope import find_scope
from engine.run.turning_back import turn_back
from engine.store import tables as t
from engine.store.encoding import encode_plan
from engine.store.events import add_event
from engine.store.facts import load_facts
from engine.store.fleets import record_success, set_host
from engine.store.host_runs import end_run, retry_run, set_step, start_run, touch_run
from engine.store.orders import set_order_state, update_order
from engine.store.outages import note_outage
from engine.store.ownership import Ownership, acquire
from engine.store.plans import insert_plan, set_node_state
from engine.store.progress import load_progress
from engine.store.store import Store
from engine.store.weights import insert_weights, let_go_of_weights
from tests.support.failures import agent_down
from tests.support.orders import make_order, plan_for, run_of

NOW = 1_795_436_400.0  # 2026-11-23 12:20:00 UTC: when the tests look
CREATED = NOW - 600.0
STEP_S = 5.0
APP, VERSION = "trade-core", "2.0.0"
HOSTS = tuple(f"hz-{number:02}" for number in range(1, 9))
BALANCER, SERVER_GROUP = "lb-2zelab01", "rsp-2zelab01"


# ------------------------------------------------------------------------------------------------------------------ fleet


def seed_fleet(store: Store, *, hosts: int = 8) -> None:
    """The catalogue. `hosts` of acme / prod / trade-core, half of them in each data centre."""
    with store.writing() as conn:
        _seed_tenant(conn, "acme", ("dev", "test", "prod"), hosts, with_ledger=True)
        _seed_tenant(conn, "globex", ("prod",), 2, with_ledger=False)


def seed_engine(store: Store, *, at: float = NOW) -> None:
    """An engine that was heard of last at `at`. PostgreSQL counts by its own clock and asks whether its session is there."""
    with store.writing() as conn:
        values = {"id": "engine-1", "machine": "jump-1", "pid": 4711, "started_at": at - 3600, "heartbeat_at": at}
        conn.execute(sa.insert(t.engine).values(**values, state="active"))
    if not store.is_sqlite:
        _sessions.append(acquire(store, "engine-1", at))
        set_heartbeat(store, at)


def set_heartbeat(store: Store, at: float) -> None:
    with store.writing() as conn:
        age_s = NOW - at
        heartbeat = sa.literal(at) if store.is_sqlite else sa.text(f"extract(epoch FROM clock_timestamp()) - {age_s}")
        conn.execute(sa.update(t.engine).values(heartbeat_at=heartbeat, state="active"))


_sessions: list[Ownership | None] = []  # they end with their databases


def _insert(conn: sa.Connection, table: sa.Table, **values: object) -> int:
    return int(conn.execute(sa.insert(table).values(**values).returning(table.c.id)).scalar_one())


def _seed_tenant(conn: sa.Connection, name: str, workspaces: Iterable[str], hosts: int, *, with_ledger: bool) -> None:
    tenant = _insert(conn, t.tenant, name=name)
    group = _insert(conn, t.app_group, tenant_id=tenant, name="trading", description="")
    level = _insert(conn, t.level, tenant_id=tenant, name="core", rank=1)
    archive = {"region": "cn-hangzhou", "bucket": "lab", "key": "stacks/python-web-1.0.tar.gz"}
    stack = _insert(
        conn, t.tech_stack, tenant_id=tenant, name="python-web", version="1.0", archive=archive, supported_os={},
        supported_regions=[], install_list=[], parameters=[],
        scripts={each: f"bin/{each}.sh" for each in ("deploy", "restart", "offline")},
    )  # fmt: skip
    apps = {APP: ("交易核心", ("1.0.0", "2.0.0", "3.0.0"))} | ({"ledger": ("总账", ("1.0.0",))} if with_ledger else {})
    ids = {}
    for app, (alias, versions) in apps.items():
        ids[app] = _insert(
            conn, t.app, tenant_id=tenant, name=app, alias=alias, app_group_id=group, level_id=level, tech_stack_id=stack,
            owner="alice", creator="alice", app_metadata={"team": "trading"}, created_at=CREATED - 86_400,
        )  # fmt: skip
        for at, version in enumerate(versions):
            key = f"packages/{app}-{version}.tar.gz"
            _insert(
                conn, t.package, app_id=ids[app], version=version, region="cn-hangzhou", bucket="lab", key=key, size=1000,
                uploaded_by="alice", uploaded_at=CREATED - 3600 + at,
            )  # fmt: skip
    for workspace in workspaces:
        production = workspace == "prod"
        id_ = _insert(
            conn, t.workspace, tenant_id=tenant, name=workspace, production=production,
            floor_percent=50 if production else 0,
        )  # fmt: skip
        if production:
            _seed_production(conn, id_, ids, hosts)


def _seed_production(conn: sa.Connection, workspace: int, apps: dict[str, int], count: int) -> None:
    region = _insert(conn, t.region, workspace_id=workspace, name="cn-hangzhou")
    balancer = _insert(conn, t.balancer, workspace_id=workspace, region_id=region, balancer_id=BALANCER, name="public")
    _insert(conn, t.jump_host, workspace_id=workspace, name="jump-1", address="192.0.2.1", ssh_user="ops")
    instance = _insert(conn, t.service_instance, workspace_id=workspace, app_id=apps[APP], current_version="1.0.0")
    at = CREATED - 7 * 86_400
    _insert(conn, t.succeeded_version, service_instance_id=instance, version="1.0.0", at=at)
    half = -(-count // 2)
    for number in range(1, count + 1):
        room = "hz-a" if number <= half else "hz-b"
        host = _seed_host(conn, workspace, region, room, number)
        conn.execute(sa.insert(t.service_instance_host).values(service_instance_id=instance, host_id=host))
        _insert(
            conn, t.mount, service_instance_id=instance, balancer_id=balancer, host_id=host,
            vserver_group_id=SERVER_GROUP, port=8080,
        )  # fmt: skip
    if "ledger" in apps:
        ledger = _insert(conn, t.service_instance, workspace_id=workspace, app_id=apps["ledger"], current_version="")
        host = _seed_host(conn, workspace, region, "hz-b", 9999, version="", state="ready")
        conn.execute(sa.insert(t.service_instance_host).values(service_instance_id=ledger, host_id=host))


def _seed_host(
    conn: sa.Connection,
    workspace: int,
    region: int,
    room: str,
    number: int,
    *,
    version: str = "1.0.0",
    state: str = "deployed",
) -> int:
    centre = _found_or_made(conn, t.data_centre, workspace_id=workspace, region_id=region, name=room)
    cell = _found_or_made(conn, t.cell, workspace_id=workspace, data_centre_id=centre, name=f"{room}-{1 + number % 2}")
    return _insert(
        conn, t.host, workspace_id=workspace, cell_id=cell, name=f"hz-{number:02}", address=f"198.51.100.{number % 250}",
        jump_chain=["jump-1"], server_id=f"i-hz{number:02}", os="debian", os_version="12", variables={"app_port": "8080"},
        state=state, version=version,
    )  # fmt: skip


def _found_or_made(conn: sa.Connection, table: sa.Table, **values: object) -> int:
    named = (table.c.workspace_id == values["workspace_id"], table.c.name == values["name"])
    found = conn.execute(sa.select(table.c.id).where(*named)).scalar_one_or_none()
    return int(found) if found is not None else _insert(conn, table, **values)


# ------------------------------------------------------------------------------------------------------------------ orders


def health_problem(host: str) -> Problem:
    return Problem(
        "health_not_passed",
        message("The health check of {app} on {host} did not pass.", app=APP, host=host),
        message("Read the health log and the error log, then retry or roll back."),
        "passed:false\ndb: connection refused",
    )


class OrderStory:
    """Writes an order's rows as the engine would, event by event; every call takes some seconds of the order's own time."""

    def __init__(self, conn: sa.Connection, spec: OrderSpec, *, tenant: str = "acme", by: str = "alice") -> None:
        self.conn, self.by, self.at = conn, by, CREATED
        self.scope = find_scope(conn, tenant, "prod")
        self.id = make_order(conn, self.scope.workspace_id, spec, created_by=by, now=self.at)

    @property
    def progress(self) -> OrderProgress:
        return load_progress(self.conn, self.id)

    def pass_time(self, seconds: float) -> None:
        self.at += seconds

    def state(self, state: OrderState, problem: Problem | None = None) -> None:
        set_order_state(self.conn, self.progress, state, self.at, problem=problem)

    def check_fails(self, *problems: tuple[str, Problem]) -> None:
        self.pass_time(4)
        found = [{"host": host, "problem": problem.to_json()} for host, problem in problems]
        update_order(self.conn, self.id, self.at, problems=found)
        self.state(OrderState.INIT_FAILED, problems[0][1])

    def check_succeeds(self) -> Plan:
        self.pass_time(4)
        spec = self.progress.spec
        facts = load_facts(self.conn, self.scope.workspace_id, kind_of(spec.kind).apps(spec), besides=self.id)
        weights, _ = known_weights(self.conn, self.scope, (mount for app in facts.apps for mount in app.mounts))
        plan = plan_of(spec, replace(facts, weights=weights))
        insert_plan(self.conn, self.id, plan, self.at)
        insert_weights(self.conn, self.id, plan, self.at)
        set_node_state(self.conn, self.progress, plan, "initialise", NodeState.SUCCEEDED, self.at)
        self.state(OrderState.READY)
        return plan

    def start(self) -> None:
        self.pass_time(10)
        update_order(self.conn, self.id, self.at, started_at=self.at)
        self.state(OrderState.RUNNING)

    def node(self, key: str, state: NodeState, by: str = "") -> None:
        progress = self.progress
        assert progress.current_plan is not None
        set_node_state(self.conn, progress, progress.current_plan, key, state, self.at, by=by)

    def run_group(self, key: str) -> None:
        """The whole group, from its start to its end."""
        self.begin_group(key)
        for host in self._plan.node(key).hosts:
            self.run_host(host)
        self.node(key, NodeState.SUCCEEDED)

    def begin_group(self, key: str) -> None:
        self.pass_time(1)
        self.node(key, NodeState.RUNNING)

    def wait_at(self, gate: str) -> None:
        self.node(gate, NodeState.WAITING)
        self.state(OrderState.WAITING)

    def confirm(self, gate: str, by: str = "bob") -> None:
        self.pass_time(30)
        self.node(gate, NodeState.SUCCEEDED, by=by)
        self.state(OrderState.RUNNING)

    def run_host(self, host: str, *, upto: str | None = None, fails: Problem | None = None) -> None:
        """Through its steps: all of them, or until `upto` runs, or until `upto` fails with `fails`."""
        began, run, plan = self.at, self._run(host), plan_for(self._plan, host)
        start_run(self.conn, self.id, run, [step.key for step in plan.steps], self.at)
        set_host(self.conn, self.scope.workspace_id, host, state="deploying")
        for position, name in enumerate(step.key for step in plan.steps):
            step = StepProgress(name, position, StepState.PENDING)
            self._step(host, step, StepState.RUNNING)
            if name == upto and fails is None:
                self.at = began + 1
                return
            self.pass_time(STEP_S)
            if name == upto:
                self._step(host, step, StepState.FAILED, fails)
                self._end(host, RunState.FAILED, fails, failed_at=name)
                return
            self._step(host, step, self._outcome(name))
            self._effect(host, name)
        self._end(host, RunState.SUCCEEDED)

    def _outcome(self, name: str) -> StepState:
        gray = name == step_names.RESTORE_TRAFFIC and traffic_of(self.progress.spec) is TrafficMode.GRAY
        return StepState.SKIPPED if gray and self.progress.direction is Direction.FORWARD else StepState.SUCCEEDED

    def _step(self, host: str, step: StepProgress, state: StepState, problem: Problem | None = None) -> None:
        run = self._run(host)
        set_step(self.conn, self.id, run, step, state, self.at, epoch=1, problem=problem)
        if step.key == step_names.DEPLOY and state is StepState.RUNNING:
            touch_run(self.conn, self.id, run)

    def _run(self, host: str) -> RunProgress:
        return run_of(self.progress, host, self.progress.direction)

    def _effect(self, host: str, name: str) -> None:
        plan = plan_for(self._plan, host)
        if name == step_names.CUT_TRAFFIC:
            self.set_weight(host, 0, owned=True)
        elif name == step_names.DEPLOY:
            set_host(self.conn, self.scope.workspace_id, host, version=plan.after.version)
        elif name == step_names.RESTORE_TRAFFIC and plan.restore_to:
            self.set_weight(host, plan.restore_to[0].weight, owned=False)

    def _end(self, host: str, state: RunState, problem: Problem | None = None, *, failed_at: str = "") -> None:
        end_run(self.conn, self.id, self._run(host), state, self.at, problem, failed_at=failed_at)
        deployed = "deployed" if state is RunState.SUCCEEDED else "deploy_failed"
        set_host(self.conn, self.scope.workspace_id, host, state=deployed)

    def set_weight(self, host: str, weight: int, *, owned: bool) -> None:
        line = next(line for line in self.progress.weights if line.mount.host == host)
        values = {"asked": weight, "confirmed": weight, "confirmed_at": self.at, "owned": owned}
        key = (t.weight.c.order_id == self.id, t.weight.c.host == host)
        conn = self.conn
        conn.execute(sa.update(t.weight).where(*key).values(**values, verified=str(Verified.YES)))
        group = str(line.mount.server_group)
        data = {"host": host, "server_group": group, "before": line.believed, "asked": weight, "read_back": weight}
        add_event(conn, self.id, self.at, "weight", {**data, "verified": str(Verified.YES)})

    def turn_back(self, state: OrderState, reason: str) -> Plan:
        """A rollback or a cancel: its plan stands, nothing of it has run yet."""
        self.pass_time(20)
        update_order(self.conn, self.id, self.at, reason=reason)
        self.state(state)
        plan = plan_cancel(self.progress) if state is OrderState.CANCELLING else plan_rollback(self.progress)
        turn_back(self.conn, self.progress, self.at)
        insert_plan(self.conn, self.id, plan, self.at)
        update_order(self.conn, self.id, self.at, direction=str(Direction.BACK))
        return plan

    def succeed(self) -> None:
        self.node("finish", NodeState.SUCCEEDED)
        self.state(OrderState.SUCCEEDED)
        for app in self.progress.apps:
            record_success(self.conn, self.id, app.service_instance_id, app.to_version, self.at)

    @property
    def _plan(self) -> Plan:
        plan = self.progress.current_plan
        assert plan is not None
        return plan


def _initialising(story: OrderStory) -> None:
    story.pass_time(1)


def _init_failed(story: OrderStory) -> None:
    unreachable = Problem(
        "host_unreachable",
        message("{host} can't be reached: connection refused at hop {hop}.", host="hz-03", hop="jump-1"),
        message("Check the host and its jump chain, then initialise again."),
        "ssh: connect to host 198.51.100.3 port 22: Connection refused",
    )
    missing = Problem(
        "package_missing",
        message("{key} is not in bucket {bucket}.", key="packages/trade-core-2.0.0.tar.gz", bucket="lab"),
        message("Upload it again, then initialise again."),
    )
    story.check_fails(("", missing), ("hz-03", unreachable))


def _ready(story: OrderStory) -> None:
    story.check_succeeds()


def _beta_running(story: OrderStory) -> None:
    plan = story.check_succeeds()
    story.start()
    story.begin_group("beta")
    first, second = plan.node("beta").hosts
    story.run_host(first)
    story.run_host(second, upto=step_names.DEPLOY)


def _waiting_at_beta_gate(story: OrderStory) -> None:
    story.check_succeeds()
    story.start()
    story.run_group("beta")
    story.wait_at("beta-confirm")


def _group_running(story: OrderStory) -> None:
    _waiting_at_beta_gate(story)
    story.confirm("beta-confirm")
    story.begin_group("group-1")
    first, second, third = story.progress.plan.node("group-1").hosts  # type: ignore[union-attr]
    story.run_host(first)
    story.run_host(second, upto=step_names.DOWNLOAD_PACKAGE)
    story.run_host(third, upto=step_names.CHECK_HEALTH)


def _balancer_away(story: OrderStory) -> None:
    """One host's weight should come back, another one's job runs."""
    _waiting_at_beta_gate(story)
    story.confirm("beta-confirm")
    story.begin_group("group-1")
    first, second, _third = story.progress.plan.node("group-1").hosts  # type: ignore[union-attr]
    story.run_host(first, upto=step_names.RESTORE_TRAFFIC)
    story.run_host(second, upto=step_names.CHECK_HEALTH)
    group = story.progress.weights[0].mount.server_group
    outage = Outage(group, story.at - 20, story.at + 100, "503 ServiceUnavailable")
    note_outage(story.conn, story.id, outage, story.at)


def _halted(story: OrderStory) -> None:
    _waiting_at_beta_gate(story)
    story.confirm("beta-confirm")
    story.begin_group("group-1")
    hosts = story.progress.plan.node("group-1").hosts  # type: ignore[union-attr]
    for host in hosts[:-1]:
        story.run_host(host)
    problem = health_problem(hosts[-1])
    story.run_host(hosts[-1], upto=step_names.CHECK_HEALTH, fails=problem)
    story.node("group-1", NodeState.HALTED)
    story.state(OrderState.HALTED, problem)


def _halted_late(story: OrderStory) -> None:
    """A host of the last group but one fails; every group before it is over."""
    _waiting_at_beta_gate(story)
    story.confirm("beta-confirm")
    plan = story.progress.plan
    assert plan is not None
    groups = [node for node in plan.nodes if node.key.startswith("group-")]
    for group in groups[:-2]:
        story.run_group(group.key)
    late = groups[-2]
    story.begin_group(late.key)
    *well, sick = late.hosts
    for host in well:
        story.run_host(host)
    problem = health_problem(sick)
    story.run_host(sick, upto=step_names.CHECK_HEALTH, fails=problem)
    story.node(late.key, NodeState.HALTED)
    story.state(OrderState.HALTED, problem)


def _retrying(story: OrderStory) -> None:
    """The host that failed is tried again from the start, and deploys."""
    _halted(story)
    failed = next(run for run in story.progress.runs.values() if run.state is RunState.FAILED)
    story.pass_time(30)
    retry_run(story.conn, story.id, failed, story.at, from_start=True)
    story.node("group-1", NodeState.RUNNING)
    story.state(OrderState.RUNNING)
    story.run_host(failed.host, upto=step_names.DEPLOY)


def _paused(story: OrderStory) -> None:
    _waiting_at_beta_gate(story)
    story.pass_time(5)
    update_order(story.conn, story.id, story.at, paused=True)
    story.state(OrderState.HALTED)


def _rolling_back(story: OrderStory) -> None:
    _halted(story)
    plan = story.turn_back(OrderState.ROLLING_BACK, "health does not pass on 2.0.0")
    first = next(node for node in plan.nodes if node.kind.runs_hosts)
    story.begin_group(first.key)
    story.run_host(first.hosts[0], upto=step_names.DEPLOY)


def _rolled_back(story: OrderStory) -> None:
    _halted(story)
    plan = story.turn_back(OrderState.ROLLING_BACK, "health does not pass on 2.0.0")
    for node in plan.nodes:
        if node.kind.runs_hosts:
            story.run_group(node.key)
    story.node("back-finish", NodeState.SUCCEEDED)
    story.state(OrderState.ROLLED_BACK)


def _cancelled(story: OrderStory) -> None:
    _waiting_at_beta_gate(story)
    story.turn_back(OrderState.CANCELLING, "the wrong version")
    story.node("back-finish", NodeState.SUCCEEDED)
    story.state(OrderState.CANCELLED)


def _left_behind(story: OrderStory) -> None:
    """Cancelled, and one host never got well: it keeps weight 0."""
    _halted(story)
    plan = story.turn_back(OrderState.CANCELLING, "the wrong version")
    story.run_host(HOSTS[2], upto=step_names.CHECK_HEALTH, fails=health_problem(HOSTS[2]))
    for node in plan.nodes:
        story.node(node.key, NodeState.SUCCEEDED)
    story.state(OrderState.CANCELLED)
    let_go_of_weights(story.conn, story.id, decided=())


def _succeeded(story: OrderStory) -> None:
    _waiting_at_beta_gate(story)
    story.confirm("beta-confirm")
    story.run_group("group-1")
    story.run_group("group-2")
    story.succeed()


SITUATIONS: dict[str, Callable[[OrderStory], None]] = {
    "initialising": _initialising,
    "init_failed": _init_failed,
    "ready": _ready,
    "beta_running": _beta_running,
    "waiting_at_beta_gate": _waiting_at_beta_gate,
    "waiting_at_gray_gate": _waiting_at_beta_gate,  # in gray mode: no host of Beta has its weight back
    "group_running": _group_running,
    "balancer_away": _balancer_away,
    "halted": _halted,
    "halted_late": _halted_late,
    "agent_down": agent_down,
    "retrying": _retrying,
    "paused": _paused,
    "rolling_back": _rolling_back,
    "rolled_back": _rolled_back,
    "cancelled": _cancelled,
    "left_behind": _left_behind,
    "succeeded": _succeeded,
}


def release_spec(**values: Any) -> OrderSpec:
    """The release of trade-core 2.0.0 with Beta on hz-01 and hz-05 and two groups of three."""
    wanted = {"app": APP, "version": VERSION, "title": "release 2.0.0", "beta": True, "beta_hosts": ("hz-01", "hz-05")}
    return make_spec(**{**wanted, **values})


def ran_before_in(plan: Plan, host: str, version: str) -> Plan:
    """The plan as it would be if the host had run `version`."""

    def changed(run: HostPlan) -> HostPlan:
        return replace(run, before=replace(run.before, version=version)) if run.host == host else run

    return replace(plan, nodes=tuple(replace(node, runs=tuple(map(changed, node.runs))) for node in plan.nodes))


def ran_before(store: Store, order_id: int, host: str, version: str, *, succeeded: Iterable[str]) -> None:
    """The host ran `version` when the order was planned, and these versions succeeded here since, the last one last."""
    with store.writing() as conn:
        progress = load_progress(conn, order_id)
        assert progress.plan is not None
        plan = ran_before_in(progress.plan, host, version)
        update_order(conn, order_id, NOW, plan=encode_plan(plan))
        app_id = conn.execute(sa.select(t.package.c.app_id).where(t.package.c.version == VERSION)).scalars().first()
        for at, each in enumerate(succeeded):
            known = sa.select(t.package.c.id).where(t.package.c.app_id == app_id, t.package.c.version == each)
            if conn.execute(known).first() is None:
                conn.execute(sa.insert(t.package).values(app_id=app_id, version=each, bucket="lab", key=each))
            record_success(conn, order_id, progress.apps[0].service_instance_id, each, NOW + at)


def seed_order(store: Store, situation: str, spec: OrderSpec | None = None) -> int:
    """An order of acme / prod / trade-core in one of SITUATIONS (`seed_fleet` comes first); returns its id."""
    traffic = TrafficMode.GRAY if situation == "waiting_at_gray_gate" else TrafficMode.SNAPSHOT
    with store.writing() as conn:
        story = OrderStory(conn, spec or release_spec(traffic=traffic))
        SITUATIONS[situation](story)
        if story.progress.kind == "release":
            update_order(conn, story.id, story.at, epoch=1, engine_id="engine-1")
        return story.id
