"""Roll back: what runs is stopped, then the hosts this order has touched get their earlier version. Before anything is stopped it
is looked whether all that the way back needs is there; the order is paused for that time, and stays so when it is not: who asks for
a rollback does not want one more host released. The way back is planned when nothing runs any more; which version was asked for is
read then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from engine.domain.acts import RollBack
from engine.domain.fleet import InstanceFacts, Package
from engine.domain.message import Message, message
from engine.domain.orders import Plan
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress
from engine.domain.states import OrderState
from engine.plan.back import plan_rollback
from engine.run.acts.doing import By, World
from engine.run.way_back_check import way_back_blocked
from engine.store.fleets import load_instance, load_package
from engine.store.orders import set_order_state, update_order
from engine.store.progress import load_progress
from engine.store.store import Transaction


def waits_for(progress: OrderProgress, act: RollBack) -> Message:
    return message("the packages and hosts that the rollback needs are checked")


def begins(conn: Transaction, progress: OrderProgress, act: RollBack, by: By, now: float) -> None:
    if progress.state is OrderState.RUNNING and not progress.paused:
        update_order(conn, progress.id, now, paused=True)


async def effect(world: World, act: RollBack) -> Problem | None:
    """None: all that the way back needs is there. Raises StoreError."""
    ports = world.ports
    progress, plan, apps, known = await ports.background.call(_read, world, act.version or None)
    return await way_back_blocked(
        progress, plan, apps, known, remote=ports.remote, packages=ports.packages, clock=ports.clock
    )


def refused(progress: OrderProgress, problem: Problem) -> Problem:
    if not progress.paused or progress.state is OrderState.CANCELLING or progress.state.complete:
        return problem
    remedy = message("{remedy} The order stays paused: resume it to go on without a rollback.", remedy=problem.remedy)
    return replace(problem, remedy=remedy)


def write(conn: Transaction, progress: OrderProgress, act: RollBack, by: By, now: float) -> None:
    update_order(conn, progress.id, now, reason=by.reason, paused=False)
    set_order_state(conn, progress, OrderState.ROLLING_BACK, now)


def _read(
    world: World, version: str | None
) -> tuple[OrderProgress, Plan, Mapping[str, InstanceFacts], Mapping[tuple[str, str], Package]]:
    with world.ports.store.reading() as conn:
        progress = load_progress(conn, world.order_id)
        plan = plan_rollback(progress, version)
        apps = {app.app: load_instance(conn, app.service_instance_id) for app in progress.apps}
        wanted = {(run.app, run.after.version) for run in plan.run_of.values()}
        found = {key: load_package(conn, apps[key[0]].app_id, key[1]) for key in wanted}
    return progress, plan, apps, {key: package for key, package in found.items() if package is not None}
