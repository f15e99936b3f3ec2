"""Give back: the weights that an ended order left behind, health first, then the ledger. Nothing else of that order changes.

A host whose health check does not pass keeps the weight it has, unless a person forces it with a reason; a weight that a running
order works with is left to that order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from engine.diagnose import explain
from engine.domain import step_names
from engine.domain.acts import GiveBack
from engine.domain.fleet import InstanceFacts, MountWeight, ObjectRef, Package
from engine.domain.message import Message, message
from engine.domain.problem import Problem, ProblemError
from engine.domain.progress import OrderProgress, WeightLine
from engine.plan.what_if_words import named
from engine.plan.which_hosts import hosts_left_behind
from engine.run.acts.doing import By, World
from engine.steps.context import StepContext
from engine.steps.health_now import health_now
from engine.steps.registry import step
from engine.store.fleets import load_instance
from engine.store.progress import load_progress
from engine.store.store import Transaction
from engine.store.weights import held_by_others, place_of

HOSTS_AT_ONCE = 50


def waits_for(progress: OrderProgress, act: GiveBack) -> Message:
    hosts = named(act.hosts or hosts_left_behind(progress))
    if act.force:
        return message("the balancer sets the weights of {hosts}", hosts=hosts)
    return message("the health of {hosts} is checked, then the balancer gets their weights", hosts=hosts)


async def effect(world: World, act: GiveBack) -> Problem | None:
    """Give back what may be given back. Returns what was left and why, or None. Raises StaleEpoch and StoreError."""
    return await _GivingBack(world, act).go()


def write(conn: Transaction, progress: OrderProgress, act: GiveBack, by: By, now: float) -> None:
    """The ledger has written them."""


class _GivingBack:
    """One act of one ended order."""

    def __init__(self, world: World, act: GiveBack) -> None:
        self._say = world.say
        self._order_id = world.order_id
        self._act = act
        self._epoch = world.epoch
        self._ports = world.ports
        self._slots = asyncio.Semaphore(HOSTS_AT_ONCE)

    async def go(self) -> Problem | None:
        progress, apps, busy = await self._ports.background.call(self._read)
        hosts = self._act.hosts or hosts_left_behind(progress)
        lines = {host: [ln for ln in progress.weights if ln.left_behind and ln.mount.host == host] for host in hosts}
        anew = {host.name: host for app in apps.values() for host in app.hosts if host.name in lines}
        self._ports.remote.log_in_anew(list(anew.values()))
        found = await asyncio.gather(
            *(self._host(host, mine, _app_of(progress, apps, host), busy) for host, mine in lines.items())
        )
        left = {host: problem for host, problem in zip(lines, found, strict=True) if problem is not None}
        return _left(left, [host for host in lines if host not in left]) if left else None

    def _read(self) -> tuple[OrderProgress, Mapping[str, InstanceFacts], Mapping[tuple[str, int, str], int]]:
        with self._ports.store.reading() as conn:
            progress = load_progress(conn, self._order_id)
            apps = {app.app: load_instance(conn, app.service_instance_id) for app in progress.apps}
            return progress, apps, held_by_others(conn, progress)

    async def _host(
        self,
        host: str,
        lines: Sequence[WeightLine],
        app: InstanceFacts,
        busy: Mapping[tuple[str, int, str], int],
    ) -> Problem | None:
        problem = _held(host, lines, busy)
        if problem is None and not self._act.force:
            problem = await self._health(host, app)
            if problem is None:  # another order may have begun meanwhile
                *_, busy = await self._ports.background.call(self._read)
                problem = _held(host, lines, busy)
        if problem is not None:
            return problem
        weights = [MountWeight(line.mount, line.due) for line in lines]
        results = await self._ports.ledger.move(self._order_id, self._epoch, weights, owned=False, told=self._say)
        return next((result.problem for result in results if result.problem), None)

    async def _health(self, name: str, app: InstanceFacts) -> Problem | None:
        host = next((host for host in app.hosts if host.name == name), None)
        if host is None:
            return _left_instance(name, app.app)
        nothing = Package(app.app, host.version, ObjectRef("", "", ""))
        context = StepContext(host, app.stack, app.app, host.version, nothing)
        async with self._slots:
            try:
                script, deadline_s = health_now(context)
                result = await self._ports.remote.run(host, script, deadline_s=deadline_s)
            except (
                ProblemError
            ) as error:  # RemoteError among them: a host that can't be asked is not known to be healthy
                return error.problem
        if result.exit_status == 0:
            return None
        tail = result.output.decode("utf-8", "replace")
        return explain(step(step_names.CHECK_HEALTH), result.exit_status, False, tail, host=name, app=app.app)


def _app_of(progress: OrderProgress, apps: Mapping[str, InstanceFacts], host: str) -> InstanceFacts:
    """The app the order worked on there."""
    planned = (
        run.app
        for plan in (progress.plan, progress.back_plan)
        if plan
        for run in plan.run_of.values()
        if run.host == host
    )
    return apps[next(planned, next(iter(apps)))]


def _left(left: Mapping[str, Problem], given: Sequence[str]) -> Problem:
    first = next(iter(left.values()))
    evidence = "\n".join(f"{name}: {problem.what}" for name, problem in left.items())
    if given:
        what = message("Given back: {given}. Left as they are: {left}.", given=named(given), left=named(list(left)))
    else:
        what = message("Left as they are: {left}.", left=named(list(left)))
    return Problem("weights_left", what, first.remedy, evidence)


def _held(host: str, lines: Sequence[WeightLine], busy: Mapping[tuple[str, int, str], int]) -> Problem | None:
    order_id = next((busy[key] for line in lines if (key := place_of(line)) in busy), None)
    if order_id is None:
        return None
    return Problem(
        "open_order",
        message("Order #{id} is at work on {host}.", id=order_id, host=host),
        message("Finish that order, then give the weight back."),
    )


def _left_instance(host: str, app: str) -> Problem:
    return Problem(
        "host_left_instance",
        message("{host} is no longer a host of {app}.", host=host, app=app),
        message("Its health cannot be checked here: force it with a reason, or change the weight at the balancer."),
    )
