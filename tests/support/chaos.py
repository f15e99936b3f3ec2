"""Bad luck by the seed for a release on the practice lab: engines killed and frozen at any instant, links cut, the balancer and the
store misbehaving. It disturbs and drives; what should come of it is judged by `judge`, from what hosts and balancer show.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from cockpit import engine_process
from cockpit.lab import process as lab
from engine.domain.acts import ACTS, Confirm
from engine.domain.problem import ProblemError
from engine.domain.states import Act, OrderState, RunState, Strategy
from engine.views.acts import EventView
from engine.views.orders import OrderView
from tests.support.floor_watch import FloorWatch
from tests.support.lab_release import RECORDED, Fleet, versions_in, weights_in
from tests.support.postgres import PostgresServer
from tests.support.processes import running

ROOT = Path(__file__).parents[2]
ORDER_DEADLINE_S = 150.0
SUCCESSOR_S = 20.0
LATE_S = 25.0  # a frozen engine that woke up late has ended by then
RETRIES = 4
WEATHER = ("slb_busy", "slb_throttled", "slb_5xx", "slb_no_answer", "dropped_links")


class Nursery:
    """Makes engine processes for a store; see `engine_nursery`."""

    def __init__(self, fleet: Fleet) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.engine_nursery"],
            cwd=ROOT,
            env=engine_process._environment(fleet.settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pids: list[int] = []

    def engine(self) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("one\n")
        self.process.stdin.flush()
        self.pids.append(int(self.process.stdout.readline()))
        return self.pids[-1]

    def close(self) -> None:
        for pid in self.pids:
            if running(pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.communicate(timeout=10)


@dataclass
class Luck:
    """What happened to one order, for the report and for the one who replays it."""

    seed: int
    done: Counter[str] = field(default_factory=Counter)
    trace: list[str] = field(default_factory=list)
    resumed_after_s: list[float] = field(default_factory=list)  # from a successor's start to its first event
    retries: int = 0
    began: float = field(default_factory=time.monotonic)

    def note(self, what: str, kind: str = "") -> None:
        self.trace.append(f"{time.monotonic() - self.began:7.2f} {what}")
        if kind:
            self.done[kind] += 1

    def __str__(self) -> str:
        return f"seed {self.seed}: " + "\n  ".join(self.trace)


class Chaos:
    """One release under one seed. `server`: the PostgreSQL server of its store, which may be restarted."""

    def __init__(
        self,
        fleet: Fleet,
        nursery: Nursery,
        seed: int,
        *,
        server: PostgresServer | None = None,
        deadly: bool = False,
    ) -> None:
        """`deadly`: services of hosts die as well, with their weight up."""
        self.fleet, self.nursery, self.server, self.deadly = fleet, nursery, server, deadly
        self.dead: set[str] = set()
        self.rng = random.Random(seed)
        self.luck = Luck(seed)
        self.order = 0
        self.engine = 0
        self._started: list[int] = []
        self.blows = self.rng.randint(4, 9)
        self._acted: set[tuple[Act, str, int]] = set()

    def run(self) -> OrderView:
        """The order as it ended. Raises AssertionError when it does not."""
        wanted = self.fleet.other_version
        spec = self.rng.choice(
            (
                {"strategy": Strategy.QUICK, "groups": 2},
                {"strategy": Strategy.QUICK, "groups": 2, "beta": True, "seed": self.rng.randint(1, 99)},
                {"strategy": Strategy.ONE_PER_GROUP},
            )
        )
        self.start_engine()
        self.luck.note(f"to {wanted}, {spec}")
        self.order = self.fleet.create(wanted, **spec)
        until = time.monotonic() + ORDER_DEADLINE_S
        next_blow = time.monotonic() + self.rng.uniform(0.0, 1.5)
        while True:
            view = self._look()
            if view is not None and view.state.complete:
                self._wait_for_late_ones()
                return view
            assert time.monotonic() < until, f"no end of {view and self.fleet._unseen(view)}\n{self.luck}"
            if view is not None:
                self._operate(view)
            if time.monotonic() >= next_blow and self.blows > 0 and view is not None and view.started_at:
                self.blows -= 1
                self._blow()
                next_blow = time.monotonic() + self.rng.choice((0.02, 0.15, 0.4, 0.8, 1.6)) * self.rng.uniform(0.5, 1.5)
            time.sleep(0.02)

    # ---- the operator

    def _look(self) -> OrderView | None:
        return self._patiently(lambda: self.fleet.order(self.order))

    def _operate(self, view: OrderView) -> None:
        """Press the key that is due. A key may be pressed once more when nobody knows whether it was heard."""
        gate = next((node.key for node in view.nodes if str(node.state) == "waiting"), "")
        due: tuple[Act, str, int] | None = None
        if view.state is OrderState.READY:
            due = (Act.START, "", 0)
        elif view.state is OrderState.INIT_FAILED:
            due = (Act.INITIALISE, "", len(self._acted))
        elif gate and view.state is OrderState.WAITING:
            due = (Act.CONFIRM, gate, 0)
        elif view.state is OrderState.HALTED and self.dead:
            self.revive()  # nobody may leave any more
        elif view.state is OrderState.HALTED and any(run.state is RunState.FAILED for run in view.hosts):
            due = (Act.RETRY, "", sum(run.attempt for run in view.hosts))
        if due is None or due in self._acted:
            return
        if due[0] is Act.RETRY:
            self.luck.retries += 1
            problems = [f"{run.name}: {run.step} {run.problem}" for run in view.hosts if run.problem]
            self.luck.note(f"retry {problems}", "retry")
            assert self.luck.retries <= RETRIES, f"halted too often: {self.luck}"
        act = Confirm(gate) if due[0] is Act.CONFIRM else ACTS[due[0]].type()
        if self._patiently(lambda: self.fleet.api.send(*self.fleet.place, self.order, act)) is not None:
            self._acted.add(due)

    def _patiently(self, ask: Callable[[], object]) -> object:
        """None when the store is away for the moment."""
        try:
            return ask()
        except ProblemError as error:
            if self.server is None or error.problem.code not in ("store_unreachable", "store_busy"):
                raise
            return None

    # ---- bad luck

    def _blow(self) -> None:
        kinds: list[Callable[[], None]] = [self._kill] * 7 + [self._freeze] + [self._weather] * 3
        if self.server is not None:
            kinds += [self._restart_store, self._kill_sessions]
        if self.deadly:
            kinds += [self._die] * 8
        self.rng.choice(kinds)()

    def _kill(self) -> None:
        before = self._find_owner()
        self.luck.note(f"kill {self.engine}", "kill")
        with suppress(ProcessLookupError):  # late, and gone by itself
            os.kill(self.engine, signal.SIGKILL)
        if self.rng.random() < 0.3:
            time.sleep(self.rng.uniform(0.0, 1.0))
        self.start_engine(before)

    def _freeze(self) -> None:
        """For longer than the lease: a successor takes over, and then the late one wakes up."""
        before = self._find_owner()
        frozen = self.engine
        self.luck.note(f"freeze {frozen}", "freeze")
        with suppress(ProcessLookupError):
            os.kill(frozen, signal.SIGSTOP)
        self.start_engine(before)
        if not running(frozen):  # it was frozen within a transaction and had to be ended
            self.luck.note(f"{frozen} was ended by its successor", "frozen in a transaction")
            return
        os.kill(frozen, signal.SIGCONT)
        self.luck.note(f"{frozen} wakes up")
        self._started.append(frozen)

    def _weather(self) -> None:
        name = self.rng.choice(WEATHER)
        self.luck.note(name, name)
        with self.fleet.weather(name):
            time.sleep(self.rng.uniform(0.2, 2.5))

    def _die(self) -> None:
        """Of a host that takes traffic and is not being worked on, often for good."""
        view = self._look()
        busy = {run.name for run in view.hosts if run.state is RunState.RUNNING} if view is not None else set()
        weights = self.fleet.weights()
        alive = [host for host in self.fleet.info.hosts if weights[host] > 0 and host not in busy | self.dead]
        if not alive:
            return
        host = self.rng.choice(alive)
        self.luck.note(f"the service of {host} dies", "service died")
        self.dead.add(host)
        self.fleet.fault("service_dead", True, host)

    def revive(self) -> None:
        """A release may have started it again already: then it is left alone."""
        for host in sorted(self.dead):
            self.luck.note(f"the service of {host} is started again")
            self.fleet.fault("service_dead", False, host)
        self.dead.clear()

    def _restart_store(self) -> None:
        assert self.server is not None
        self.luck.note("the store is restarted", "store restart")
        self.server.stop()
        time.sleep(self.rng.uniform(0.0, 1.0))
        self.server.start()

    def _kill_sessions(self) -> None:
        assert self.server is not None
        self.luck.note("the sessions of the store end", "sessions ended")
        with self.server._administer() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cockpit'"
            )

    def start_engine(self, before: int = 0) -> None:
        """A successor; returns when the order has another owner than the one that was struck, and this one lives: the successor, a
        late one that was quicker, or one that had the order already when the blow fell beside it. `before`: `_find_owner`'s."""
        began = time.monotonic()
        struck = self.engine
        started = self.nursery.engine()
        self.luck.note(f"engine {started} starts")
        if not self.order:
            self.engine = started
            return
        self._started.append(started)
        until = began + SUCCESSOR_S
        while True:
            latest = self._find_owner(before)
            if self.engine != struck and running(self.engine):
                break
            view = self._look()
            if view is not None and view.state.complete:
                return
            assert time.monotonic() < until, f"no successor: {view and self.fleet._unseen(view)}\n{self.luck}"
            time.sleep(0.01)
        self.luck.note(f"engine {self.engine} has the order")
        if latest > before:
            self.luck.resumed_after_s.append(time.monotonic() - began)

    def _find_owner(self, after: int = 0) -> int:
        """Whose order it is, as its events say. Returns the event that says it, `after` when none behind that does."""
        takers = [event for event in self._events(after) if event.kind == "engine"]
        if not takers:
            return after
        self.engine = int(str(takers[-1].data["engine"]).rsplit("-", 2)[1])
        return takers[-1].id

    def _events(self, after: int) -> tuple[EventView, ...]:
        if not self.order:
            return ()
        found: list[EventView] = []
        while True:
            more = self._patiently(partial(self.fleet.api.events, order_id=self.order, after=after))
            if not more:
                return tuple(found)
            found += more  # type: ignore[arg-type]
            after = found[-1].id

    def processes(self) -> list[int]:
        return [pid for pid in {self.engine, *self._started} if pid and running(pid)]

    def _wait_for_late_ones(self) -> None:
        """Of all that were started one stays."""
        until = time.monotonic() + LATE_S
        while len(left := self.processes()) > 1:
            if time.monotonic() >= until:
                os.kill(left[0], signal.SIGUSR1)
                time.sleep(0.5)
                log = self.fleet.settings.engine_log.read_text(errors="replace")[-6000:]
                raise AssertionError(f"a late engine goes on: {left}\n{self.luck}\n{log}")
            time.sleep(0.05)


