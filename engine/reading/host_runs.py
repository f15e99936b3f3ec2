"""The hosts of an order as the order screen shows them, with their steps.

A watched order is read again at every change, and most of its 1,000 hosts did not move: a host's view is made anew only when
its row, its place or a weight differs, or while it runs. What is remembered is never older than the snapshot it was compared with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from engine.domain.log_path import log_path
from engine.domain.message import Message, message
from engine.domain.outage import Outage
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress, RunKey, RunProgress, WeightLine
from engine.domain.states import Direction, RunState, StepState
from engine.domain.steps import StepPlan
from engine.reading.deadlines import Deadlines
from engine.store import tables as t
from engine.store.encoding import decode_stored_problem
from engine.store.statements import HOSTS_NAMED_IN_A_QUERY
from engine.views.orders import HostRunView, StepView, WeightView

ORDERS_REMEMBERED = 8
_PLACES = (
    sa.select(t.host.c.name, t.data_centre.c.name, t.cell.c.name, t.host.c.version)
    .join(t.cell, t.cell.c.id == t.host.c.cell_id)
    .join(t.data_centre, t.data_centre.c.id == t.cell.c.data_centre_id)
    .join(t.order_host, t.order_host.c.host == t.host.c.name)
    .where(t.order_host.c.order_id == sa.bindparam("id"), t.host.c.workspace_id == sa.bindparam("workspace_id"))
    .order_by(t.data_centre.c.name, t.cell.c.name, t.host.c.name)
)

_DeadlineOf = Callable[[RunProgress, StepPlan], float | None]


@dataclass(frozen=True, slots=True)
class _Seen:
    """Everything a host's view is made of but its steps; they change only while it runs."""

    run: RunProgress
    plans: tuple[StepPlan, ...]
    data_centre: str
    cell: str
    version: str
    weights: tuple[WeightLine, ...]
    outage: Outage | None
    by_hand: bool
    app: str = ""


class HostRuns:
    """One per `Api`; may be used from several threads: each read replaces what is remembered of its order as a whole."""

    def __init__(self, log_dir: Path) -> None:
        self._log_dir = log_dir
        self._deadlines = Deadlines()
        self._remembered: dict[int, dict[RunKey, tuple[_Seen, HostRunView]]] = {}

    def read(self, conn: sa.Connection, progress: OrderProgress) -> tuple[HostRunView, ...]:
        """In plan order; before there is a plan, the hosts of the service instance."""
        known = self._remembered.get(progress.id, {})
        seen = _seen(conn, progress)
        changed = {key: now for key, now in seen.items() if not _same(known.get(key), now)}
        steps = _steps(conn, progress.id, [now for now in changed.values() if now.run.state is not RunState.PENDING])

        def deadline_of(run: RunProgress, plan: StepPlan) -> float | None:
            return self._deadlines.of(conn, progress, progress.host_plan(run), plan)

        views = {
            key: (now, known[key][1])
            if key not in changed
            else (now, self._view_again(progress.id, now, steps.get(key, ()), known.get(key), deadline_of))
            for key, now in seen.items()
        }
        self._remember(progress.id, views)
        return tuple(view for _, view in views.values())

    def _view_again(
        self,
        order_id: int,
        seen: _Seen,
        steps: tuple[StepView, ...],
        known: tuple[_Seen, HostRunView] | None,
        deadline_of: _DeadlineOf,
    ) -> HostRunView:
        """The one that was handed out last time, if it says the same."""
        if known is not None and known[0] == seen and known[1].steps == steps:
            return known[1]
        return _view(seen, steps, self._log(order_id, seen), deadline_of)

    def _remember(self, order_id: int, views: dict[RunKey, tuple[_Seen, HostRunView]]) -> None:
        others = {key: value for key, value in self._remembered.items() if key != order_id}
        self._remembered = dict([*others.items(), (order_id, views)][-ORDERS_REMEMBERED:])

    def _log(self, order_id: int, seen: _Seen) -> str:
        return str(log_path(self._log_dir, order_id, seen.run.host, seen.run.job, seen.run.attempt))


