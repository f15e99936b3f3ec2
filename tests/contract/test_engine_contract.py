"""The engine over a real store (SQLite and PostgreSQL) and a simulated world: whole orders, from command rows to their end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from engine.domain import step_names
from engine.domain.archive import Member, MemberKind
from engine.domain.message import message
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress
from engine.domain.states import Act, Direction, NodeState, OrderState, RunState, TrafficMode
from engine.kinds.release import STEPS, release_spec
from engine.reading.events import read_events
from engine.reading.next_line import next_line
from engine.run.engine import Engine
from engine.run.reconcile import OrderReconciler
from engine.store import tables as t
from engine.store.progress import load_progress
from engine.store.store import Store
from tests.support.fleet_rows import GROUP, Fleet, insert_fleet
from tests.support.orders import make_order, run_of
from tests.support.world import SimBalancer, SimClock, SimCloud, SimPackages, SimRemote

REMOTE_STEPS = [step.key for step in STEPS if not step.on_balancer]
DEADLINE_S = 20


class Scene:
    """One store, one fleet, one world; engines come and go."""

    def __init__(self, folder: Path, store: Store, fleet: Fleet) -> None:
        self.folder, self.store, self.fleet = folder, store, fleet
        self.clock, self.remote, self.objects = SimClock(), SimRemote(), SimPackages()
        self.balancer = SimBalancer({GROUP: dict(fleet.weights)})
        self.order_id = 0
        self.expiring: list[tuple[float, Problem]] = []

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[Engine]:
        engine = Engine(
            self.store, remote=self.remote, cloud=SimCloud(self.balancer, self.objects), clock=self.clock,
            log_dir=self.folder / "logs", idle_s=None,
            expiring=lambda by: [problem for at, problem in self.expiring if at < by],
        )  # fmt: skip
        task = asyncio.create_task(engine.run())
        try:
            yield engine
        finally:
            engine.stop()
            await asyncio.wait_for(task, DEADLINE_S)

    async def crash(self, engine_task: asyncio.Task[None]) -> None:
        engine_task.cancel()
        await asyncio.gather(engine_task, return_exceptions=True)

    def create(self, **spec: Any) -> int:
        with self.store.writing() as conn:
            self.order_id = make_order(conn, self.fleet.workspace_id, release_spec("shop", "2.0.0", **spec))
        return self.order_id

    def progress(self) -> OrderProgress:
        with self.store.reading() as conn:
            return load_progress(conn, self.order_id)

    def weights(self) -> set[int]:
        return set(self.balancer.weights[GROUP].values())

    def lowest(self) -> list[int]:
        """Hosts in service after each call to the balancer, from the calls it got."""
        now = dict(self.fleet.weights)
        counts = []
        for _, lines in self.balancer.calls:
            now |= {(line.mount.server_id, line.mount.port): line.weight for line in lines}
            counts.append(sum(weight > 0 for weight in now.values()))
        return counts

    def versions(self) -> dict[str, str]:
        with self.store.reading() as conn:
            return {row.name: row.version for row in conn.execute(sa.select(t.host))}

    async def until(self, holds: Callable[[OrderProgress], bool]) -> OrderProgress:
        async with asyncio.timeout(DEADLINE_S):
            while not holds(progress := self.progress()):
                await asyncio.sleep(0.03)
        return progress

    async def until_state(self, state: OrderState) -> OrderProgress:
        try:
            return await self.until(lambda progress: progress.state is state)
        except TimeoutError:
            now = self.progress()
            raise AssertionError(f"order is {now.state} ({now.problem}, {now.problems}), not {state}") from None

    async def act(self, act: Act, reason: str = "", **params: Any) -> tuple[str, dict[str, Any] | None]:
        with self.store.writing() as conn:
            command = conn.execute(
                sa.insert(t.command)
                .values(
                    order_id=self.order_id, act=str(act), params=params, operator="alice", reason=reason, sent_at=1.0
                )
                .returning(t.command.c.id)
            ).scalar_one()
        async with asyncio.timeout(DEADLINE_S):
            while True:
                with self.store.reading() as conn:
                    row = conn.execute(sa.select(t.command).where(t.command.c.id == command)).one()
                if row.state in ("accepted", "refused"):
                    return row.state, row.problem
                await asyncio.sleep(0.03)

    async def accepted(self, act: Act, reason: str = "", **params: Any) -> None:
        state, problem = await self.act(act, reason, **params)
        assert (state, problem) == ("accepted", None)

    async def refused(self, act: Act, reason: str = "", **params: Any) -> str:
        state, problem = await self.act(act, reason, **params)
        assert state == "refused"
        assert problem is not None
        return str(problem["code"])

    async def start(self, **spec: Any) -> None:
        self.create(**spec)
        await self.until_state(OrderState.READY)
        await self.accepted(Act.START)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/cockpit.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def scene(tmp_path: Path, url: str) -> Any:
    store = Store.open(url)
    with store.writing() as conn:
        fleet = insert_fleet(conn)
    yield Scene(tmp_path, store, fleet)
    store.close()


async def test_release_puts_the_version_on_every_host_and_gives_the_traffic_back(scene: Scene) -> None:
    async with scene.engine():
        await scene.start()
        progress = await scene.until_state(OrderState.SUCCEEDED)
    assert set(scene.versions().values()) == {"2.0.0"}
    assert scene.weights() == {100}
    assert not any(line.owned for line in progress.weights)
    assert set(scene.remote.effects.values()) == {1}
    assert len(scene.remote.effects) == len(REMOTE_STEPS) * 8
    log = (scene.folder / "logs" / str(scene.order_id) / "hz-a-01.forward-group-1-1.log").read_text()
    assert "deploy on hz-a-01" in log


async def test_hosts_of_one_group_leave_the_balancer_in_one_call(scene: Scene) -> None:
    async with scene.engine():
        await scene.start()
        await scene.until_state(OrderState.SUCCEEDED)
    cuts = [servers for _, servers in scene.balancer.calls if servers[0].weight == 0]
    assert [len(servers) for servers in cuts] == [4, 4]


async def test_second_group_never_starts_before_beta_is_confirmed(scene: Scene) -> None:
    async with scene.engine():
        await scene.start(beta=True, beta_hosts=("hz-a-01", "hz-b-01"))
        progress = await scene.until_state(OrderState.WAITING)
        assert {host for host, _, _ in scene.remote.effects} == {"hz-a-01", "hz-b-01"}
        assert progress.nodes[Direction.FORWARD, "group-1"].state is NodeState.PENDING
        await scene.accepted(Act.CONFIRM)
        progress = await scene.until_state(OrderState.SUCCEEDED)
    assert progress.nodes[Direction.FORWARD, "beta-confirm"].confirmed_by == "alice"


async def test_gray_gives_weights_by_hand_and_refuses_to_go_on_without_traffic(scene: Scene) -> None:
    async with scene.engine():
        await scene.start(traffic=TrafficMode.GRAY, groups=2)
        await scene.until_state(OrderState.WAITING)
        hosts = scene.progress().plan.node("group-1").hosts  # type: ignore[union-attr]
        assert await scene.refused(Act.CONFIRM)
        for weight in (10, 50, 100):
            await scene.accepted(Act.SET_WEIGHTS, weights=dict.fromkeys(hosts, weight))
            assert {scene.balancer.weights[GROUP][f"i-{host}", 80] for host in hosts} == {weight}
        await scene.accepted(Act.CONFIRM)
        await scene.until(lambda p: p.nodes[Direction.FORWARD, "group-2-confirm"].state is NodeState.WAITING)
        others = scene.progress().plan.node("group-2").hosts  # type: ignore[union-attr]
        await scene.accepted(Act.SET_WEIGHTS, weights=dict.fromkeys(others, 100))
        await scene.accepted(Act.CONFIRM)
        progress = await scene.until_state(OrderState.SUCCEEDED)
    assert scene.weights() == {100}
    assert not any(line.owned for line in progress.weights)


async def test_a_host_that_is_not_healthy_halts_the_order_and_keeps_weight_zero(scene: Scene) -> None:
    scene.remote.failing = {("hz-a-02", step_names.CHECK_HEALTH)}
    async with scene.engine():
        await scene.start()
        progress = await scene.until_state(OrderState.HALTED)
        run = run_of(progress, "hz-a-02")
        assert run.state is RunState.FAILED
        assert run.problem is not None
        assert scene.balancer.weights[GROUP]["i-hz-a-02", 80] == 0
        assert not any(host.startswith("hz-b") for host, _, _ in scene.remote.effects)
        scene.remote.failing = set()
        await scene.accepted(Act.RETRY)
        await scene.until_state(OrderState.SUCCEEDED)
    assert scene.weights() == {100}
    again = [step for host, job, step in scene.remote.effects if (host, job) == ("hz-a-02", "forward-group-1-2")]
    assert again == [step_names.CHECK_HEALTH]


async def test_rollback_returns_the_hosts_the_order_touched_and_no_others(scene: Scene) -> None:
    scene.remote.failing = {("hz-a-02", step_names.CHECK_HEALTH)}
    async with scene.engine():
        await scene.start()
        await scene.until_state(OrderState.HALTED)
        scene.remote.failing = set()
        await scene.accepted(Act.ROLL_BACK, reason="errors on checkout")
        progress = await scene.until_state(OrderState.ROLLED_BACK)
    assert set(scene.versions().values()) == {"1.0.0"}
    assert scene.weights() == {100}
    assert not any(line.owned for line in progress.weights)
    assert not any(host.startswith("hz-b") for host, _, _ in scene.remote.effects)
    assert progress.reason == "errors on checkout"


async def test_rollback_stops_what_is_still_running(scene: Scene) -> None:
    scene.remote.hanging = {("hz-a-01", step_names.DEPLOY)}
    async with scene.engine():
        await scene.start()
        await scene.until(lambda p: scene.remote.effects["hz-a-01", "forward-group-1-1", step_names.DEPLOY] == 1)
        await scene.accepted(Act.ROLL_BACK, reason="hangs")
        scene.remote.hanging = set()
        await scene.until_state(OrderState.ROLLED_BACK)
    assert ("hz-a-01", "forward-group-1-1") in scene.remote.stopped
    assert set(scene.versions().values()) == {"1.0.0"}
    assert scene.weights() == {100}


async def test_cancel_gives_the_traffic_back_and_changes_no_version(scene: Scene) -> None:
    scene.remote.hanging = {(host, step_names.INSTALL_SOFTWARE) for host in scene.fleet.hosts}
    async with scene.engine():
        await scene.start()
        await scene.until(lambda p: sum(scene.remote.effects.values()) >= 12)
        await scene.accepted(Act.CANCEL, reason="wrong window")
        scene.remote.hanging = set()
        await scene.until_state(OrderState.CANCELLED)
    assert scene.weights() == {100}
    assert set(scene.versions().values()) == {"1.0.0"}


async def test_pause_takes_effect_between_steps_and_resume_goes_on_where_the_host_stood(scene: Scene) -> None:
    scene.remote.hanging = {("hz-a-01", step_names.DEPLOY)}
    async with scene.engine():
        await scene.start(parallelism=1)
        await scene.until(lambda p: scene.remote.effects["hz-a-01", "forward-group-1-1", step_names.DEPLOY] == 1)
        await scene.accepted(Act.PAUSE)
        scene.remote.hanging = set()
        progress = await scene.until_state(OrderState.HALTED)
        runs = progress.runs.values()
        assert [run.host for run in runs if run.held] == ["hz-a-01"]
        assert {run.state for run in runs} == {RunState.PENDING}
        assert scene.balancer.weights[GROUP]["i-hz-a-01", 80] == 0
        assert "hz-a-01 stand" in str(next_line(progress, engine_alive=True, changed_at=1.0))
        await scene.accepted(Act.RESUME)
        progress = await scene.until_state(OrderState.SUCCEEDED)
    assert set(scene.remote.effects.values()) == {1}
    assert {run.attempt for run in progress.runs.values()} == {1}
    assert scene.weights() == {100}


async def test_an_order_cancelled_while_it_is_paused_gives_back_what_its_held_hosts_lost(scene: Scene) -> None:
    scene.remote.hanging = {(host, step_names.INSTALL_SOFTWARE) for host in scene.fleet.hosts}
    async with scene.engine():
        await scene.start()
        await scene.until(
            lambda p: sum(n for (_, _, s), n in scene.remote.effects.items() if s == step_names.INSTALL_SOFTWARE) == 4
        )
        await scene.accepted(Act.PAUSE)
        scene.remote.hanging = set()
        progress = await scene.until_state(OrderState.HALTED)
        assert sum(run.held for run in progress.runs.values()) == 4
        await scene.accepted(Act.CANCEL, reason="wrong window")
        progress = await scene.until_state(OrderState.CANCELLED)
    assert scene.weights() == {100}
    assert not any(line.owned for line in progress.weights)


async def test_a_paused_order_stays_paused_when_its_engine_is_lost(scene: Scene) -> None:
    scene.remote.hanging = {("hz-a-01", step_names.DEPLOY)}
    async with scene.engine():
        await scene.start(parallelism=1)
        await scene.until(lambda p: scene.remote.effects["hz-a-01", "forward-group-1-1", step_names.DEPLOY] == 1)
        await scene.accepted(Act.PAUSE)
    scene.remote.hanging = set()
    async with scene.engine():
        progress = await scene.until_state(OrderState.HALTED)
        assert [run.host for run in progress.runs.values() if run.held] == ["hz-a-01"]
        await scene.accepted(Act.RESUME)
        await scene.until_state(OrderState.SUCCEEDED)
    assert set(scene.remote.effects.values()) == {1}


async def test_initialisation_names_every_problem(scene: Scene) -> None:
    scene.remote.unreachable = {"hz-a-01", "hz-b-04"}
    scene.objects.etag = "CD" * 16
    async with scene.engine():
        scene.create()
        progress = await scene.until_state(OrderState.INIT_FAILED)
        found = {(host, problem.code) for host, problem in progress.problems}
        assert {("hz-a-01", "host_unreachable"), ("hz-b-04", "host_unreachable"), ("", "package_changed")} <= found
        scene.remote.unreachable = set()
        scene.objects.etag = "AB" * 16
        await scene.accepted(Act.INITIALISE)
        await scene.until_state(OrderState.READY)
    assert scene.balancer.calls == []


async def test_a_check_that_breaks_ends_with_a_sentence_and_can_be_made_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in silence, over and over: each host on which an adapter broke is named, and so is the log."""
    run = scene.remote.run

    async def breaking(host: Any, script: str, **more: Any) -> Any:
        if host.name == "hz-a-01":
            raise IsADirectoryError(21, "Is a directory", "/home/op/.ssh/known_hosts")
        return await run(host, script, **more)

    monkeypatch.setattr(scene.remote, "run", breaking)
    async with scene.engine():
        scene.create()
        progress = await scene.until_state(OrderState.INIT_FAILED)
        [(host, problem)] = progress.problems
        assert (host, problem.code) == ("hz-a-01", "remote_unforeseen")
        assert "/home/op/.ssh/known_hosts" in str(problem.remedy)
        assert "the engine's log" in str(problem.remedy)
    assert scene.balancer.calls == []