def judge(fleet: Fleet, chaos: Chaos, view: OrderView) -> None:
    """The order ended well; every step was done once; versions and weights are as they should be."""
    luck, (wanted,) = chaos.luck, {app.to_version for app in view.apps}
    assert view.state is OrderState.SUCCEEDED, f"{fleet._unseen(view)}\n{luck}"
    chaos.revive()
    status = fleet.status()
    assert set(versions_in(status).values()) == {wanted}, luck
    assert set(weights_in(status).values()) == {RECORDED}, luck
    assert not any(line.owned for run in view.hosts for line in run.weights), luck
    for run in view.hosts:
        assert run.state is RunState.SUCCEEDED, luck
        deployed = 0
        jobs = fleet.home(run.name) / ".cockpit" / "jobs"
        for folder in sorted(jobs.glob(f"{view.id}-*-{run.name}/forward-*")):
            words = [line.split()[:2] for line in (folder / "steps").read_text().splitlines()]
            began = Counter(step for word, step in words if word == "start")
            assert set(began.values()) <= {1}, f"{run.name} {folder.name}: {words}\n{luck}"
            deployed += began["deploy"]
        if chaos.deadly:
            continue  # somebody else starts services, too
        starts = fleet.starts(run.name, wanted) - chaos_starts(fleet, run.name, wanted)
        assert starts == deployed, f"{run.name}: started {starts} times in {deployed} deployments\n{luck}"


