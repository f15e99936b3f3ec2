"""What must hold in every run, judged from what the world saw and what the rows say; no rule is shared with engine or fakes.

Told of every weight and every step at the moment it happens; the last questions are asked when all orders have ended.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from engine.domain import step_names
from engine.domain.fleet import MountWeight, ServerGroup
from engine.ports import Job
from engine.steps.registry import STEPS
from engine.store import tables as t
from tests.simulation.balancer import SimBalancer
from tests.simulation.fleet import SimApp, SimFleet
from tests.simulation.hosts import SimHost, SimJob
from tests.simulation.loop import ASKER, Process, running_loop
from tests.simulation.store import MemoryStore

Key = tuple[str, int]
# An engine that lost an order may have a call on its way for so long; what is sent later is an act of its own.
LATE_S = 2.0

OWNED = "1 no ended order owns a weight"
HEALTH = "2 weight only on a host whose health passed for its version"
FLOOR = "3 capacity never below the floor"
GATE = "4 a group never starts before its gate"
TWICE = "5 no step runs twice in one attempt in one node"
END = "6 every order reaches an end"
TWO = "7 two engines never act on the same host"
TRUTH = "8 what the journal says is what the world shows"
BACK = "9 rollback goes to the last version that succeeded"
WANTED = "10 a wanted zero is nobody's, and on no list"
KEPT = "11 what a retry keeps is still so, and is not done again"
BROKE = "0 the engine never falls over"

_STARTED = frozenset({step_names.DEPLOY, "restart"})
_LASTING = _STARTED | {step_names.INSTALL_SOFTWARE, step_names.CONFIGURE_ENVIRONMENT}
COMPLETE = ("cancelled", "rolled_back", "succeeded", "failed")
_TAKEN_OVER = (
    sa.select(t.event.c.at, t.event.c.data)
    .where(t.event.c.order_id == sa.bindparam("order_id"), t.event.c.kind == "engine")
    .order_by(t.event.c.id.desc())
    .limit(1)
)
_KEY = re.compile(r"(forward|back)-(.+)-(\d+)(?:\.\d+)?")


@dataclass(frozen=True)
class Violation:
    at: float
    checker: str
    what: str

    def __str__(self) -> str:
        return f"{self.checker}: {self.what} (at {self.at:.3f} s)"


@dataclass
class OrderFacts:
    """What is remembered of an order from its first act on a host: its rows then, and what its hosts ran then."""

    id: int
    app: SimApp
    spec: dict[str, Any]
    stages: list[tuple[str, tuple[str, ...]]]  # of the plan forward, in order: (key, hosts); gates have no hosts
    serving: dict[ServerGroup, set[str]]
    versions: dict[str, str]
    version: str  # what its hosts are to run
    created_at: float = 0.0

    @property
    def kind(self) -> str:
        return str(self.spec["what"]["kind"])

    def floor(self, group: ServerGroup) -> int:
        if self.spec["override_reason"]:
            return 0
        if self.spec["floor"] is not None:
            return int(self.spec["floor"])
        count, percent = len(self.serving[group]), self.app.floor_percent
        return max(1, math.ceil(count * percent / 100)) if percent and count else 0


@dataclass
class Checkers:
    store: MemoryStore
    fleet: SimFleet
    hosts: dict[str, SimHost]
    violations: list[Violation] = field(default_factory=list)
    balancer: SimBalancer = field(init=False)
    engines: dict[str, Process] = field(default_factory=dict)  # engine id → its process
    orders: dict[int, OrderFacts] = field(default_factory=dict)
    begun: Counter[tuple[int, str, tuple[str, str, str], str]] = field(default_factory=Counter)
    done: dict[tuple[int, str, str, str, str], dict[str, int]] = field(default_factory=dict)
    opened: set[tuple[int, str]] = field(default_factory=set)  # (order, stage) that was seen to start rightly
    asked_and_passed: set[tuple[str, str]] = field(default_factory=set)  # (host, version) outside of a job
    # hosts of which our own check, made last, did not say that they answer
    silent: set[str] = field(default_factory=set)
    # (order, host, job) → when the host was asked, of which steps it was to look at something, what was no longer so
    untrue: dict[tuple[int, str, str], list[tuple[float, frozenset[str], frozenset[str]]]] = field(default_factory=dict)
    actors: dict[tuple[int, str], dict[Process, int]] = field(default_factory=dict)
    outside: set[tuple[ServerGroup, Key]] = field(default_factory=set)  # last set by somebody else
    by_hand: set[tuple[ServerGroup, Key]] = field(default_factory=set)
    checks: Counter[str] = field(default_factory=Counter)  # how often each was asked
    epoch_s: float = 0.0

    def violated(self, checker: str, what: str) -> None:
        self.violations.append(Violation(running_loop().time(), checker, what))

    # ------------------------------------------------------------------------------------------------------------- weights

    def weights_sent(self, process: Process | None, group: ServerGroup, lines: Sequence[MountWeight]) -> None:
        """A late engine: it lost the order a while ago and still asks."""
        order_id = self._order_of(lines[0].mount.host)
        if order_id is None or process is None:
            return
        owner, since = self._owner(order_id)
        self.checks[TWO] += 1
        if owner is not None and owner is not process and self._age(since) > LATE_S:
            hosts = ", ".join(line.mount.host for line in lines)
            self.violated(
                TWO, f"{process.name} sets weights of {hosts}, but {owner.name} has order #{order_id} since {since}"
            )

    def weight_set(self, group: ServerGroup, key: Key, before: int, after: int, *, ours: bool) -> None:
        if not ours:
            self.outside.add((group, key))
            return
        self.outside.discard((group, key))
        host = self.hosts[key[0].removeprefix("i-")]
        if after > 0:
            self.checks[HEALTH] += 1
            if host.dead_since is None and (not host.up or host.passed != host.version):
                state = "up" if host.up else "down"
                self.violated(
                    HEALTH, f"{host.name} gets weight {after} running {host.version} ({state}, passed {host.passed})"
                )
        elif before > 0:
            self._check_floor(group, host.name)

    def _check_floor(self, group: ServerGroup, host: str) -> None:
        facts = self._facts(self._order_of(host))
        if facts is None:
            return
        decided = self._decided(facts, group, host)
        if self._out(host, decided):
            return  # it served nobody
        self.checks[FLOOR] += 1
        serving = {
            name
            for (server, port), weight in self.balancer.weights[group].items()
            if (weight > 0 or (group, (server, port)) in self.outside)
            and not self._out(name := server.removeprefix("i-"), decided)
        }
        floor = facts.floor(group)
        if len(serving) < floor:
            self.violated(FLOOR, f"{len(serving)} hosts of {group} in service after {host} left, the floor is {floor}")

    def _out(self, host: str, decided: float) -> bool:
        """Whether it counts as out of service, with a weight or without: dead since then or, where only our own check can tell, one
        of which it did not say that it answers."""
        return self.hosts[host].was_dead_since(decided) or (not self.balancer.checks and host in self.silent)

    def _decided(self, facts: OrderFacts, group: ServerGroup, host: str) -> float:
        """When the engine last looked at who answers before this cut. A balancer that checks nothing tells no death at all: only
        our own check could, when the order was checked."""
        if not self.balancer.checks:
            return facts.created_at - self.epoch_s
        call = t.weight_call.c
        query = sa.select(sa.func.max(call.at)).where(
            call.order_id == facts.id,
            call.host == host,
            call.vserver_group_id == group.vserver_group_id,
            call.asked == 0,
        )
        with self.store.reading() as conn:
            return float(conn.execute(query).scalar() or self.epoch_s) - self.epoch_s

    # --------------------------------------------------------------------------------------------------------------- hosts

    def job_accepted(self, host: SimHost, job: Job, what: str) -> None:
        """Two engines on one host: another one has acted there for this order under an epoch that is not older."""
        asker = ASKER.get()
        if asker is None:
            return
        acted = self.actors.setdefault((job.order_id, host.name), {})
        self.checks[TWO] += 1
        later = [other.name for other, epoch in acted.items() if other is not asker and epoch >= job.epoch]
        if later:
            self.violated(TWO, f"{asker.name} acts on {host.name} ({what} {job.key}) beside {', '.join(later)}")
        acted[asker] = max(job.epoch, acted.get(asker, 0))

    def step_started(self, host: SimHost, job: SimJob, step: str) -> None:
        order_id, key = job.job.order_id, job.job.key
        facts = self._facts(order_id)
        assert facts is not None
        direction, node, _ = attempt = self._attempt(key)
        name = (order_id, host.name, attempt, step)
        self.begun[name] += 1
        self.checks[TWICE] += 1
        if self.begun[name] > 1:
            self.violated(TWICE, f"{step} of {key} ran {self.begun[name]} times on {host.name}")
        others = [other.job.key for other in host.jobs.values() if other is not job and other.running is not None]
        self.checks[TWO] += 1
        if others:
            self.violated(TWO, f"{host.name} runs {step} of {key} beside {', '.join(others)}")
        if direction == "forward":
            self._check_stage(facts, host.name, node)
        if step != step_names.CHECK_HEALTH:
            self._check_at_zero(host, step)
        if step == step_names.DEPLOY:
            self._check_version(facts, host, direction, str(job.job.variables["APP_VERSION"]))

    def step_ended(self, host: SimHost, job: SimJob, step: str, status: int) -> None:
        self.done.setdefault((job.job.order_id, host.name, *self._attempt(job.job.key)), {})[step] = status
        if step == step_names.CHECK_HEALTH:
            self._told(host, status == 0)

    def health_asked(self, host: SimHost, passes: bool | None) -> None:
        """Outside of a job: before an order begins, or by an engine that does not know what became of a check. None: not answered
        yet, and never if the link is lost meanwhile."""
        self._told(host, bool(passes))
        if passes and host.passed is not None:
            self.asked_and_passed.add((host.name, host.passed))

    def _told(self, host: SimHost, passes: bool) -> None:
        if passes:
            self.silent.discard(host.name)
        else:
            self.silent.add(host.name)

    def recalled(self, host: SimHost, job: Job) -> None:
        """What of that job is not so any more: nothing, after a restart; of the service, if that was started again or has died."""
        now, there = running_loop().time(), host.jobs.get((job.order_id, job.key))
        ended = None if there is None or there.forgotten else there.ended_at
        if ended is None or any(at > ended for at in host.restarts):
            untrue = _LASTING
        elif not host.up or host.starts[-1] > ended:
            untrue = _STARTED
        else:
            untrue = frozenset()
        looked = frozenset(step.name for step in job.steps)
        self.untrue.setdefault((job.order_id, host.name, job.key), []).append((now, looked, untrue))

    def _attempt(self, key: str) -> tuple[str, str, str]:
        """Direction, node, attempt."""
        found = _KEY.fullmatch(key)
        assert found, f"a job called {key}"
        return found[1], found[2], found[3]

    def _check_at_zero(self, host: SimHost, step: str) -> None:
        """Nothing but a health check is done to a host that takes traffic, unless somebody else gave it the weight."""
        self.checks[HEALTH] += 1
        for group, weights in self.balancer.weights.items():
            for key, weight in weights.items():
                if key[0] == f"i-{host.name}" and weight > 0 and (group, key) not in self.outside:
                    self.violated(HEALTH, f"{step} begins on {host.name} while its weight in {group} is {weight}")

    def _check_stage(self, facts: OrderFacts, host: str, key: str) -> None:
        at = next((n for n, (stage, hosts) in enumerate(facts.stages) if stage == key and host in hosts), None)
        if at is None:
            self.violated(GATE, f"{host} is not in {key} of order #{facts.id}")
            return
        if (facts.id, key) in self.opened:
            return
        self.opened.add((facts.id, key))
        self.checks[GATE] += 1
        if not self._pressed(facts.id, "start", None):
            self.violated(GATE, f"{key} of order #{facts.id} begins on {host} and nobody started the order")
        for before, hosts in facts.stages[:at]:
            if not hosts:
                if not self._pressed(facts.id, "confirm", before):
                    self.violated(GATE, f"{key} of order #{facts.id} begins on {host} before {before}")
                continue
            with self.store.reading() as conn:
                out = {name for name in hosts if self._left_out(conn, facts.id, name)}
            passed = [name for name in hosts if name in out or self._passed(facts, name)]
            if len(hosts) - len(passed) > self._may_fail(facts):
                self.violated(
                    GATE, f"{key} begins on {host} when {len(passed)} of {len(hosts)} hosts of {before} passed"
                )

    def _passed(self, facts: OrderFacts, host: str) -> bool:
        attempts = (steps for (o, h, d, *_), steps in self.done.items() if (o, h, d) == (facts.id, host, "forward"))
        if (host, facts.version) in self.asked_and_passed:
            return True
        return any(steps.get(step_names.CHECK_HEALTH) == 0 or steps.get("offline") == 0 for steps in attempts)

    def _left_out(self, conn: sa.Connection, order_id: int, host: str) -> bool:
        """Whether a person said that the order goes on without the host."""
        asked = sa.select(t.command.c.params).where(
            t.command.c.order_id == order_id,
            t.command.c.act.in_(("skip", "exclude")),
            t.command.c.state == "accepted",
        )
        return any(params.get("host") == host and "step" not in params for params in conn.execute(asked).scalars())

    def _may_fail(self, facts: OrderFacts) -> int:
        """How many of a group, by what was asked for first or at any time since."""
        with self.store.reading() as conn:
            asked = sa.select(t.command.c.params).where(
                t.command.c.order_id == facts.id, t.command.c.act == "set_limits", t.command.c.state == "accepted"
            )
            changed = [int(params.get("max_failures", 0)) for params in conn.execute(asked).scalars()]
        return max([int(facts.spec["max_failures"]), *changed])

    def _pressed(self, order_id: int, act: str, node: str | None) -> bool:
        with self.store.reading() as conn:
            asked = sa.select(t.command.c.params, t.command.c.state).where(
                t.command.c.order_id == order_id, t.command.c.act == act, t.command.c.state != "refused"
            )
            return any(node is None or row.params.get("node") == node for row in conn.execute(asked))

    def _check_version(self, facts: OrderFacts, host: SimHost, direction: str, version: str) -> None:
        if direction == "forward" and facts.kind != "rollback":
            return
        self.checks[BACK] += 1
        with self.store.reading() as conn:
            ended = _orders_of(facts.app, t.order_app.c.to_version).where(t.order.c.state == "succeeded")
            succeeded = {facts.app.version, *conn.execute(ended).scalars()}
            packages = set(conn.execute(sa.select(t.package.c.version)).scalars())
            asked = sa.select(t.command.c.params).where(
                t.command.c.order_id == facts.id, t.command.c.act == "roll_back", t.command.c.state == "accepted"
            )
            named = {params.get("version") for params in conn.execute(asked).scalars()} - {None}
        if version not in succeeded & packages:
            self.violated(BACK, f"{host.name} goes back to {version}, which never succeeded here or is gone")
        wanted = named or {facts.versions[host.name]}
        if direction == "back" and version not in wanted:
            self.violated(BACK, f"{host.name} goes back to {version}, not to {', '.join(sorted(map(str, wanted)))}")

    # ---------------------------------------------------------------------------------------------------------- at the end

    def at_end(self) -> None:
        """When every order has ended and nothing is on its way any more."""
        with self.store.reading() as conn:
            orders = list(conn.execute(sa.select(t.order).order_by(t.order.c.id)))
            last = {self._app_of(conn, row.id).name: row.id for row in orders if row.started_at is not None}
            for row in orders:
                self._check_owned(conn, row)
                self._check_steps(conn, row)
                self._check_kept(conn, row)
                if row.id in last.values():
                    self._check_truth(conn, row)
            self._check_hosts(conn)
            self._check_wanted(conn)

    def _check_owned(self, conn: sa.Connection, order: sa.Row[Any]) -> None:
        """A cancelled order may leave a host at 0 that was tried and did not pass its check, or whose weight could not be given
        back; an online order one that was asked for and that nobody knows for sure; a way back that a person gave up may leave any
        that it had not brought back, or that nobody knows for sure. Those are listed as owned, so that somebody finds them. Nothing
        else is."""
        self.checks[OWNED] += 1
        if order.state not in COMPLETE:
            return
        runs = {(run.direction, run.host): run.state for run in conn.execute(_of(t.host_run, order.id))}
        for line in conn.execute(_of(t.weight, order.id)):
            back = runs.get(("back", line.host))
            tried = order.state == "cancelled" and back in ("failed", "cancelled")
            given_up = order.state == "failed" and (back != "succeeded" or line.verified != "yes")
            unsure = order.state == "cancelled" and order.kind == "online" and line.verified != "yes"
            # a person went on without it: it answered and has its weight back, or it is found on the list
            left_out = self._left_out(conn, order.id, line.host) and "skipped" in (
                back,
                runs.get(("forward", line.host)),
            )
            if line.owned and not (tried or given_up or unsure or left_out):
                self.violated(OWNED, f"#{order.id} has ended {order.state} and owns the weight of {line.host}")

    def _check_steps(self, conn: sa.Connection, order: sa.Row[Any]) -> None:
        remote = {row.plan.does for row in STEPS.values() if not row.plan.on_balancer}
        for step in conn.execute(_of(t.step, order.id).where(t.step.c.state == "succeeded")):
            if step.key not in remote:
                continue
            self.checks[TRUTH] += 1
            did = str(step.kept_from or step.attempt)
            done = self.done.get((order.id, step.host, step.direction, step.node, did), {})
            asked = step.key == "check_health" and any(host == step.host for host, _ in self.asked_and_passed)
            if done.get(step.key) != 0 and not asked:
                self.violated(
                    TRUTH, f"#{order.id}: {step.key} of {step.host} ({step.attempt}) succeeded only in the rows"
                )

    def _check_kept(self, conn: sa.Connection, order: sa.Row[Any]) -> None:
        begun = {
            (event.data["host"], event.data["node"], event.data["attempt"]): event.at - self.epoch_s
            for event in conn.execute(_of(t.event, order.id).where(t.event.c.kind == "begins"))
        }
        for step in conn.execute(_of(t.step, order.id).where(t.step.c.kept_from > 0)):
            self.checks[KEPT] += 1
            attempt = (step.direction, step.node, str(step.attempt))
            what = f"#{order.id}: {step.key} of {step.host} ({step.attempt}) is kept from {step.kept_from}"
            if self.begun[(order.id, step.host, attempt, step.key)]:
                self.violated(KEPT, f"{what} and done again")
            at = begun.get((step.host, step.node, step.attempt))
            if at is None:
                continue  # the host could not be asked
            key = f"{step.direction}-{step.node}-{step.kept_from}"
            told = [
                untrue
                for asked, looked, untrue in self.untrue.get((order.id, step.host, key), [])
                if asked <= at and (step.key in looked or step.key not in _STARTED)
            ]
            if step.key in _LASTING and (not told or step.key in told[-1]):
                self.violated(KEPT, f"{what} and is not so any more")

    def _check_truth(self, conn: sa.Connection, order: sa.Row[Any]) -> None:
        """The last order of an app: hosts and weights are as its rows say; a weight at 0 that served is somebody's, and known."""
        for run in conn.execute(_of(t.host_run, order.id)):
            host = self.hosts[run.host]
            last = run.direction == order.direction and order.state != "cancelled"  # a cancel changes no version
            fell = host.dead_since is None and not host.up and not _ends_offline(order, run)
            another = host.version != run.to_version and self._is_said_to_run(conn, run.host)
            if last and run.state == "succeeded" and (another or fell):
                self.violated(
                    TRUTH,
                    f"#{order.id}: {run.host} should run {run.to_version}, it runs {host.version} (up: {host.up})",
                )
        mine = set(conn.execute(sa.select(t.host_run.c.host).where(t.host_run.c.order_id == order.id)).scalars())
        for line in conn.execute(_of(t.weight, order.id)):
            group = ServerGroup(line.region, line.balancer_id, line.vserver_group_id)
            key = (line.server_id, line.port)
            now = self.balancer.weights[group][key]
            if (group, key) in self.outside:
                continue
            self.checks[TRUTH] += 1
            if line.verified == "yes" and line.confirmed != now:
                self.violated(TRUTH, f"#{order.id}: {line.host} in {group} is {now}, the rows say {line.confirmed}")
            hand = self._by_hand(conn, order.id, line.host)
            wanted = order.kind == "offline" and self._is_offline(conn, line.host)
            # who has ended well has left none of its own hosts where an earlier order had left it
            its_own = order.state == "succeeded" and line.host in mine and not self._left_out(conn, order.id, line.host)
            known = line.owned or (line.asked is None and not its_own and self._was_left(conn, order.id, line))
            if now == 0 < line.recorded and not known and not hand and not wanted:
                self.violated(OWNED, f"#{order.id} {order.state} left {line.host} at 0 in {group}, and nobody knows")

    def _was_left(self, conn: sa.Connection, order_id: int, line: sa.Row[Any]) -> bool:
        """Whether an earlier order that has ended left it at 0 and still stands on the list with it: what this order records is
        what was due before that one. Only for a weight that this order has not asked for: then it is this order's to know."""
        weight = t.weight.c
        earlier = (
            sa.select(weight.order_id)
            .join(t.order, t.order.c.id == weight.order_id)
            .where(
                weight.order_id < order_id,
                t.order.c.state.in_(COMPLETE),
                weight.owned,
                sa.func.coalesce(weight.outside, weight.recorded) > 0,
                weight.balancer_id == line.balancer_id,
                weight.vserver_group_id == line.vserver_group_id,
                weight.server_id == line.server_id,
                weight.port == line.port,
            )
        )
        return conn.execute(earlier.limit(1)).first() is not None

    def _is_said_to_run(self, conn: sa.Connection, host: str) -> bool:
        """Of one whose deployment broke off, or that is offline, nobody says what it runs."""
        return conn.execute(sa.select(t.host.c.state).where(t.host.c.name == host)).scalar_one() == "deployed"

    def _is_offline(self, conn: sa.Connection, host: str) -> bool:
        return conn.execute(sa.select(t.host.c.state).where(t.host.c.name == host)).scalar_one() == "offline"

    def _check_wanted(self, conn: sa.Connection) -> None:
        """A host that is offline serves nobody: its zero is nobody's, and on no list of what was left behind."""
        ended = sa.select(t.order.c.id).where(t.order.c.state.in_(COMPLETE))
        for name in conn.execute(sa.select(t.host.c.name).where(t.host.c.state == "offline")).scalars():
            self.checks[WANTED] += 1
            owned = sa.select(t.weight.c.order_id).where(
                t.weight.c.host == name, t.weight.c.owned, t.weight.c.order_id.in_(ended)
            )
            for order_id in conn.execute(owned).scalars():
                self.violated(WANTED, f"{name} is offline, and #{order_id} owns its weight")
            for group, weights in self.balancer.weights.items():
                for key, weight in weights.items():
                    if key[0] == f"i-{name}" and weight > 0 and (group, key) not in self.outside:
                        self.violated(WANTED, f"{name} is offline with weight {weight} in {group}")

    def _by_hand(self, conn: sa.Connection, order_id: int, host: str) -> bool:
        """Whether an operator set it to 0 in so many words."""
        asked = sa.select(t.command.c.params).where(
            t.command.c.order_id == order_id, t.command.c.act == "set_weights", t.command.c.state == "accepted"
        )
        return any(params["weights"].get(host) == 0 for params in conn.execute(asked).scalars())

    def _check_hosts(self, conn: sa.Connection) -> None:
        for row in conn.execute(sa.select(t.host)):
            host = self.hosts[row.name]
            self.checks[TRUTH] += 1
            if row.state == "deploying":
                self.violated(TRUTH, f"{row.name} is said to be deploying when nothing is")
            if row.state == "deployed" and row.version != host.version:
                self.violated(TRUTH, f"{row.name} is said to run {row.version}; it runs {host.version}")

    # ------------------------------------------------------------------------------------------------------------ the rows

    def _facts(self, order_id: int | None) -> OrderFacts | None:
        if order_id is None:
            return None
        if order_id not in self.orders:
            with self.store.reading() as conn:
                row = conn.execute(sa.select(t.order).where(t.order.c.id == order_id)).one()
                lines = list(conn.execute(_of(t.weight, order_id)))
                app = self._app_of(conn, order_id)
                serving: dict[ServerGroup, set[str]] = {group: set() for group in app.groups}
                for line in lines:
                    if line.recorded == 0 or (line.confirmed == 0 and self._was_left(conn, order_id, line)):
                        continue  # it was at 0: an order records what was due before the one that left it there
                    silent = not self.balancer.checks and line.host in self.silent
                    if not silent and self.hosts[line.host].answered_since(row.created_at - self.epoch_s):
                        serving[ServerGroup(line.region, line.balancer_id, line.vserver_group_id)].add(line.host)
            stages = list(_stages(row.plan))
            versions = {name: self.hosts[name].version for name in app.hosts}
            self.orders[order_id] = OrderFacts(
                order_id, app, row.spec, stages, serving, versions, self._version(order_id), row.created_at
            )
        return self.orders[order_id]

    def _order_of(self, host: str) -> int | None:
        """The started order that acts on the host: the newest of its app's."""
        app = next(app for app in self.fleet.apps if host in app.hosts)
        with self.store.reading() as conn:
            newest = _orders_of(app, sa.func.max(t.order.c.id)).where(t.order.c.started_at.is_not(None))
            found = conn.execute(newest).scalar()
            return None if found is None else int(found)

    def _version(self, order_id: int) -> str:
        with self.store.reading() as conn:
            query = sa.select(t.order_app.c.to_version).where(t.order_app.c.order_id == order_id)
            return str(conn.execute(query).scalar_one())

    def _app_of(self, conn: sa.Connection, order_id: int) -> SimApp:
        instance = conn.execute(
            sa.select(t.order_app.c.service_instance_id).where(t.order_app.c.order_id == order_id)
        ).scalar_one()
        return next(app for app in self.fleet.apps if app.service_instance_id == instance)

    def _owner(self, order_id: int) -> tuple[Process | None, float]:
        """Whose the order is, and since when."""
        with self.store.reading() as conn:
            row = conn.execute(_TAKEN_OVER, {"order_id": order_id}).first()
        return (None, 0.0) if row is None else (self.engines.get(row.data["engine"]), row.at)

    def _age(self, epoch_s: float) -> float:
        return self.epoch_s + running_loop().time() - epoch_s


def _orders_of(app: SimApp, wanted: Any) -> sa.Select[Any]:
    return (
        sa.select(wanted)
        .select_from(t.order)
        .join(t.order_app, t.order_app.c.order_id == t.order.c.id)
        .where(t.order_app.c.service_instance_id == app.service_instance_id)
    )


def _ends_offline(order: sa.Row[Any], run: sa.Row[Any]) -> bool:
    """Forward for offline, the way back of online."""
    return (order.kind, run.direction) in (("offline", "forward"), ("online", "back"))


def _of(table: sa.Table, order_id: int) -> sa.Select[Any]:
    return sa.select(table).where(table.c.order_id == order_id)


def _stages(plan: dict[str, Any] | None) -> Iterator[tuple[str, tuple[str, ...]]]:
    for node in (plan or {}).get("nodes", ()):
        if node["kind"] in ("beta", "group"):
            yield node["key"], tuple(run["host"] for run in node["runs"])
        elif node["kind"] == "gate":
            yield node["key"], ()