def _same(known: tuple[_Seen, HostRunView] | None, now: _Seen) -> bool:
    return known is not None and now.run.state is not RunState.RUNNING and known[0] == now


def _seen(conn: sa.Connection, progress: OrderProgress) -> dict[RunKey, _Seen]:
    places = _places(conn, progress)
    weights, gated = _by_host(progress.weights), _by_hand(progress)
    found = {}
    for run in _present_runs(progress) if progress.plan is not None else _not_planned(progress, places):
        data_centre, cell, version = places.get(run.host, ("", "", ""))
        planned = progress.host_plan(run) if progress.plan is not None else None
        plans, app = (planned.steps, planned.app) if planned is not None else ((), "")
        lines, by_hand = weights.get(run.host, ()), (run.direction, run.node) in gated
        outage = _outage(progress, run, lines)
        found[run.key] = _Seen(run, plans, data_centre, cell, version, lines, outage, by_hand, app)
    return found


def _outage(progress: OrderProgress, run: RunProgress, lines: Sequence[WeightLine]) -> Outage | None:
    """What the host waits for, if it is at work."""
    groups = {line.mount.server_group for line in lines}
    at_work = run.state is RunState.RUNNING
    return next((each for each in progress.outages if at_work and each.group in groups), None)


def _by_hand(progress: OrderProgress) -> frozenset[tuple[Direction, str]]:
    """The groups whose traffic a person gives back at the gate behind them."""
    plans = [plan for plan in (progress.plan, progress.back_plan) if plan is not None]
    return frozenset(
        (plan.direction, need) for plan in plans for node in plan.nodes if node.sliders for need in node.needs
    )


def _present_runs(progress: OrderProgress) -> list[RunProgress]:
    """In plan order. On the way back the runs of that direction, and those forward of hosts that it leaves out."""
    if progress.direction is Direction.FORWARD:
        return list(progress.towards(Direction.FORWARD))
    back: dict[str, list[RunProgress]] = defaultdict(list)
    for run in progress.towards(Direction.BACK):
        back[run.host].append(run)
    forward = progress.towards(Direction.FORWARD)
    shown = {each.key: each for run in forward for each in back.get(run.host, [run])}
    return list(shown.values())


def _not_planned(progress: OrderProgress, places: Mapping[str, tuple[str, str, str]]) -> list[RunProgress]:
    """Before there is a plan: the hosts it will act on."""
    to_version = progress.apps[0].to_version if len(progress.apps) == 1 else ""
    return [
        RunProgress(Direction.FORWARD, "", host, RunState.PENDING, 1, runs, to_version)
        for host, (_centre, _cell, runs) in places.items()
    ]


def _places(conn: sa.Connection, progress: OrderProgress) -> dict[str, tuple[str, str, str]]:
    """Host → (data centre, cell, the version it runs now). A host that has left the catalogue since has none."""
    rows = conn.execute(_PLACES, {"id": progress.id, "workspace_id": progress.workspace_id}).all()
    return {name: (centre, cell, version) for name, centre, cell, version in rows}


def _by_host(weights: Iterable[WeightLine]) -> Mapping[str, tuple[WeightLine, ...]]:
    found: dict[str, list[WeightLine]] = defaultdict(list)
    for line in weights:
        found[line.mount.host].append(line)
    return {host: tuple(lines) for host, lines in found.items()}


def _steps(conn: sa.Connection, order_id: int, wanted: Collection[_Seen]) -> Mapping[RunKey, tuple[StepView, ...]]:
    """Of the present attempt of each wanted run, in order."""
    found: dict[RunKey, list[StepView]] = defaultdict(list)
    runs = {one.run.key: one for one in wanted}
    for direction in {one.run.direction for one in wanted}:
        hosts = list(dict.fromkeys(one.run.host for one in wanted if one.run.direction is direction))
        for node, host, attempt, position, name, *rest in _step_rows(conn, order_id, direction, hosts):
            one = runs.get((direction, node, host))
            if one is not None and one.run.attempt == attempt:
                plan = one.plans[position] if position < len(one.plans) else None
                plan = plan if plan is not None and plan.key == name else None
                does, title = (plan.does, plan.title) if plan is not None else (name, "")
                found[one.run.key].append(_step_view(name, does, title, *rest))
    return {key: tuple(steps) for key, steps in found.items()}