async def test_a_check_that_nobody_foresaw_to_break_ends_with_a_sentence(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any, **__: Any) -> Any:
        raise KeyError("a bug")

    monkeypatch.setattr(f"{OrderReconciler.__module__}.check_order", broken)
    async with scene.engine():
        scene.create()
        progress = await scene.until_state(OrderState.INIT_FAILED)
        [(host, problem)] = progress.problems
        assert (host, problem.code) == ("", "check_broke")
        assert "KeyError" in str(problem.what)
        assert "the engine's log" in str(problem.remedy)


async def test_initialising_again_logs_in_anew_so_that_a_repaired_account_is_seen(scene: Scene) -> None:
    scene.remote.locked.add("hz-a-01")
    async with scene.engine():
        scene.create()
        progress = await scene.until_state(OrderState.INIT_FAILED)
        assert [(host, problem.code) for host, problem in progress.problems] == [("hz-a-01", "no_shell")]
        scene.remote.locked.clear()
        await scene.accepted(Act.INITIALISE)
        await scene.until_state(OrderState.READY)


async def test_a_retry_logs_in_anew_so_that_a_repaired_account_is_seen(scene: Scene) -> None:
    async with scene.engine():
        scene.create()
        await scene.until_state(OrderState.READY)
        scene.remote.logins["hz-a-01"] = True  # locked behind the check; meanwhile it is repaired
        await scene.accepted(Act.START)
        progress = await scene.until_state(OrderState.HALTED)
        assert [run.host for run in progress.runs.values() if run.state is RunState.FAILED] == ["hz-a-01"]
        await scene.accepted(Act.RETRY, hosts=["hz-a-01"])
        await scene.until_state(OrderState.SUCCEEDED)


