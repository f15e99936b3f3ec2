"""One release of n hosts, measured: fleet, engine and raw loop as processes of their own, figures read from /proc."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import sqlalchemy as sa

from engine.domain.acts import ACTS
from engine.domain.states import Act, OrderState
from engine.kinds.release import release_spec
from engine.store import tables as t
from engine.store.commands import insert_command
from engine.store.store import Store
from tests.benchmarks.fleet import ARCHIVES, BALANCER, BUCKET, GROUP, REGION, address, name
from tests.support.orders import make_order

ROOT = Path(__file__).parents[2]
DEADLINE_S = 900
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    wall_s: float
    cpu_s: float
    memory_mib: float


@dataclass(frozen=True, slots=True)
class Released:
    """`check` is initialisation, `group` from the start of the order to its end, `changes` the calls that changed weights."""

    check: Cost
    group: Cost
    changes: int

    @property
    def cpu_s(self) -> float:
        return self.check.cpu_s + self.group.cpu_s

    @property
    def wall_s(self) -> float:
        return self.check.wall_s + self.group.wall_s


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "COCKPIT_STORE": f"sqlite:///{folder}/cockpit.db",
        "COCKPIT_SSH__IDENTITY_FILES": json.dumps([str(folder / "id")]),
        "COCKPIT_SSH__AGENT": "false",
        "ALIBABA_CLOUD_ACCESS_KEY_ID": "lab-key",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "lab-secret",
        **more,
    }


@contextmanager
def process(folder: Path, module: str, *arguments: object, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m module arguments`; ended with SIGTERM, and killed when that is not heard."""
    with (folder / f"{module}.log").open("wb") as log:
        command = [sys.executable, "-m", f"tests.benchmarks.{module}", *map(str, arguments)]
        running = subprocess.Popen(command, cwd=ROOT, env=environment(folder, **more), stdout=log, stderr=log)
        try:
            yield running
        finally:
            running.send_signal(signal.SIGTERM)
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait(10)


@contextmanager
def fleet(folder: Path, hosts: int) -> Iterator[dict[str, Any]]:
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(folder / "id")
    (folder / "id").chmod(0o600)
    with process(folder, "fleet", folder, hosts):
        until(lambda: (folder / "fleet.json").exists(), 60)
        yield json.loads((folder / "fleet.json").read_text())


def until(holds: Callable[[], bool], deadline_s: float, *, every_s: float = 0.02) -> None:
    end = time.perf_counter() + deadline_s
    while not holds():
        assert time.perf_counter() < end, "it did not happen in time"
        time.sleep(every_s)


def raw_loop(folder: Path, hosts: int) -> Cost:
    command = [sys.executable, "-m", "tests.benchmarks.raw_loop", str(folder), str(hosts)]
    ran = subprocess.run(
        command, cwd=ROOT, env=environment(folder), capture_output=True, timeout=DEADLINE_S, check=False
    )
    assert ran.returncode == 0, ran.stderr.decode()
    return Cost(**json.loads(ran.stdout))


def release(folder: Path, hosts: int, facts: dict[str, Any], *, mounted: bool = True, profile: str = "") -> Released:
    """Insert the fleet, create an order, run it to its end with a real engine over a new SQLite store."""
    store = Store.open(f"sqlite:///{folder}/cockpit.db")
    with store.writing() as conn:
        workspace, _ = insert_fleet(conn, hosts, facts, mounted=mounted)
    more = {"COCKPIT_BENCH_PROFILE": profile} if profile else {}
    with process(folder, "engine_with_trivial_steps", **more) as engine:
        until(lambda: engine_alive(store, engine.pid), 30)
        spec = release_spec("shop", "2.0.0", parallelism=50)
        before = changes(folder)
        began, used = time.perf_counter(), cpu_s(engine.pid)
        with store.writing() as conn:
            order = make_order(conn, workspace, spec, created_by="bench", now=time.time())
        await_state(store, order, OrderState.READY)
        checked, used_by_check = time.perf_counter(), cpu_s(engine.pid)
        send(store, order, Act.START)
        await_state(store, order, OrderState.SUCCEEDED)
        ended, used_at_end = time.perf_counter(), cpu_s(engine.pid)
        memory = peak_mib(engine.pid)
        said = time.time()  # the fleet writes its count a few times a second
        until(lambda: (folder / "changes").stat().st_mtime > said, 30)
        calls = changes(folder) - before
    store.close()
    return Released(
        Cost(checked - began, used_by_check - used, memory),
        Cost(ended - checked, used_at_end - used_by_check, memory),
        calls,
    )


