"""Operators of a run: people who press keys, sensible ones and others, at any moment; and one who ends what is open.

They write command rows, as the cockpit does, and look at the rows, as the cockpit does. Their own reads and writes never fail.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from engine.domain.acts import decode
from engine.domain.progress import OrderProgress
from engine.domain.states import Act, Direction, NodeState, OrderState, RunState
from engine.store import tables as t
from engine.store.commands import UNANSWERED, insert_command
from engine.store.progress import load_progress
from tests.simulation.scenario import VERSIONS
from tests.simulation.store import MemoryStore
from tests.simulation.trace import Trace

WILD_ACTS = (
    Act.START, Act.CONFIRM, Act.CONFIRM, Act.SET_WEIGHTS, Act.SET_WEIGHTS, Act.RETRY, Act.RETRY, Act.PAUSE, Act.RESUME,
    Act.CANCEL, Act.ROLL_BACK, Act.INITIALISE,
)  # fmt: skip
RETRIES = 2
SOMETIMES = 0.15


@dataclass
class Operators:
    store: MemoryStore
    chance: random.Random
    trace: Trace
    epoch_s: float
    tried: Counter[tuple[object, ...]] = field(default_factory=Counter)

    def press(self, order_id: int, now: float, *, wild: float) -> None:
        """One key for one order, or none."""
        progress = self._read(order_id)
        if progress is None:
            return
        if self.chance.random() < wild:
            act, params = self._wild(progress)
        else:
            sensible = self._sensible(progress)
            if sensible is None:
                return
            act, params = sensible
        act, params = self._instead(progress, now) or (act, params)
        self._send(order_id, act, params, now)

    def finish(self, order_id: int, now: float) -> None:
        """What somebody does who wants the order to come to its end."""
        progress = self._read(order_id)
        if progress is None or self._asked_already(order_id):
            return
        wanted = self._sensible(progress, bounded=True)
        if wanted is not None:
            self._send(order_id, *wanted, now)

    def _read(self, order_id: int) -> OrderProgress | None:
        with self.store.reading() as conn:
            progress = load_progress(conn, order_id)
        return None if progress.state.complete else progress

    def _asked_already(self, order_id: int) -> bool:
        with self.store.reading() as conn:
            waiting = sa.select(t.command.c.id).where(
                t.command.c.order_id == order_id, t.command.c.state.in_(UNANSWERED)
            )
            return conn.execute(waiting.limit(1)).first() is not None

    def _send(self, order_id: int, act: Act, params: dict[str, Any], now: float) -> None:
        self.trace.add(f"#{order_id}: presses {act} {params or ''}", "operator")
        with self.store.writing() as conn:
            insert_command(
                conn,
                order_id=order_id,
                act=decode(str(act), params),
                operator="alice",
                reason="because",
                now=self.epoch_s + now,
            )

    # ------------------------------------------------------------------------------------------------------- what to press

    def _sensible(self, progress: OrderProgress, *, bounded: bool = False) -> tuple[Act, dict[str, Any]] | None:
        state = progress.state
        if state is OrderState.READY:
            return self._tries((progress.id, Act.START), Act.START, Act.INITIALISE, bounded=bounded)
        if state is OrderState.INIT_FAILED:
            return self._tries((progress.id, Act.INITIALISE), Act.INITIALISE, Act.CANCEL, bounded=bounded)
        if progress.paused:
            return Act.RESUME, {}
        gate = _waiting_gate(progress)
        if gate is not None:
            if state in (OrderState.WAITING, OrderState.RUNNING, OrderState.HALTED):
                return self._at_gate(progress, gate, bounded=bounded)
            return None
        if state is not OrderState.HALTED:
            return None
        return self._halted(progress, bounded=bounded)

    def _at_gate(self, progress: OrderProgress, gate: str, *, bounded: bool) -> tuple[Act, dict[str, Any]]:
        plan = progress.current_plan
        assert plan is not None
        hosts = plan.node(gate).hosts
        idle = {line.mount.host for line in progress.weights if line.believed == 0 < line.recorded}
        healthy = [h for h in hosts if h in idle and _succeeded(progress, h)]
        if plan.node(gate).sliders and healthy and self._may(("slide", progress.id, gate), bounded):
            share = 100 if bounded else self.chance.choice((1, 10, 50, 100))
            return Act.SET_WEIGHTS, {"weights": dict.fromkeys(healthy, share)}
        if self._may(("confirm", progress.id, gate), bounded):
            return Act.CONFIRM, {"node": gate}
        return Act.CANCEL, {}

    def _halted(self, progress: OrderProgress, *, bounded: bool) -> tuple[Act, dict[str, Any]]:
        failed = [run.host for run in progress.current_runs if run.state is RunState.FAILED]
        if failed and self._may(("retry", progress.id, progress.direction), bounded):
            return Act.RETRY, {"hosts": []} | self._from_start(progress)
        idle = {line.mount.host for line in progress.weights if line.owned and line.believed == 0 < line.recorded}
        healthy = [host for host in sorted(idle) if _succeeded(progress, host)]
        if healthy and self._may(("give", progress.id, progress.direction), bounded):
            return Act.SET_WEIGHTS, {"weights": dict.fromkeys(healthy, 100)}
        forward = progress.direction is Direction.FORWARD and self.chance.random() < 0.5
        if forward and self._may(("back", progress.id), bounded):
            return Act.ROLL_BACK, {}
        return Act.CANCEL, {}

    def _instead(self, progress: OrderProgress, now: float) -> tuple[Act, dict[str, Any]] | None:
        """Sometimes a person takes a host or a step out, changes the limits, or wants a pause; apart from all other chances."""
        chance = random.Random(f"{progress.id}/{now}")
        if progress.plan is None or progress.started_at is None or chance.random() > SOMETIMES:
            return None
        failed = [run for run in progress.current_runs if run.state is RunState.FAILED]
        if failed and chance.random() < 0.7:
            run = chance.choice(failed)
            step = {"step": run.failed_at} if run.failed_at and chance.random() < 0.5 else {}
            return chance.choice([(Act.SKIP, {"host": run.host} | step), (Act.EXCLUDE, {"host": run.host})])
        host = chance.choice(progress.plan.hosts)
        node = chance.choice([node.key for node in progress.plan.nodes])
        others: list[tuple[Act, dict[str, Any]]] = [
            (Act.EXCLUDE, {"host": host}),
            (Act.SKIP, {"host": host}),
            (Act.SET_LIMITS, {"parallelism": chance.choice((1, 2, 50)), "max_failures": chance.choice((0, 1))}),
            (Act.PAUSE_BEFORE, {"node": node}),
            (Act.HAND_OVER, {"to": "bob"}),
        ]
        return chance.choice(others)

    def _from_start(self, progress: OrderProgress) -> dict[str, Any]:
        """Sometimes a person wants everything done again."""
        attempts = sum(run.attempt for run in progress.runs.values())
        chosen = random.Random(f"{progress.id}/{attempts}").random() < 0.2
        return {"from_start": True} if chosen else {}

    def _may(self, what: tuple[object, ...], bounded: bool) -> bool:
        self.tried[(*what, bounded)] += 1
        return self.tried[(*what, bounded)] <= RETRIES

    def _tries(self, what: tuple[object, ...], first: Act, then: Act, *, bounded: bool) -> tuple[Act, dict[str, Any]]:
        self.tried[(*what, bounded)] += 1
        count = self.tried[(*what, bounded)]
        if count > 2 * RETRIES + 2:
            return Act.CANCEL, {}
        return (first if count % 3 else then), {}

    def _wild(self, progress: OrderProgress) -> tuple[Act, dict[str, Any]]:
        act = self.chance.choice(WILD_ACTS)
        hosts = sorted({run.host for run in progress.runs.values()}) or ["nobody"]
        if act is Act.CONFIRM:
            gates = [node.key for node in progress.plan.nodes if node.key.endswith("confirm")] if progress.plan else []
            return act, {"node": self.chance.choice(gates)} if gates else {"node": "nothing"}
        if act is Act.SET_WEIGHTS:
            some = self.chance.sample(hosts, self.chance.randint(1, len(hosts)))
            return act, {"weights": {host: self.chance.choice((0, 0, 10, 50, 100)) for host in some}}
        if act is Act.RETRY and self.chance.random() < 0.5:
            return act, {"hosts": [self.chance.choice(hosts)]}
        if act is Act.ROLL_BACK and self.chance.random() < 0.5:
            return act, {"version": self.chance.choice(VERSIONS)}
        if act is Act.CANCEL and self.chance.random() < 0.6:
            return Act.PAUSE, {}
        return act, {}


def _waiting_gate(progress: OrderProgress) -> str | None:
    plan = progress.current_plan
    for node in plan.nodes if plan else ():
        row = progress.nodes.get((plan.direction, node.key)) if plan else None
        if node.key.endswith("confirm") and row is not None and row.state is NodeState.WAITING:
            return node.key
    return None


def _succeeded(progress: OrderProgress, host: str) -> bool:
    runs = [run for run in progress.runs.values() if run.host == host]
    here = [run for run in runs if run.direction is progress.direction] or runs
    return bool(here) and here[-1].state is RunState.SUCCEEDED