async def test_the_way_back_logs_in_anew_so_that_a_repaired_account_is_seen(scene: Scene) -> None:
    async with scene.engine():
        await scene.start(beta=True, beta_hosts=("hz-a-01", "hz-b-01"))
        await scene.until_state(OrderState.WAITING)
        scene.remote.logins["hz-a-01"] = True
        await scene.accepted(Act.ROLL_BACK, "bad", version="1.0.0")
        await scene.until_state(OrderState.ROLLED_BACK)
    assert set(scene.versions().values()) == {"1.0.0"}


async def test_giving_back_what_was_left_logs_in_anew_so_that_a_repaired_account_is_seen(scene: Scene) -> None:
    scene.remote.failing = {("hz-a-01", step_names.CHECK_HEALTH)}
    async with scene.engine():
        await scene.start()
        await scene.until_state(OrderState.HALTED)
        await scene.accepted(Act.CANCEL, "enough")
        await scene.until_state(OrderState.CANCELLED)
        assert scene.balancer.weights[GROUP]["i-hz-a-01", 80] == 0
        scene.remote.failing = set()
        scene.remote.logins["hz-a-01"] = True  # locked then; it is repaired by now
        await scene.accepted(Act.GIVE_BACK, "repaired", hosts=["hz-a-01"], force=False)
    assert scene.weights() == {100}
    assert scene.remote.logins["hz-a-01"] is False


