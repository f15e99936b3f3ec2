"""Start: the plan was made of a fleet, weights and objects. If one of them is another now, it is not the plan any more."""

from __future__ import annotations

from engine.domain.acts import Start
from engine.domain.fleet import Facts
from engine.domain.health import HealthSeen
from engine.domain.message import Message, message
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress
from engine.domain.states import OrderState
from engine.kinds.registry import kind_of, plan_of
from engine.plan.problems import FLOOR, floor_broken
from engine.run.acts.doing import By, World
from engine.run.health import of_balancers
from engine.run.order_check import record, with_health, with_recorded
from engine.store.facts import load_facts
from engine.store.orders import set_order_state, update_order
from engine.store.progress import load_progress
from engine.store.store import Transaction


def waits_for(progress: OrderProgress, act: Start) -> Message:
    return message("the balancer and the package are checked again")


async def effect(world: World, act: Start) -> Problem | None:
    """None: everything is as it was when the plan was made. Raises StoreError."""
    ports = world.ports
    progress, facts = await ports.background.call(_read, world)
    kind = kind_of(progress.kind)
    checks = kind.checks(progress.spec, facts)
    balancers = ports.ledger.patient(world.order_id, world.epoch)
    recorded = await record(facts, checks, packages=ports.packages, balancers=balancers)
    facts = with_recorded(facts, recorded)
    forbidden = (each for each in kind.forbids(progress.spec, facts) if each.code != FLOOR)
    for problem in (*(each for _, each in recorded.problems), *forbidden):
        return problem
    told = await of_balancers((line.mount for line in recorded.weights), balancers)
    ours = {line.mount: line.own_health for line in progress.weights}
    health = {mount: HealthSeen(said, ours.get(mount)) for mount, said in told.items()}
    now_plan = plan_of(progress.spec, with_health(facts, health))
    if progress.plan is not None and now_plan.fleet_hash == progress.plan.fleet_hash:
        died = now_plan.breaks_floor and not progress.plan.breaks_floor and not progress.spec.override_reason
        below = floor_broken(now_plan.lowest_in_service, now_plan.in_service, now_plan.floor)
        return below if died else None
    return Problem(
        "fleet_changed",
        message(
            "Hosts, weights or the package of {app} have changed since this order was checked.", app=progress.named
        ),
        message("Initialise the order again, look at the plan, then start it."),
    )


def write(conn: Transaction, progress: OrderProgress, act: Start, by: By, now: float) -> None:
    update_order(conn, progress.id, now, started_at=now)
    set_order_state(conn, progress, OrderState.RUNNING, now)


def _read(world: World) -> tuple[OrderProgress, Facts]:
    with world.ports.store.reading() as conn:
        progress = load_progress(conn, world.order_id)
        asked = kind_of(progress.kind).apps(progress.spec)
        return progress, load_facts(conn, progress.workspace_id, asked, besides=world.order_id)
