"""One run: a scenario's world, its engines and its operators, from the first order to the end of the last, in virtual time."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from engine.domain.orders import OrderSpec
from engine.run.engine import Engine
from engine.run.outages import OUTAGE_S
from engine.store import tables as t
from engine.store.orders import open_orders
from engine.store.progress import load_progress
from engine.store.store import StoreError
from tests.simulation.balancer import BalancerFaults, PackageFaults, SimBalancer, SimCloud, SimPackages
from tests.simulation.checkers import BROKE, COMPLETE, END, Checkers, Violation
from tests.simulation.fleet import ETAG, SimApp, SimFleet, insert_fleet
from tests.simulation.hosts import HostFaults, SimHost, SimRemote
from tests.simulation.loop import Process, VirtualLoop, running_loop
from tests.simulation.operators import Operators
from tests.simulation.scenario import AppScenario, EngineFaults, Scenario, scenario
from tests.simulation.store import MemoryStore, OnLoop, Owners, StoreFaults
from tests.simulation.trace import Trace
from tests.support.orders import make_order

EPOCH_S = 1_790_000_000.0
LOOK_S = 0.5
FINISH_EVERY_S = 2.0
END_WITHIN_S = 3600.0  # after the last fault, whatever was going on
SETTLE_S = 5.0


class SimClock:
    """The engine's clock: wall time that passes as the loop's does."""

    def now(self) -> float:
        return EPOCH_S + running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass
class Outcome:
    scenario: Scenario
    violations: list[Violation]
    trace: Trace
    states: dict[int, str]
    checks: dict[str, int]
    virtual_s: float
    wall_s: float
    killed: int
    frozen: int


def simulate(seed: int, wanted: Scenario | None = None) -> Outcome:
    """Run a seed's scenario (or `wanted`) to its end or to the first violation."""
    begun = time.perf_counter()
    run = Run(wanted or scenario(seed))
    collecting = gc.isenabled()
    gc.freeze()  # what was there before is not looked through after every run
    gc.disable()  # what is freed, and when, must depend on nothing but the seed
    watch = _EngineLog(run)
    loop = VirtualLoop()
    try:
        loop.run(run.live())
        virtual_s = loop.time()
    finally:
        watch.close()
        loop.dispose(run.processes)
        shutil.rmtree(run.log_dir, ignore_errors=True)
        if collecting:
            gc.enable()
    return Outcome(
        run.scenario, run.checkers.violations, run.trace, run.states, dict(run.checkers.checks), virtual_s,
        time.perf_counter() - begun, run.killed, run.frozen,
    )  # fmt: skip


