"""When an order will be done: the steps that its hosts have still to take, by how long such steps took here before, or in the
order itself where nothing older is recorded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import sqlalchemy as sa

from engine.domain.message import Message, message
from engine.domain.orders import HostPlan, Plan
from engine.domain.progress import OrderProgress
from engine.domain.states import Act, NodeState, OrderState, RunState, StepState
from engine.plan.next import node_state
from engine.plan.time_left import AppStep, HostWork, StepTimes, TimeLeft, step_time, time_left
from engine.plan.what_if_words import duration, expected_time
from engine.reading.step_times import RecordedTimes
from engine.store import tables as t
from engine.store.progress import load_progress
from engine.views.acts import Consequence
from engine.views.expected import ExpectedView
from engine.views.orders import HostRunView

_LETS_HOSTS_BEGIN = (Act.START, Act.CONFIRM, Act.RESUME, Act.RETRY)
_MEAN = expected_time(0, 0).text


def read_expected(
    conn: sa.Connection, progress: OrderProgress, hosts: Sequence[HostRunView], recorded: RecordedTimes, now: float
) -> ExpectedView | None:
    """None: it has ended, or there is no plan yet."""
    plan = progress.current_plan
    if plan is None or progress.state.complete:
        return None
    worked_s, waited_s = _time_so_far(conn, progress, now)
    left = _left(conn, progress, plan, hosts, recorded, now)
    unknown = tuple(f"{app}: {step}" for app, step in left.unknown)
    return ExpectedView(worked_s, waited_s, left.p50_s, left.p90_s, _people(progress, plan), unknown)


def with_expected_time(
    conn: sa.Connection, meaning: Consequence, order_id: int, recorded: RecordedTimes
) -> Consequence:
    """An act that lets hosts begin says how long they will take: by what is recorded, which counts for more than the mean of the
    order's own first hosts."""
    if not meaning.allowed or meaning.act not in _LETS_HOSTS_BEGIN or not meaning.hosts:
        return meaning
    progress = load_progress(conn, order_id)
    plan = progress.current_plan
    if plan is None:
        return meaning
    work: dict[str, list[HostWork]] = defaultdict(list)
    for run in progress.current_runs:
        if run.host in meaning.hosts and run.state is not RunState.SUCCEEDED:
            host_plan = progress.host_plan(run)
            work[run.node].append(HostWork(host_plan.app, tuple(step.key for step in host_plan.steps)))
    times = recorded.read(conn, [app.service_instance_id for app in progress.apps])
    nodes = [node for node in plan.nodes if node.key in work]
    left = time_left(nodes, work, times, progress.parallelism)
    others = tuple(line for line in meaning.lines if line.text != _MEAN)
    if left.p50_s is not None and left.p90_s is not None:
        return replace(meaning, lines=(*others, _takes(left.p50_s, left.p90_s)))
    return meaning if len(others) < len(meaning.lines) else replace(meaning, lines=(*others, _unknown()))


def _takes(p50_s: float, p90_s: float) -> Message:
    return message(
        "expected time of these hosts {p50}, {p90} when they are slow (p50 and p90 of the recorded step times)",
        p50=duration(p50_s),
        p90=duration(p90_s),
    )


def _unknown() -> Message:
    return message("expected time unknown: these steps have not been recorded here yet")


def _left(
    conn: sa.Connection,
    progress: OrderProgress,
    plan: Plan,
    hosts: Sequence[HostRunView],
    recorded: RecordedTimes,
    now: float,
) -> TimeLeft:
    views = {(view.direction, view.node, view.name): view for view in hosts}
    work: dict[str, list[HostWork]] = defaultdict(list)
    for run in progress.current_runs:
        view = views.get(run.key)
        if not run.state.complete and view is not None:
            work[run.node].append(_work(progress.host_plan(run), view, now))
    times = recorded.read(conn, [app.service_instance_id for app in progress.apps])
    asked = {(host.app, step) for each in work.values() for host in each for step in host.steps}
    if asked - times.keys():
        times = {**_own_times(progress, hosts), **times}
    return time_left(plan.nodes, work, times, progress.parallelism)


def _work(plan: HostPlan, view: HostRunView, now: float) -> HostWork:
    done = {step.name for step in view.steps if step.state.complete or step.kept_from}
    left = tuple(step.key for step in plan.steps if step.key not in done)
    running = next((step for step in view.steps if step.state is StepState.RUNNING), None)
    began = running.started_at if running is not None and left and running.name == left[0] else None
    return HostWork(plan.app, left, max(0.0, now - began) if began is not None else 0.0)


def _own_times(progress: OrderProgress, hosts: Iterable[HostRunView]) -> StepTimes:
    took: dict[AppStep, list[float]] = defaultdict(list)
    for view in hosts:
        run = progress.runs.get((view.direction, view.node, view.name))
        app = progress.host_plan(run).app if run is not None else ""
        for step in view.steps:
            done = step.state is StepState.SUCCEEDED and not step.kept_from
            if app and done and step.started_at is not None and step.ended_at is not None:
                took[app, step.name].append(max(0.0, step.ended_at - step.started_at))
    return {each: step_time(times) for each, times in took.items()}


def _people(progress: OrderProgress, plan: Plan) -> int:
    """The gates that are not confirmed, and the decision about what failed."""
    gates = [node for node in plan.nodes if node.gate is not None]
    waits = sum(node_state(progress, plan, node.key) is not NodeState.SUCCEEDED for node in gates)
    return waits + (progress.state is OrderState.HALTED)


def _time_so_far(conn: sa.Connection, progress: OrderProgress, now: float) -> tuple[float, float]:
    """(worked, waited for people) since the start, by the states the order went through."""
    if progress.started_at is None:
        return 0.0, 0.0
    event = t.event.c
    rows = conn.execute(
        sa.select(event.at, event.data)
        .where(event.order_id == progress.id, event.kind == "order", event.at >= progress.started_at)
        .order_by(event.id)
    ).all()
    turns = [(row.at, OrderState(row.data["state"]).halts) for row in rows]
    times = [(progress.started_at, False), *turns, (max(now, progress.started_at), False)]
    waited = sum(max(0.0, until - since) for (since, waits), (until, _) in pairwise(times) if waits)
    return max(0.0, times[-1][0] - progress.started_at - waited), waited
