"""Each checker catches an engine that is broken on purpose where that checker looks, within a few seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

import engine.kinds.release
import engine.plan.back
import engine.plan.in_service
import engine.plan.next
import engine.plan.outside
import engine.run.kept_steps
import engine.run.reconcile
from engine.domain import step_names
from engine.domain.fleet import Facts
from engine.domain.orders import Plan
from engine.domain.progress import WeightLine
from engine.domain.states import NodeKind, NodeState
from engine.plan.in_service import Traffic
from engine.run.engine import Engine
from engine.run.reconcile import OrderReconciler
from engine.run.remote_job import RemoteJob
from engine.steps.registry import steps
from engine.store import tables as t
from engine.store.progress import load_progress
from tests.simulation.checkers import BACK, END, FLOOR, GATE, HEALTH, KEPT, OWNED, TRUTH, TWICE, TWO
from tests.simulation.run import simulate
from tests.simulation.scenario import Scenario, scenario

WITHIN_SEEDS = 150
pytestmark = pytest.mark.timeout(300)
Break = Callable[[pytest.MonkeyPatch], None]


def a_cancel_gives_nothing_back(patch: pytest.MonkeyPatch) -> None:
    real = engine.run.reconcile.plan_cancel

    def nothing(progress: Any) -> Any:
        plan = real(progress)
        return replace(plan, nodes=(replace(plan.nodes[-1], needs=()),))

    patch.setattr(engine.run.reconcile, "plan_cancel", nothing)


def a_way_back_checks_no_health(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(engine.kinds.release, "RESTORE", steps(step_names.RESTORE_TRAFFIC))


def hosts_start_whatever_the_floor(patch: pytest.MonkeyPatch) -> None:
    """All that keeps it, from the plan to the ledger."""
    patch.setattr(Plan, "breaks_floor", False)
    patch.setattr(Traffic, "breaks_floor", False)
    patch.setattr(engine.plan.next, "may_leave", lambda _progress, hosts, besides=(): list(hosts))
    patch.setattr(engine.plan.outside, "_below_floor", lambda _wishes, _lines, _seen: {})


def whatever_has_a_weight_is_in_service(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Facts, "down", frozenset())
    patch.setattr(WeightLine, "serves", property(lambda line: line.believed > 0))
    for module in (engine.plan.outside, engine.plan.in_service, engine.plan.back):
        patch.setattr(module, "answers", lambda _health: True)


def gates_open_by_themselves(patch: pytest.MonkeyPatch) -> None:
    real = engine.plan.next._node_state

    def opened(progress: Any, plan: Any, node: Any) -> NodeState:
        return NodeState.SUCCEEDED if node.kind is NodeKind.GATE else real(progress, plan, node)

    patch.setattr(engine.plan.next, "_node_state", opened)


def a_successor_starts_a_job_of_its_own(patch: pytest.MonkeyPatch) -> None:
    """Told apart by the moment, so that no record of an earlier engine is ever found."""
    real = RemoteJob._job

    def its_own(self: RemoteJob) -> Any:
        job = real(self)
        return replace(job, key=f"{job.key}.{job.epoch}")

    async def from_the_start(self: RemoteJob, job: Any) -> None:
        self._log.offset = 0
        await follow(self, job)

    follow = RemoteJob._follow
    patch.setattr(RemoteJob, "_job", its_own)
    patch.setattr(RemoteJob, "_follow", from_the_start)


def a_successor_leaves_running_hosts_alone(patch: pytest.MonkeyPatch) -> None:
    real = OrderReconciler._hand_out

    async def only_new(self: OrderReconciler, progress: Any, start: Any, *, stop: bool) -> None:
        await real(self, replace(progress, runs={}), start, stop=stop)

    patch.setattr(OrderReconciler, "_hand_out", only_new)


def a_takeover_keeps_the_epoch(patch: pytest.MonkeyPatch) -> None:
    real = Engine._take_over

    def keeping(self: Engine, conn: Any, order_id: int) -> int:
        epoch = real(self, conn, order_id)
        conn.execute(t.order.update().where(t.order.c.id == order_id).values(epoch=1))
        assert load_progress(conn, order_id).epoch == 1
        return min(epoch, 1)

    patch.setattr(Engine, "_take_over", keeping)


def a_step_that_ended_has_succeeded(patch: pytest.MonkeyPatch) -> None:
    real = RemoteJob._step_ended

    async def good(self: RemoteJob, event: Any) -> None:
        await real(self, replace(event, exit_status=0, timed_out=False))

    patch.setattr(RemoteJob, "_step_ended", good)


def a_rollback_goes_forward(patch: pytest.MonkeyPatch) -> None:
    real = engine.run.reconcile.plan_rollback
    patch.setattr(engine.run.reconcile, "plan_rollback", lambda progress, _version=None: real(progress, "3.0.0"))


def a_host_is_not_asked_what_is_still_so(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(engine.run.kept_steps, "_doubt", lambda *_: None)


def what_is_kept_is_done_again(patch: pytest.MonkeyPatch) -> None:
    real = RemoteJob.__init__

    def with_all(self: RemoteJob, attempt: Any, block: Any, log: Any, stopping: Any) -> None:
        real(self, attempt, [replace(step, kept_from=0) for step in block], log, stopping)

    patch.setattr(RemoteJob, "__init__", with_all)


def _weather_for(broken: Break, seed: int) -> Scenario | None:
    """Deaths for an engine that does not see them; else the seed's own."""
    if broken is not whatever_has_a_weight_is_in_service:
        return None
    return replace(scenario(seed), dies_every_s=3.0, unchecked=False)


BROKEN: list[tuple[str, Break]] = [
    (OWNED, a_cancel_gives_nothing_back),
    (HEALTH, a_way_back_checks_no_health),
    (FLOOR, hosts_start_whatever_the_floor),
    (FLOOR, whatever_has_a_weight_is_in_service),
    (GATE, gates_open_by_themselves),
    (TWICE, a_successor_starts_a_job_of_its_own),
    (END, a_successor_leaves_running_hosts_alone),
    (TWO, a_takeover_keeps_the_epoch),
    (TRUTH, a_step_that_ended_has_succeeded),
    (BACK, a_rollback_goes_forward),
    (KEPT, a_host_is_not_asked_what_is_still_so),
    (KEPT, what_is_kept_is_done_again),
]


@pytest.mark.parametrize(("checker", "broken"), BROKEN, ids=[broken.__name__ for _, broken in BROKEN])
def test_a_broken_engine_is_caught(checker: str, broken: Break, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch)
    for seed in range(WITHIN_SEEDS):
        if any(violation.checker == checker for violation in simulate(seed, _weather_for(broken, seed)).violations):
            print(f"caught with seed {seed}")
            return
    pytest.fail(f"{WITHIN_SEEDS} seeds and nobody noticed: {broken.__name__}")


def test_what_an_earlier_order_left_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host at 0 that the last order never moved is known only while the order that left it there is on the list."""
    real = engine.run.reconcile.insert_weights

    def forgetting(conn: sa.Connection, order_id: int, *more: Any) -> None:
        real(conn, order_id, *more)
        conn.execute(sa.update(t.weight).where(t.weight.c.order_id != order_id).values(owned=False))

    monkeypatch.setattr(engine.run.reconcile, "insert_weights", forgetting)
    assert OWNED in [violation.checker for violation in simulate(49).violations]
