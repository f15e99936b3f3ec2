"""What a seed means: the fleet, the orders, the operators' temper and the faults of one run. All of it is chosen, none happens."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from engine.domain.orders import OrderSpec
from engine.domain.states import Strategy, TrafficMode
from engine.kinds import chosen_hosts
from engine.kinds.release import release_spec
from tests.simulation.balancer import BalancerFaults, PackageFaults
from tests.simulation.hosts import HostFaults
from tests.simulation.store import StoreFaults

VERSIONS = ("1.0.0", "2.0.0", "3.0.0")


@dataclass
class AppScenario:
    """One app: its hosts, how they stand behind server groups, and its orders, one after another."""

    name: str
    hosts: int
    floor_percent: int
    groups: int  # server groups every mounted host stands in
    unmounted: int  # the last hosts take no traffic
    idle: int  # mounted hosts whose weight is 0 before the order
    orders: list[OrderSpec]
    overlapping: bool = False  # the second order is made while the first is open


@dataclass
class EngineFaults:
    """Chances that an engine is killed or freezes at one of its steps, and for how long it then does nothing."""

    kill: float = 0.0
    freeze: float = 0.0
    within_steps: int = 2500
    freeze_s: float = 20.0
    restart_s: float = 1.5
    lease_s: float | None = None
    engines: int = 1
    rob_every_s: float = 0.0


@dataclass
class Scenario:
    seed: int
    apps: list[AppScenario]
    hosts: HostFaults = field(default_factory=HostFaults)
    balancer: BalancerFaults = field(default_factory=BalancerFaults)
    packages: PackageFaults = field(default_factory=PackageFaults)
    store: StoreFaults = field(default_factory=StoreFaults)
    engines: EngineFaults = field(default_factory=EngineFaults)
    faults_until_s: float = 60.0
    wild: float = 0.0  # of the presses of a key, how many are not sensible
    press_every_s: float = 2.0
    outside_every_s: float = 0.0  # somebody else changes a weight
    away_every_s: float = 0.0  # a host cannot be reached for a while
    outage_every_s: float = 0.0  # the balancer's API is away for a while
    store_away_every_s: float = 0.0
    reboot: float = 0.0  # of those, how many restart
    forgets: float = 0.0  # of those, how many lose the folder of their jobs
    dies_every_s: float = 0.0  # the service of a host dies, its weight stays
    unchecked: bool = False  # the balancer checks no health: only ours can tell, when the order is checked
    bad: dict[tuple[str, str], str] = field(default_factory=dict)  # (host or *, version) → always | once

    def __str__(self) -> str:
        return f"seed {self.seed}: " + "; ".join(
            f"{app.name} {app.hosts} hosts, {', '.join(_short(spec) for spec in app.orders)}" for app in self.apps
        )


def scenario(seed: int, *, hosts: int | None = None) -> Scenario:
    chance = random.Random(f"{seed}/scenario")
    made = Scenario(seed, [_app(chance, "shop", hosts)])
    if hosts is None and chance.random() < 0.2:
        made.apps.append(_app(chance, "cart", None))
    made.wild = chance.choice((0.0, 0.0, 0.15, 0.3, 0.6))
    made.press_every_s = chance.choice((0.5, 1.5, 4.0))
    made.faults_until_s = chance.uniform(15, 60)
    for choose in (_host_faults, _balancer_faults, _package_faults, _store_faults, _engine_faults, _bad_versions):
        if chance.random() < 0.5:
            choose(made, chance)
    if chance.random() < 0.15:
        made.outside_every_s = chance.uniform(5, 20)
    _deaths(made, random.Random(f"{seed}/deaths"))
    _outages(made, random.Random(f"{seed}/outages"))
    _other_kinds(made, random.Random(f"{seed}/kinds"))
    return made


def _deaths(made: Scenario, chance: random.Random) -> None:
    made.unchecked = chance.random() < 0.15
    if chance.random() < 0.35:
        made.dies_every_s = chance.choice((3.0, 8.0, 20.0))


def _outages(made: Scenario, chance: random.Random) -> None:
    """Some last longer than an order waits, so there must be time for them."""
    if chance.random() < 0.3:
        made.outage_every_s = chance.choice((15.0, 60.0))
        made.faults_until_s = max(made.faults_until_s, chance.choice((60.0, 200.0, 500.0)))


def _other_kinds(made: Scenario, chance: random.Random) -> None:
    """After their releases some apps have hosts restarted, taken offline, and brought online again."""
    for app in made.apps:
        if app.overlapping or chance.random() < 0.5:
            continue
        kinds = chance.choice((["restart"], ["offline"], ["offline", "online"], ["offline", "restart", "online"]))
        app.orders += [_on_some(chance, app, kind) for kind in kinds]


def _on_some(chance: random.Random, app: AppScenario, kind: str) -> OrderSpec:
    names = [f"{app.name}-a{number:03}" for number in range(app.hosts)]
    some = chance.sample(names, chance.randint(1, max(1, app.hosts // 2))) if kind == "offline" else []
    return chosen_hosts.spec_of(
        kind,
        [app.name],
        hosts=some,
        strategy=chance.choice(list(Strategy)),
        groups=chance.choice((1, 1, 2)),
        beta=chance.random() < 0.3,
        parallelism=chance.choice((1, 2, 50)),
        max_failures=chance.choice((0, 0, 1)),
        override_reason=chance.choice(("", "", "", "at night")),
        seed=chance.randint(0, 999),
    )


def calm(seed: int, hosts: int) -> Scenario:
    """A release of one app in which nothing goes wrong: for measuring."""
    spec = release_spec("shop", VERSIONS[1], groups=4, parallelism=50, seed=seed)
    return Scenario(seed, [AppScenario("shop", hosts, 50, 1, 0, 0, [spec])])


def _app(chance: random.Random, name: str, hosts: int | None) -> AppScenario:
    count = hosts or chance.choice((2, 3, 4, 4, 5, 6, 6, 8, 10, 12))
    orders = [_spec(chance, name, VERSIONS[1], count)]
    if chance.random() < 0.35:
        if chance.random() < 0.4:
            orders.append(_spec(chance, name, VERSIONS[0], count, "rollback"))
        else:
            orders.append(_spec(chance, name, VERSIONS[2], count))
    return AppScenario(
        name,
        count,
        floor_percent=chance.choice((0, 50, 50, 50, 75)),
        groups=chance.choice((1, 1, 1, 2)),
        unmounted=chance.choice((0, 0, 0, 1)) if count > 2 else 0,
        idle=chance.choice((0, 0, 0, 1)) if count > 3 else 0,
        orders=orders,
        overlapping=chance.random() < 0.1,
    )


def _spec(chance: random.Random, app: str, version: str, hosts: int, kind: str = "release") -> OrderSpec:
    traffic = chance.choice((TrafficMode.SNAPSHOT, TrafficMode.SNAPSHOT, TrafficMode.GRAY, TrafficMode.PRESET))
    return release_spec(
        app,
        version,
        kind=kind,
        strategy=chance.choice(list(Strategy)),
        groups=chance.choice((2, 2, 3, 4)),
        beta=chance.random() < 0.5,
        traffic=traffic,
        preset_weights={f"{app}-a{n:03}": chance.randint(1, 100) for n in range(hosts)}
        if traffic is TrafficMode.PRESET
        else {},
        parallelism=chance.choice((1, 2, 5, 50)),
        max_failures=chance.choice((0, 0, 0, 1, 2)),
        floor=chance.choice((None, None, None, 0, 1)),
        override_reason=chance.choice(("", "", "", "", "known to be quick")),
        reason="because" if kind == "rollback" else "",
        seed=chance.randint(0, 999),
    )


def _some(chance: random.Random, most: float) -> float:
    """Often none, sometimes a little, rarely a lot."""
    return most * chance.choice((0.0, 0.0, 0.2, 0.5, 1.0))


def _host_faults(made: Scenario, chance: random.Random) -> None:
    made.hosts = HostFaults(
        request=_some(chance, 0.1),
        answer=_some(chance, 0.1),
        drop=_some(chance, 0.1),
        fails=_some(chance, 0.1),
        hangs=_some(chance, 0.05),
        slow=_some(chance, 0.2),
        latency_s=chance.choice((0.01, 0.1, 0.5)),
        step_s=chance.choice((0.2, 0.6, 3.0)),
    )
    made.away_every_s = chance.choice((0.0, 0.0, 5.0, 20.0))
    made.reboot = chance.choice((0.0, 0.5))
    made.forgets = random.Random(f"{made.seed}/forgets").choice((0.0, 0.0, 0.3))


def _balancer_faults(made: Scenario, chance: random.Random) -> None:
    made.balancer = BalancerFaults(
        busy=_some(chance, 0.5),
        throttled=_some(chance, 0.3),
        lost=_some(chance, 0.3),
        done_but_lost=_some(chance, 0.3),
        silent=_some(chance, 0.1),
        lie=_some(chance, 0.3),
        late=_some(chance, 0.7),
        refused=_some(chance, 0.1),
        unread=_some(chance, 0.3),
    )


def _package_faults(made: Scenario, chance: random.Random) -> None:
    unsigned = _some(random.Random(f"{made.seed}/signing"), 0.2)
    made.packages = PackageFaults(away=_some(chance, 0.4), download=_some(chance, 0.2), unsigned=unsigned)


def _store_faults(made: Scenario, chance: random.Random) -> None:
    made.store = StoreFaults(read=_some(chance, 0.02), commit=_some(chance, 0.05), answer=_some(chance, 0.05))
    made.store_away_every_s = chance.choice((0.0, 0.0, 15.0))


def _engine_faults(made: Scenario, chance: random.Random) -> None:
    made.engines = EngineFaults(
        kill=chance.choice((0.0, 0.5, 0.9)),
        freeze=chance.choice((0.0, 0.5, 0.9)),
        within_steps=chance.choice((300, 1500, 4000)),
        freeze_s=chance.choice((2.0, 15.0, 40.0)),
        restart_s=chance.choice((0.3, 3.0)),
        lease_s=chance.choice((None, 10.0)),
        engines=chance.choice((1, 2)),
        rob_every_s=chance.choice((0.0, 0.0, 8.0)),
    )


def _bad_versions(made: Scenario, chance: random.Random) -> None:
    version = chance.choice(VERSIONS[1:])
    how = chance.choice(("always", "once"))
    if chance.random() < 0.3:
        made.bad["*", version] = how
    for app in made.apps:
        for number in range(app.hosts):
            if chance.random() < 0.2:
                made.bad[f"{app.name}-a{number:03}", chance.choice(VERSIONS)] = chance.choice(("always", "once"))


def _short(spec: OrderSpec) -> str:
    data, grouping = spec.what.data, spec.grouping
    versions = " ".join(str(app["version"]) if isinstance(app, dict) else str(app) for app in data["apps"])
    return f"{spec.kind} {versions} {grouping.strategy} {data.get('traffic', '')}" + (" beta" if grouping.beta else "")
