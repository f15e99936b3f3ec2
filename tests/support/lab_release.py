"""A release on the practice lab, driven as an operator would drive it: the Api in front, a real engine process behind, real SSH,
OSS and SLB endpoints and hosts under it. What a test asks for comes back within a deadline or fails with what was seen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from cockpit import engine_process
from cockpit.identity import operating_system_user
from cockpit.lab import process as lab
from cockpit.settings import Settings, load_settings
from engine.api import Api
from engine.catalogue.read import read_files
from engine.domain.acts import ACTS
from engine.domain.problem import Problem
from engine.domain.states import Act, CommandState, OrderState, RunState, StepState
from engine.kinds.release import release_spec
from engine.store.catalogue import apply
from engine.store.store import Store
from engine.views.orders import HostRunView, OrderView, WeightView

HOSTS = 4
DEADLINE_S = 40.0
ANSWER_S = 15.0
LOOK_S = 0.25
OPERATOR = "alice"
PROD_GROUP = "lb-2zelab01/rsp-2zelab01"
TEST_GROUP = "lb-2zelab02/default"
RECORDED = 100
# Short enough for a test to see them pass, long enough for a busy machine.
PARAMETERS = {"drain_s": "5", "boot_wait_s": "25", "health_deadline_s": "3", "health_interval_s": "1"}
# The engine as it is, told to lose patience with a balancer sooner: its own bounds add up to more than a minute.
IMPATIENT = (
    "import sys; from engine.run import outages, pacing, weight_writer; "
    "outages.FIRST_BACKOFF_S = 0.1; outages.LONGEST_BACKOFF_S = 0.4; "
    "weight_writer.TRIES = 3; weight_writer.READ_BACKS = 2; pacing.SLOW_S = 2.0; from cockpit.cli import main; "
    "sys.argv = ['cockpit', 'engine', '--embedded']; main()"
)

Catalogue = dict[str, Any]
Change = Callable[[Catalogue], None]


class Fleet:
    """One lab of 4 hosts, its store, and an engine process for it. `place` is the workspace that is looked at."""

    def __init__(self, info: lab.LabInfo, settings: Settings, *, impatient: bool = False) -> None:
        self.info = info
        self.dir = Path(info.dir)
        self.settings = settings
        self.api = Api(settings.store, operator=OPERATOR, log_dir=settings.log_dir)
        self.place = (info.tenant, info.workspace)
        self.engine: subprocess.Popen[bytes] | None = None
        self._impatient = impatient
        self._changed = False  # the catalogue, by a test

    # ---- the engine

    def start_engine(self) -> None:
        """A new engine process; returns when it owns the store."""
        if self._impatient:
            with self.settings.engine_log.open("ab") as log:
                self.engine = subprocess.Popen(
                    [sys.executable, "-c", IMPATIENT],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=engine_process._environment(self.settings),
                    start_new_session=True,
                )
        else:
            self.engine = engine_process.start_engine(self.settings)
        self.until(self.api.engine_alive, "an engine is alive")

    def kill_engine(self) -> None:
        """SIGKILL, as the machine or its memory killer would."""
        assert self.engine is not None
        os.kill(self.engine.pid, signal.SIGKILL)
        self.engine.wait(ANSWER_S)

    def stop_engine(self) -> None:
        engine_process.stop_engine(self.settings)
        if self.engine is not None:
            self.engine.wait(ANSWER_S)

    # ---- the catalogue and the weather

    def catalogue(self, change: Change | None = None) -> None:
        """Apply the lab's catalogue, with the tests' parameters, changed by `change`."""
        self._changed = change is not None
        data: Catalogue = yaml.safe_load(Path(self.info.catalogue).read_text())
        for stack in data["tenants"][0]["tech_stacks"]:
            for parameter in stack["parameters"]:
                parameter["default"] = PARAMETERS.get(parameter["name"], parameter.get("default", ""))
        if change is not None:
            change(data)
        file = self.dir / "applied.yaml"
        file.write_text(yaml.safe_dump(data, allow_unicode=True, sort_keys=False))
        store = Store.open(self.settings.store)
        try:
            apply(store, read_files([str(file)]), operating_system_user(), time.time())
        finally:
            store.close()

    def fault(self, name: str, on: bool, host: str | None = None, *, for_s: float | None = None) -> None:
        lab.fault(self.dir, name, on, host, for_s=for_s)

    @contextmanager
    def weather(self, name: str, host: str | None = None) -> Iterator[None]:
        """The fault is on within the block."""
        self.fault(name, True, host)
        try:
            yield
        finally:
            self.fault(name, False, host)

    # ---- looking

    def status(self) -> lab.LabStatus:
        return lab.status(self.dir)

    def versions(self) -> dict[str, str]:
        """What answers on the app's port of each production host."""
        return versions_in(self.status())

    @property
    def version(self) -> str:
        """The one version that all production hosts run and pass their health check with."""
        rows = [host for host in self.status().hosts if host.workspace == "prod"]
        assert {host.health for host in rows} == {"passed"}, rows
        assert len({host.version for host in rows}) == 1, rows
        return rows[0].version

    @property
    def other_version(self) -> str:
        return "2.0.0" if self.version == "1.0.0" else "1.0.0"

    def weights(self, group: str = PROD_GROUP) -> dict[str, int]:
        """By host, as the balancer really has them."""
        return weights_in(self.status(), group)

    def home(self, host: str) -> Path:
        return self.dir / "hosts" / host / "home"

    def starts(self, host: str, version: str) -> int:
        """How often that version was really started on the host, by the service's own log."""
        log = self.home(host) / "logs" / "sofa" / "sofa-startup.log"
        return log.read_text().count(f"] starting trade-core {version} on ")

    def order(self, order_id: int) -> OrderView:
        return self.api.order(*self.place, order_id)

    def until(self, true: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
        until = time.monotonic() + deadline_s
        while not true():
            assert time.monotonic() < until, f"not within {deadline_s:g} s: {what}"
            time.sleep(0.02)

    def see(self, order_id: int, true: Callable[[OrderView], bool], deadline_s: float = DEADLINE_S) -> OrderView:
        """The order as soon as `true` says so of it."""
        until = time.monotonic() + deadline_s
        while True:
            token = self.api.change_token()
            view = self.order(order_id)
            if true(view):
                return view
            assert time.monotonic() < until, self._unseen(view)
            self.api.wait_change(token, timeout_s=LOOK_S)

    def ends(self, order_id: int, *states: OrderState) -> OrderView:
        """The order when it is in one of `states`; another state in which nothing goes on by itself fails at once."""
        view = self.see(order_id, lambda view: view.state in states or view.state.complete or view.state.halts)
        assert view.state in states, self._unseen(view)
        return view

    def step(self, order_id: int, host: str, name: str, state: StepState = StepState.RUNNING) -> OrderView:
        return self.see(order_id, lambda view: step_of(run_of(view, host), name) is state)

    def _unseen(self, view: OrderView) -> str:
        runs = [f"{run.name}: {run.state} {run.step} {run.problem}" for run in view.hosts]
        problems = [f"{host}: {problem.code} {problem.what}" for host, problem in view.problems]
        tail = self.settings.engine_log.read_text(errors="replace")[-3000:] if self.settings.engine_log.exists() else ""
        return "\n".join([f"order {view.id} is {view.state}, {view.problem}", *runs, *problems, tail])

    # ---- acting

    def create(self, version: str, *, app: str = "trade-core", **more: Any) -> int:
        return self.api.create_order(*self.place, release_spec(app, version, **more))

    def act(self, order_id: int, act: Act, reason: str = "", **parts: Any) -> None:
        command = self.api.send(*self.place, order_id, ACTS[act].type(**parts), reason=reason)
        answer = self.api.wait_command(command)
        assert answer.state is CommandState.ACCEPTED, answer.problem

    def start(self, order_id: int) -> int:
        """Start the order as soon as it is ready."""
        self.ends(order_id, OrderState.READY)
        self.act(order_id, Act.START)
        return order_id

    def release(self, version: str, **more: Any) -> int:
        """Created and started."""
        return self.start(self.create(version, **more))

    def at(self, version: str) -> None:
        """Every host on that version, by a release if need be."""
        if self.version != version:
            assert_all_well(self, self.ends(self.release(version), OrderState.SUCCEEDED), version)

    def initialise_again(self, order_id: int) -> OrderView:
        """Until it is ready: what has just been repaired may be remembered as broken for a moment."""
        until = time.monotonic() + DEADLINE_S
        while True:
            self.act(order_id, Act.INITIALISE)
            view = self.ends(order_id, OrderState.READY, OrderState.INIT_FAILED)
            if view.state is OrderState.READY:
                return view
            assert time.monotonic() < until, self._unseen(view)

    def cancel_unstarted(self, order_id: int) -> None:
        self.act(order_id, Act.CANCEL, reason="seen")
        self.ends(order_id, OrderState.CANCELLED)

    def roll_back(self, order_id: int) -> OrderView:
        self.act(order_id, Act.ROLL_BACK, reason="the weather is bad")
        return self.ends(order_id, OrderState.ROLLED_BACK)

    def retry(self, order_id: int, *hosts: str) -> OrderView:
        self.act(order_id, Act.RETRY, hosts=hosts)
        return self.ends(order_id, OrderState.SUCCEEDED)

    # ---- between tests

    def make_ready(self) -> None:
        """Good weather, an engine, the lab's own catalogue and no open order, whatever the last test left."""
        for name, hosts in self.status().faults.items():
            for host in hosts or [None]:
                self.fault(name, False, host)
        if not self.api.engine_alive():  # killed, or idle for so long that it has ended
            self.start_engine()
        if self._changed:
            self.catalogue()
        for row in self.api.orders(*self.place, open_only=True):
            view = self.order(row.id)
            back = any(meaning.act is Act.ROLL_BACK and meaning.allowed for meaning in view.acts)
            self.act(row.id, Act.ROLL_BACK if back else Act.CANCEL, reason="a test left it open")
            self.see(row.id, lambda view: view.state.complete)


@contextmanager
def fleet_of(
    folder: Path, *, impatient: bool = False, store: str = "", more_apps: bool | None = None
) -> Iterator[Fleet]:
    """A lab brought up in `folder`, with its catalogue applied and an engine running; everything is down at the end. `store`: the
    URL of another store than the lab's own file."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("COCKPIT_", "ALIBABA_CLOUD_"))]:
            patch.delenv(name)
        patch.setenv("COCKPIT_CONFIG", os.devnull)
        info = lab.up(folder, HOSTS, more_apps=more_apps)
        try:
            settings = load_settings(info.store)
            if store:
                settings = replace(settings, store=store, data_dir=folder)
            nobody_vouched = folder / "known_hosts"
            nobody_vouched.touch()
            ssh = replace(settings.ssh, known_hosts=nobody_vouched)
            outage_s = 0.0 if impatient else settings.balancer_outage_s
            fleet = Fleet(info, replace(settings, ssh=ssh, balancer_outage_s=outage_s), impatient=impatient)
            fleet.catalogue()
            fleet.api.open()
            try:
                fleet.start_engine()
                yield fleet
            finally:
                fleet.stop_engine()
                fleet.api.close()
        finally:
            lab.down(folder)


# ------------------------------------------------------------------------------------------------------ what is asserted of it


def versions_in(status: lab.LabStatus) -> dict[str, str]:
    return {host.name: host.version for host in status.hosts if host.workspace == "prod"}


def weights_in(status: lab.LabStatus, group: str = PROD_GROUP) -> dict[str, int]:
    servers = {f"i-{host.name.replace('-', '')}": host.name for host in status.hosts}
    return {servers[at.partition(":")[0]]: weight for at, weight in status.weights[group].items()}


def run_of(view: OrderView, host: str) -> HostRunView:
    return next(run for run in view.hosts if run.name == host)


def step_of(run: HostRunView, name: str) -> StepState | None:
    return next((step.state for step in run.steps if step.name == name), None)


def group_of(view: OrderView, key: str) -> tuple[str, ...]:
    return next(node.hosts for node in view.nodes if node.key == key)


def weight_of(view: OrderView, host: str) -> WeightView:
    (line,) = run_of(view, host).weights
    return line


def assert_says(problem: Problem | None, code: str, *names: str) -> None:
    """It has that code, names what it is about, and says what to do next."""
    assert problem is not None
    assert problem.code == code, problem
    for name in names:
        assert name in str(problem.what), problem
    assert str(problem.remedy).strip().endswith("."), problem


def assert_failed(view: OrderView, host: str, step: str, code: str, *names: str) -> None:
    """The host failed at that step for that reason, and the order stands still and says the same."""
    run = run_of(view, host)
    assert view.state is OrderState.HALTED
    assert run.state is RunState.FAILED
    assert run.step == step, run
    assert step_of(run, step) in (StepState.FAILED, StepState.TIMED_OUT)
    assert_says(run.problem, code, *names)
    assert_says(view.problem, code, *names)


def assert_out_of_service(fleet: Fleet, view: OrderView, host: str) -> None:
    """Weight 0 at the balancer, and the order says so."""
    assert fleet.weights()[host] == 0
    line = weight_of(view, host)
    assert (line.recorded, line.asked, line.confirmed) == (RECORDED, 0, 0)
    assert line.owned


def assert_untouched(fleet: Fleet, view: OrderView, hosts: tuple[str, ...], version: str) -> None:
    """Hosts whose turn had not come: nothing of them has changed."""
    status = fleet.status()
    versions, weights = versions_in(status), weights_in(status)
    for host in hosts:
        assert run_of(view, host).state is RunState.PENDING
        assert versions[host] == version
        assert weights[host] == RECORDED


def assert_all_well(fleet: Fleet, view: OrderView, version: str) -> None:
    """Every host runs `version`, is healthy and has its recorded weight back, and nothing is owned by the order any more."""
    assert fleet.version == version
    assert set(fleet.weights().values()) == {RECORDED}
    for run in view.hosts:
        for line in run.weights:
            assert not line.owned
            assert line.confirmed in (None, line.recorded)