def changes(folder: Path) -> int:
    try:
        return int((folder / "changes").read_text() or 0)
    except FileNotFoundError:
        return 0


def send(store: Store, order: int, act: Act) -> None:
    with store.writing() as conn:
        insert_command(conn, order_id=order, act=ACTS[act].type(), operator="bench", reason="", now=time.time())


def await_state(store: Store, order: int, wanted: OrderState) -> None:
    def there() -> bool:
        with store.reading() as conn:
            row = conn.execute(sa.select(t.order.c.state, t.order.c.problem).where(t.order.c.id == order)).one()
        state = OrderState(row.state)
        assert state is wanted or state not in (OrderState.HALTED, OrderState.INIT_FAILED, OrderState.FAILED), row
        return state is wanted

    until(there, DEADLINE_S)


def engine_alive(store: Store, pid: int) -> bool:
    """Whether the engine that owns the store is that process."""
    query = sa.select(sa.func.count()).where(t.engine.c.state == "active", t.engine.c.pid == pid)
    with store.reading() as conn:
        return bool(conn.execute(query).scalar_one())


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def insert_fleet(conn: sa.Connection, hosts: int, facts: dict[str, Any], *, mounted: bool) -> tuple[int, int]:
    """Ids of the workspace and the service instance."""

    def insert(table: sa.Table, **values: object) -> int:
        return int(conn.execute(sa.insert(table).values(**values).returning(table.c.id)).scalar_one())

    def reference(archive: str) -> dict[str, Any]:
        return {"region": REGION, "bucket": BUCKET, "key": archive, "sha256": "", **facts["objects"][archive]}

    tenant = insert(t.tenant, name="acme")
    workspace = insert(t.workspace, tenant_id=tenant, name="prod", production=False, floor_percent=0)
    region = insert(t.region, workspace_id=workspace, name=REGION, oss_endpoint=facts["oss"], slb_endpoint=facts["slb"])
    stack = insert(
        t.tech_stack, tenant_id=tenant, name="web", version="1", supported_os={}, supported_regions=[], install_list=[],
        parameters=[{"name": "drain_s", "default": "0"}],
        scripts={"install": "bin/i.sh", "configure": "bin/c.sh", "deploy": "bin/d.sh"}, archive=reference(ARCHIVES[0]),
    )  # fmt: skip
    app = insert(t.app, tenant_id=tenant, name="shop", tech_stack_id=stack, app_metadata={})
    for version, archive in (("1.0.0", ARCHIVES[1]), ("2.0.0", ARCHIVES[2])):
        insert(t.package, app_id=app, version=version, **reference(archive))
    instance = insert(t.service_instance, workspace_id=workspace, app_id=app, current_version="1.0.0")
    insert(t.succeeded_version, service_instance_id=instance, version="1.0.0", at=1.0)
    balancer = insert(t.balancer, workspace_id=workspace, region_id=region, balancer_id=BALANCER)
    centre = insert(t.data_centre, workspace_id=workspace, region_id=region, name="hz-a")
    cell = insert(t.cell, workspace_id=workspace, data_centre_id=centre, name="hz-a-1")
    for number in range(hosts):
        host = insert(
            t.host, workspace_id=workspace, cell_id=cell, name=name(number), address=address(number),
            ssh_port=facts["port"], host_key=facts["host_key"], server_id=f"i-{name(number)}", jump_chain=[],
            variables={"app_port": "80"}, state="deployed", version="1.0.0",
        )  # fmt: skip
        conn.execute(sa.insert(t.service_instance_host).values(service_instance_id=instance, host_id=host))
        if mounted:
            insert(
                t.mount,
                service_instance_id=instance,
                balancer_id=balancer,
                host_id=host,
                vserver_group_id=GROUP,
                port=80,
            )
    return workspace, instance