async def test_what_is_wrong_within_an_archive_is_found_by_the_check_and_not_on_a_host(scene: Scene) -> None:
    whole = scene.objects.archive
    scene.objects.archive = (Member("bin/install.sh", MemberKind.FILE), Member("passwords", MemberKind.LINK, "/etc"))
    async with scene.engine():
        scene.create()
        progress = await scene.until_state(OrderState.INIT_FAILED)
        said = {problem.code: str(problem.what) for _, problem in progress.problems}
        assert set(said) == {"archive_unsafe", "script_missing"}
        assert "passwords -> /etc" in said["archive_unsafe"]
        scene.objects.archive = whole
        await scene.accepted(Act.INITIALISE)
        await scene.until_state(OrderState.READY)
    assert scene.balancer.calls == []


async def test_start_is_refused_when_a_weight_changed_since_the_plan_was_made(scene: Scene) -> None:
    async with scene.engine():
        scene.create()
        await scene.until_state(OrderState.READY)
        scene.balancer.weights[GROUP]["i-hz-a-01", 80] = 40
        assert await scene.refused(Act.START) == "fleet_changed"


async def test_a_plan_that_breaks_the_floor_needs_a_reason(scene: Scene) -> None:
    async with scene.engine():
        scene.create(groups=1)
        progress = await scene.until_state(OrderState.INIT_FAILED)
        assert [problem.code for _, problem in progress.problems] == ["floor_broken"]
        with scene.store.writing() as conn:
            conn.execute(sa.update(t.order).values(state="cancelled"))
        await scene.start(groups=1, override_reason="night window, nobody trades")
        await scene.until_state(OrderState.SUCCEEDED)