class Run:
    def __init__(self, wanted: Scenario) -> None:
        self.scenario = wanted
        self.trace = Trace()
        self.processes: list[Process] = []
        self.states: dict[int, str] = {}
        self.killed = self.frozen = 0
        self.planned = sum(len(app.orders) for app in wanted.apps)
        self.log_dir = Path(tempfile.mkdtemp(prefix="simulation-", dir=_fast_folder()))
        self.store = MemoryStore(self._chance("store"), wanted.store)
        with self.store.writing() as conn:
            self.fleet: SimFleet = insert_fleet(conn, wanted)
        self.hosts = {
            name: SimHost(name, app.version, passed=app.version) for app in self.fleet.apps for name in app.hosts
        }
        self.checkers = Checkers(self.store, self.fleet, self.hosts)
        self.checkers.epoch_s = EPOCH_S
        self.balancer = SimBalancer(
            self.fleet.weights, wanted.balancer, self._chance("balancer"), self.trace, self.checkers
        )
        self.checkers.balancer = self.balancer
        self.packages = SimPackages(wanted.packages, self._chance("packages"), self._chance("signing"), ETAG)
        self.remote = SimRemote(
            self.hosts, wanted.hosts, self._chance("hosts"), self.trace, self.checkers, self._healthy,
            self.packages.downloadable, EPOCH_S,
        )  # fmt: skip
        self.owners = Owners(wanted.engines.lease_s)
        self.operators = Operators(self.store, self._chance("operators"), self.trace, EPOCH_S)
        self.faulty = True
        self.balancer.answers = lambda host: self.hosts[host].up
        self.balancer.checks = not wanted.unchecked
        self._failed_once: set[tuple[str, str]] = set()

    def _chance(self, part: str) -> random.Random:
        return random.Random(f"{self.scenario.seed}/{part}")

    # ------------------------------------------------------------------------------------------------------------ the story

    async def live(self) -> None:
        loop = running_loop()
        wanted = self.scenario
        for slot in range(wanted.engines.engines):
            loop.spawn(self._keep_engine(slot))
        for app, here in zip(wanted.apps, self.fleet.apps, strict=True):
            loop.spawn(self._order(app, here))
        self._weather()
        while loop.time() < wanted.faults_until_s and not self._over():
            await asyncio.sleep(self._chance_of_operators() * wanted.press_every_s)
            for order_id in self._open():
                self.operators.press(order_id, loop.time(), wild=wanted.wild)
        self._clear_up()
        until = loop.time() + END_WITHIN_S
        while not self._over():
            if loop.time() > until:
                self._stuck()
                break
            await asyncio.sleep(FINISH_EVERY_S)
            for order_id in self._open():
                self.operators.finish(order_id, loop.time())
        self.trace.add("every order has ended")
        if not self.checkers.violations:
            await asyncio.sleep(SETTLE_S)
            self.checkers.at_end()
        with self.store.reading() as conn:
            self.states = {row.id: row.state for row in conn.execute(sa.select(t.order.c.id, t.order.c.state))}

    def _chance_of_operators(self) -> float:
        return self.operators.chance.uniform(0.3, 1.7)

    def _over(self) -> bool:
        return bool(self.checkers.violations) or (not self._open() and self._made() >= self.planned)

    def _open(self) -> list[int]:
        with self.store.reading() as conn:
            return [order_id for order_id, _ in open_orders(conn)]

    def _made(self) -> int:
        with self.store.reading() as conn:
            return int(conn.execute(sa.select(sa.func.count()).select_from(t.order)).scalar_one())

    def _stuck(self) -> None:
        still_open = self._open()
        with self.store.reading() as conn:
            for order_id in still_open:
                progress = load_progress(conn, order_id)
                runs = ", ".join(
                    "/".join(key) + f" {r.state}" for key, r in progress.runs.items() if r.state != "succeeded"
                )
                what = f"#{order_id} is still {progress.state} ({progress.problem}); {runs}"
                self.checkers.violated(END, what)
        if self._made() < self.planned:
            self.checkers.violated(END, "an order was never made")

    async def _order(self, app: AppScenario, here: SimApp) -> None:
        """An app's orders, one after another; the second may be made too early."""
        await asyncio.sleep(0.1)
        order_id = 0
        for number, spec in enumerate(app.orders):
            while number and not app.overlapping and self._state(order_id) not in COMPLETE:
                await asyncio.sleep(LOOK_S)
            order_id = self._create(here, spec)

    def _create(self, app: SimApp, spec: OrderSpec) -> int:
        with self.store.writing() as conn:
            now = EPOCH_S + running_loop().time()
            order_id = make_order(conn, self.fleet.workspace_id, spec, now=now)
        self.trace.add(f"#{order_id}: {spec.kind} of {app.name} is created: {spec.what.data}", "operator")
        return order_id

    def _state(self, order_id: int) -> str:
        with self.store.reading() as conn:
            return str(conn.execute(sa.select(t.order.c.state).where(t.order.c.id == order_id)).scalar_one())

    # ---------------------------------------------------------------------------------------------------------- the engines

    async def _keep_engine(self, slot: int) -> None:
        """An engine is started whenever there is none in this slot, as the cockpit does."""
        faults, chance = self.scenario.engines, self._chance(f"engines/{slot}")
        number = 0
        while True:
            number += 1
            process = Process(f"engine-{slot}.{number}")
            self.processes.append(process)
            self._choose_fate(process, faults, chance)
            task = running_loop().spawn(self._engine(process, chance), process)
            while process.alive and not task.done():
                await asyncio.sleep(LOOK_S if self.faulty else LOOK_S * 10)
            if task.done() and not task.cancelled() and task.exception() is not None:
                error = task.exception()
                self.checkers.violated(BROKE, f"{process.name} ended with {type(error).__name__}: {error}")
            await asyncio.sleep(chance.random() * faults.restart_s)

    async def _engine(self, process: Process, chance: random.Random) -> None:
        engine = Engine(
            self.store, remote=self.remote, cloud=SimCloud(self.balancer, self.packages), clock=SimClock(),
            log_dir=self.log_dir, idle_s=None, background=OnLoop(random.Random(chance.random())),
            acquire=self.owners.acquire,
        )  # fmt: skip
        engine.id = process.name  # a seed means the same in every process: no process id, nothing random of ours
        self.checkers.engines[engine.id] = process
        await engine.run()

    def _choose_fate(self, process: Process, faults: EngineFaults, chance: random.Random) -> None:
        kills, freezes = chance.random() < faults.kill, chance.random() < faults.freeze
        kill_at = chance.randint(1, faults.within_steps) if kills else 0
        freeze_at = chance.randint(1, faults.within_steps) if freezes else 0
        freeze_s = chance.random() * faults.freeze_s
        if not self.faulty or not (kills or freezes):
            return

        def at_step(step: int) -> None:
            if not self.faulty:
                process.at_step = None
            elif step == kill_at:
                self.killed += 1
                self.trace.add("is killed", process.name)
                process.kill()
            elif step == freeze_at:
                self.frozen += 1
                self.trace.add(f"freezes for {freeze_s:.1f} s", process.name)
                process.freeze()
                running_loop().spawn(self._thaw(process, freeze_s))

        process.at_step = at_step

    async def _thaw(self, process: Process, after_s: float) -> None:
        await asyncio.sleep(after_s)
        self.trace.add("wakes up", process.name)
        process.thaw()

    # ---------------------------------------------------------------------------------------------------------- the weather

    def _healthy(self, host: SimHost) -> bool:
        how = self.scenario.bad.get((host.name, host.version)) or self.scenario.bad.get(("*", host.version))
        if how == "once" and (host.name, host.version) in self._failed_once:
            return True
        self._failed_once.add((host.name, host.version))
        return how is None

    def _weather(self) -> None:
        wanted = self.scenario
        self._every(wanted.outside_every_s, "outside", self._change_from_outside)
        self._every(wanted.away_every_s, "away", self._take_away)
        self._every(wanted.dies_every_s, "dies", self._die)
        self._every(wanted.outage_every_s, "outage", self._take_balancer_away)
        self._every(wanted.store_away_every_s, "store-away", self._take_store_away)
        self._every(wanted.engines.rob_every_s, "rob", self._rob)

    def _every(self, seconds: float, part: str, happen: Callable[[random.Random], None]) -> None:
        async def repeat() -> None:
            chance = self._chance(part)
            while True:
                await asyncio.sleep(chance.uniform(0.2, 1.8) * seconds)
                if not self.faulty:
                    return
                happen(chance)

        if seconds > 0:
            running_loop().spawn(repeat())

    def _change_from_outside(self, chance: random.Random) -> None:
        group = chance.choice(list(self.balancer.weights))
        key = chance.choice(list(self.balancer.weights[group]))
        self.balancer.put(group, key, chance.choice((0, 0, 5, 100)), ours=False)

    def _take_away(self, chance: random.Random) -> None:
        host = self.hosts[chance.choice(list(self.hosts))]
        until = running_loop().time() + chance.choice((1.0, 10.0, 60.0))
        if chance.random() < self.scenario.forgets:
            self.trace.add(f"{host.name} loses the folders of its jobs")
            self.remote.forget(host)
        if chance.random() < self.scenario.reboot:
            self.trace.add(f"{host.name} restarts")
            self.remote.reboot(host, until)
        else:
            self.trace.add(f"{host.name} is away until {until:.1f}")
            host.away_until = until
            self.remote.drop(host)

    def _take_balancer_away(self, chance: random.Random) -> None:
        """For less time than an order waits for it, for about as long, or for longer."""
        until = running_loop().time() + chance.choice((2.0, 20.0, 60.0, OUTAGE_S - 1, OUTAGE_S + 1, 2 * OUTAGE_S))
        if until > self.balancer.away_until:
            self.trace.add(f"the balancer's API is away until {until:.1f}")
            self.balancer.go_away(until, chance.choice((0.05, 5.0)))

    def _die(self, chance: random.Random) -> None:
        """Often for good, sometimes until somebody starts it again."""
        host = self.hosts[chance.choice(list(self.hosts))]
        back_s = chance.choice((2.0, 15.0, 600.0, 600.0))
        if not host.up or any(job.running is not None for job in host.jobs.values()):
            return
        self.trace.add(f"the service of {host.name} dies")
        host.die()
        running_loop().spawn(self._revive(host, back_s))

    async def _revive(self, host: SimHost, after_s: float) -> None:
        died = host.dead_since
        await asyncio.sleep(after_s)
        if host.dead_since == died and died is not None:
            self.trace.add(f"the service of {host.name} is started again")
            host.revive()

    def _take_store_away(self, chance: random.Random) -> None:
        self.trace.add("the store goes away")
        self.scenario.store.away_until = running_loop().time() + chance.choice((0.5, 3.0, 10.0))

    def _rob(self, _chance: random.Random) -> None:
        self.trace.add("the owner's connection to the store breaks")
        self.owners.rob()

    def _clear_up(self) -> None:
        """From here on nothing fails but what is really wrong with a version."""
        self.trace.add("the faults end")
        self.faulty = False
        latency = self.remote.faults.latency_s
        self.remote.faults = HostFaults(latency_s=latency, step_s=self.remote.faults.step_s)
        self.balancer.faults = BalancerFaults()
        self.balancer.away_until = 0.0
        self.packages.faults = PackageFaults()
        self.store.faults = StoreFaults()
        for host in self.hosts.values():
            host.away_until = 0.0
            host.revive()
            self.remote.drop(host)


class _EngineLog(logging.Handler):
    """What the engine logs goes into the trace. An exception that is no answer of a port or of the store is a fall."""

    def __init__(self, run: Run) -> None:
        super().__init__(logging.WARNING)
        self._run = run
        self._logger = logging.getLogger("engine")
        self._was = (self._logger.propagate, self._logger.level)
        self._logger.propagate = False
        self._logger.setLevel(logging.WARNING)
        self._logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._run.trace.add(f"logs: {record.getMessage()}" + (f" ({type(error).__name__}: {error})" if error else ""))
        if error is not None and not isinstance(error, StoreError):
            what = f"{record.getMessage()}: {type(error).__name__}: {error}"
            self._run.checkers.violated(BROKE, what)

    def close(self) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate, level = self._was
        self._logger.setLevel(level)
        super().close()


def _fast_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