_started: Counter[tuple[str, str, str]] = Counter()


def chaos_starts(fleet: Fleet, host: str, version: str) -> int:
    """How often the version had been started on the host when the order began."""
    return _started[str(fleet.dir), host, version]


def remember_starts(fleet: Fleet) -> None:
    for host in fleet.info.hosts:
        for version in ("1.0.0", "2.0.0"):
            _started[str(fleet.dir), host, version] = fleet.starts(host, version)


@contextmanager
def under_load(fleet: Fleet, luck: Luck) -> Iterator[None]:
    """Load from before the block until after it; not one request may fail."""
    lab.load(fleet.dir, "start", rate=60.0)
    try:
        yield
    finally:
        load = lab.load(fleet.dir, "stop")
    assert load.requests > 0
    assert load.failed == 0, f"{load}\n{luck}"


def recover(fleet: Fleet, nursery: Nursery) -> None:
    """After a seed that failed: no open order, so that the next one begins as if nothing had been."""
    engine = nursery.engine()
    try:
        fleet.until(fleet.api.engine_alive, "an engine is alive")
        fleet.make_ready()
        if len(set(fleet.versions().values())) > 1:
            fleet.ends(fleet.release("2.0.0"), OrderState.SUCCEEDED)
    finally:
        os.kill(engine, signal.SIGKILL)


@contextmanager
def floor_watched(fleet: Fleet, luck: Luck) -> Iterator[None]:
    """No act of the order leaves fewer hosts in service than the floor: half of them, and what counts is what answers."""
    with FloorWatch(fleet, (len(fleet.info.hosts) + 1) // 2) as watch:
        yield
    assert watch.cuts, luck
    assert not watch.violations, f"{watch.violations}\n{luck}"


def one_order(
    fleet: Fleet, nursery: Nursery, seed: int, *, server: PostgresServer | None = None, deadly: bool = False
) -> Luck:
    """One seed from its beginning to the judgement; every engine it started has ended afterwards. `deadly`: services die; requests
    to them are lost, so what is watched is the floor."""
    remember_starts(fleet)
    chaos = Chaos(fleet, nursery, seed, server=server, deadly=deadly)
    try:
        with floor_watched(fleet, chaos.luck) if deadly else under_load(fleet, chaos.luck):
            view = chaos.run()
        judge(fleet, chaos, view)
    finally:
        for pid in chaos.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
                os.kill(pid, signal.SIGKILL)
    return chaos.luck