async def test_a_successor_goes_on_where_an_engine_was_lost(scene: Scene) -> None:
    scene.remote.hanging = {(host, step_names.DEPLOY) for host in scene.fleet.hosts}
    async with scene.engine():
        await scene.start()
        await scene.until(
            lambda p: sum(n for (_, _, s), n in scene.remote.effects.items() if s == step_names.DEPLOY) == 4
        )
        epoch = scene.progress().epoch
    scene.remote.hanging = set()
    async with scene.engine():
        progress = await scene.until_state(OrderState.SUCCEEDED)
    assert progress.epoch == epoch + 1
    assert set(scene.remote.effects.values()) == {1}
    assert scene.weights() == {100}


async def test_an_app_that_never_succeeded_here_cannot_be_rolled_back(tmp_path: Path, url: str) -> None:
    store = Store.open(url)
    with store.writing() as conn:
        fleet = insert_fleet(conn, running="")
    scene = Scene(tmp_path, store, fleet)
    scene.remote.failing = {("hz-a-01", step_names.CHECK_HEALTH)}
    async with scene.engine():
        await scene.start()
        await scene.until_state(OrderState.HALTED)
        assert await scene.refused(Act.ROLL_BACK, reason="broken") == "rollback_never_succeeded"
    store.close()


async def test_a_failed_host_within_the_budget_never_takes_the_service_below_its_floor(scene: Scene) -> None:
    scene.remote.failing = {("hz-a-02", step_names.CHECK_HEALTH)}
    async with scene.engine():
        await scene.start(groups=2, max_failures=1)
        progress = await scene.until(lambda p: p.state is OrderState.HALTED)
        assert min(scene.lowest()) >= 4
        scene.remote.failing = set()
        assert progress.problem is not None
        await scene.accepted(Act.RETRY)
        await scene.until_state(OrderState.SUCCEEDED)
    assert min(scene.lowest()) >= 4
    assert scene.weights() == {100}


async def test_a_certificate_that_ends_before_the_order_may_is_a_warning_and_no_obstacle(scene: Scene) -> None:
    soon = Problem("certificate_expires", message("it ends soon"), message("renew it"))
    late = Problem("certificate_expires", message("it ends late"), message("renew it"))
    scene.expiring = [(scene.clock.now() + 1800, soon), (scene.clock.now() + 365 * 86_400, late)]
    async with scene.engine():
        scene.create()
        progress = await scene.until_state(OrderState.READY)
        assert [problem for _, problem in progress.problems] == [soon]
        await scene.accepted(Act.START)
        await scene.until_state(OrderState.SUCCEEDED)
    with scene.store.reading() as conn:
        events = read_events(conn, order_id=scene.order_id, workspace_id=None, after=0, limit=500)
    assert [str(event.sentence) for event in events if event.kind == "warning"] == ["warning: it ends soon"]