def _step_rows(conn: sa.Connection, order_id: int, direction: Direction, hosts: list[str]) -> Iterable[Any]:
    step = t.step.c
    query = (
        sa.select(
            step.node,
            step.host,
            step.attempt,
            step.position,
            step.key,
            step.state,
            step.started_at,
            step.ended_at,
            sa.cast(step.problem, sa.Text),
            step.kept_from,
        )
        .where(step.order_id == order_id, step.direction == str(direction))
        .order_by(step.host, step.attempt, step.position)
    )
    if len(hosts) <= HOSTS_NAMED_IN_A_QUERY:
        query = query.where(step.host.in_(hosts))
    return conn.execute(query).all()


@lru_cache(maxsize=16_384)
def _step_view(
    name: str, does: str, title: str, state: str, started_at: float | None, ended_at: float | None,
    problem: str | None, kept_from: int,
) -> StepView:  # fmt: skip
    return StepView(
        name, does, title, StepState(state), started_at, ended_at, decode_stored_problem(problem), kept_from
    )


def _view(seen: _Seen, steps: tuple[StepView, ...], log: str, deadline_of: _DeadlineOf) -> HostRunView:
    run, current = seen.run, _current_step(steps)
    runs = current is not None and current.state is StepState.RUNNING
    plan = next((plan for plan in seen.plans if current is not None and runs and plan.key == current.name), None)
    return HostRunView(
        name=run.host,
        app=seen.app,
        data_centre=seen.data_centre,
        cell=seen.cell,
        node=run.node,
        direction=run.direction,
        state=run.state,
        attempt=run.attempt,
        version=seen.version,
        from_version=run.from_version,
        to_version=run.to_version,
        step=current.name if current else None,
        step_started_at=current.started_at if current else None,
        steps=steps,
        weights=tuple(_weight_view(line) for line in seen.weights),
        problem=run.problem,
        started_at=run.started_at,
        ended_at=run.ended_at,
        log_path=log,
        waits_for=_waits_for(seen, current),
        deadline_s=deadline_of(run, plan) if plan is not None else None,
        by_hand=seen.by_hand and run.state is RunState.SUCCEEDED,
        no_traffic=seen.by_hand
        and run.state is RunState.SUCCEEDED
        and any(line.due > 0 and line.believed == 0 for line in seen.weights),
        skips=run.skips,
        leaving=run.leaving,
    )


def _waits_for(seen: _Seen, current: StepView | None) -> Message | None:
    """Said of a step at the balancer: whatever runs on the host goes on."""
    if seen.outage is None or current is None or current.state is not StepState.RUNNING:
        return None
    plan = next((plan for plan in seen.plans if plan.key == current.name), None)
    return seen.outage.sentence if plan is not None and plan.on_balancer else None


def _current_step(steps: tuple[StepView, ...]) -> StepView | None:
    """The running or failed one, else the last one that ended."""
    for step in steps:
        if step.state is StepState.RUNNING or step.state.halts:
            return step
    return next((step for step in reversed(steps) if step.state.complete), None)


def _weight_view(line: WeightLine) -> WeightView:
    return WeightView(
        balancer=line.mount.server_group.balancer_id,
        server_group=line.mount.server_group.vserver_group_id,
        port=line.mount.port,
        recorded=line.recorded,
        asked=line.asked,
        confirmed=line.confirmed,
        verified=line.verified,
        owned=line.owned,
        note=_note(line),
        health=line.health,
    )


def _note(line: WeightLine) -> Problem | None:
    if line.outside is None:
        return None
    what = {"host": line.mount.host, "group": str(line.mount.server_group), "weight": line.outside}
    said = (
        message(
            "Somebody else set the weight of {host} in {group} to {weight} during its work; it was cut once more.",
            **what,
        )
        if line.cut_again
        else message("Somebody else set the weight of {host} in {group} to {weight}.", **what)
    )
    remedy = message("It gets {weight} back, not the recorded {recorded}.", weight=line.outside, recorded=line.recorded)
    return Problem("weight_changed_outside", said, remedy)
