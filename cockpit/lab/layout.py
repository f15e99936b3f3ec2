"""Which hosts the practice fleet has, where they stand and which ports they use: decided once per folder and kept there, so
that a lab that is started again is the same one."""

from __future__ import annotations

import json
import random
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

TENANT = "acme"
REGION = "cn-hangzhou"
BUCKET = "lab"
PROD, TEST = "prod", "test"
TRADE_CORE, LEDGER = "trade-core", "ledger"
PRICING, GATEWAY = "pricing", "gateway"
MORE_APPS = (PRICING, GATEWAY)  # gateway calls pricing
MORE_HOSTS = 2  # of each of them
FIRST_VERSION = "1.0.0"
PROD_BALANCER, PROD_GROUP = "lb-2zelab01", "rsp-2zelab01"
TEST_BALANCER = "lb-2zelab02"
TEST_HOSTS = 2
HOST_USER, JUMP_USER, JUMP_NAME = "admin", "ops", "jump-1"
DATA_CENTRES = ("hz-a", "hz-b")
CELLS = 2
PORTS = range(12_000, 30_000)  # below what the system hands out by itself
MAX_HOSTS = 1_000


@dataclass(frozen=True, slots=True)
class LabHostPlan:
    name: str
    workspace: str
    app: str
    data_centre: str
    cell: str
    server_id: str
    ssh_port: int
    app_port: int
    health_port: int


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of the lab's own endpoints. `test_balancer` is the listener of the test workspace."""

    jump: int
    oss: int
    slb: int
    balancer: int
    test_balancer: int
    star: int
    control: int


@dataclass(frozen=True, slots=True)
class LabApp:
    """One of the apps beside trade-core in production: behind a server group and a listener of its own."""

    name: str
    group: str
    port: int


@dataclass(frozen=True, slots=True)
class Layout:
    ports: Ports
    hosts: tuple[LabHostPlan, ...]
    more: tuple[LabApp, ...] = ()

    def in_workspace(self, workspace: str) -> tuple[LabHostPlan, ...]:
        return tuple(host for host in self.hosts if host.workspace == workspace)

    def of_app(self, app: str) -> tuple[LabHostPlan, ...]:
        return tuple(host for host in self.hosts if host.app == app)

    def called_by(self, app: str) -> LabApp | None:
        """The app that this one calls."""
        return next((other for other in self.more if app == GATEWAY and other.name == PRICING), None)


def layout_of(dir: Path, hosts: int, *, more_apps: bool | None = None) -> Layout:
    """The layout kept in `dir` if it has this many hosts, the same apps and its ports are free, else a new one, which is kept.
    `more_apps` None: as it is kept, else without them. ValueError for fewer than 2 or more than 1,000 hosts."""
    if not 2 <= hosts <= MAX_HOSTS:
        raise ValueError(f"a lab has 2 to {MAX_HOSTS} hosts, not {hosts}")
    file = dir / "layout.json"
    kept = _read(file)
    if more_apps is None:
        more_apps = kept is not None and bool(kept.more)
    if (
        kept is not None
        and len(kept.of_app(TRADE_CORE)) == hosts
        and bool(kept.more) == more_apps
        and all(map(_is_free, _all_ports(kept)))
    ):
        return kept
    made = _make(hosts, MORE_APPS if more_apps else ())
    file.write_text(json.dumps(asdict(made), indent=1))
    return made


def kept_layout(dir: Path) -> int | None:
    """How many hosts the layout kept in `dir` has behind the balancer."""
    kept = _read(dir / "layout.json")
    return len(kept.of_app(TRADE_CORE)) if kept else None


def _read(file: Path) -> Layout | None:
    try:
        data = json.loads(file.read_text())
        more = tuple(LabApp(**app) for app in data.get("more", ()))
        return Layout(Ports(**data["ports"]), tuple(LabHostPlan(**host) for host in data["hosts"]), more)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _make(hosts: int, more: tuple[str, ...]) -> Layout:
    own = len(Ports.__dataclass_fields__)
    free = _free_ports(own + 3 * (hosts + TEST_HOSTS + MORE_HOSTS * len(more)) + len(more))
    plans = []
    for number in range(hosts):
        centre, nth = DATA_CENTRES[number % 2], number // 2
        plans.append((f"{centre}-{nth + 1:02d}", PROD, TRADE_CORE, centre, f"{centre}-{nth % CELLS + 1}"))
    plans += [(f"test-{nth + 1:02d}", TEST, LEDGER, "hz-a", "hz-a-t") for nth in range(TEST_HOSTS)]
    plans += [
        (f"{app}-{nth + 1:02d}", PROD, app, DATA_CENTRES[nth % 2], f"{DATA_CENTRES[nth % 2]}-1")
        for app in more
        for nth in range(MORE_HOSTS)
    ]
    rows = [
        LabHostPlan(*plan, f"i-{plan[0].replace('-', '')}", *free[own + 3 * nth : own + 3 * nth + 3])
        for nth, plan in enumerate(plans)
    ]
    listeners = free[len(free) - len(more) :]
    apps = tuple(LabApp(app, f"rsp-2zelab{app}", port) for app, port in zip(more, listeners, strict=True))
    return Layout(Ports(*free[:own]), tuple(rows), apps)


def _all_ports(layout: Layout) -> list[int]:
    own = [*asdict(layout.ports).values(), *(app.port for app in layout.more)]
    return own + [port for host in layout.hosts for port in (host.ssh_port, host.app_port, host.health_port)]


def _free_ports(count: int) -> list[int]:
    candidates = random.sample(PORTS, k=min(len(PORTS), count * 20))
    found: list[int] = []
    for port in candidates:
        if _is_free(port):
            found.append(port)
            if len(found) == count:
                return found
    raise OSError(f"no {count} free ports in {PORTS.start}–{PORTS.stop}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers will bind: the remains of closed connections do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
