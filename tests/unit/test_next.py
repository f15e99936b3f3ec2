"""Which hosts begin: the floor, the budget and the order of groups, from rows alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.fleet import Host, Mount, MountWeight, ServerGroup
from engine.domain.orders import HostIs, OrderApp
from engine.domain.progress import NodeProgress, OrderProgress, RunProgress, WeightLine
from engine.domain.states import Direction, Health, HostState, NodeState, OrderState, RunState, Verified
from engine.kinds.registry import plan_of
from engine.kinds.release import release_spec
from engine.plan.back import plan_cancel, plan_rollback
from engine.plan.next import decide, may_leave
from tests.support.facts import facts_of

GROUP = ServerGroup("cn-hangzhou", "lb-1", "rsp-1")
NAMES = tuple(f"h{number}" for number in range(8))


def order(
    runs: Mapping[str, RunState], weights: Mapping[str, int], nodes: Mapping[str, NodeState], **spec: object
) -> OrderProgress:
    """A running order on eight hosts of weight 100 in two groups, floor 4; `weights` are those it believes in now."""
    hosts = tuple(
        Host(name, "127.0.0.1", 22, "admin", "hz-a", "c1", f"i-{name}", state=HostState.DEPLOYED, version="1")
        for name in NAMES
    )
    recorded = tuple(MountWeight(Mount(name, f"i-{name}", GROUP, 80), 100) for name in NAMES)
    asked = release_spec("shop", "2", **spec)  # type: ignore[arg-type]
    plan = plan_of(asked, facts_of(hosts, recorded, version="1"))
    node_of = {host: node.key for node in plan.nodes for host in node.hosts}
    lines = tuple(
        WeightLine(
            line.mount,
            100,
            asked=0 if line.mount.host in weights else None,
            confirmed=weights.get(line.mount.host, 100),
            verified=Verified.YES,
            owned=line.mount.host in weights,
        )
        for line in recorded
    )
    states = {name: runs.get(name, RunState.PENDING) for name in NAMES}
    return OrderProgress(
        id=1, workspace_id=1, apps=(OrderApp(1, "shop", "1", "2"),), kind="release", title="", state=OrderState.RUNNING,
        direction=Direction.FORWARD, spec=asked, plan=plan, back_plan=None,
        nodes={(Direction.FORWARD, key): NodeProgress(key, state) for key, state in nodes.items()},
        runs={
            run.key: run
            for run in (
                RunProgress(Direction.FORWARD, node_of[name], name, state, 1, "1", "2") for name, state in states.items()
            )
        },
        weights=lines, paused=False, parallelism=asked.parallelism, epoch=1, problems=(), problem=None, reason="",
        created_by="alice", created_at=0.0, started_at=0.0, ended_at=None,
    )  # fmt: skip


def starts(progress: OrderProgress) -> tuple[str, ...]:
    return tuple(run.host for run in decide(progress).start)


def leaving(progress: OrderProgress, hosts: list[str]) -> list[str]:
    """Of these, in this order, those that may."""
    runs = {run.host: run for run in progress.runs.values()}
    return [run.host for run in may_leave(progress, [runs[host] for host in hosts])]


FIRST_RUNS = {"initialise": NodeState.SUCCEEDED, "group-1": NodeState.RUNNING}
SECOND_RUNS = {"initialise": NodeState.SUCCEEDED, "group-1": NodeState.SUCCEEDED, "group-2": NodeState.RUNNING}


def test_while_a_host_of_an_earlier_group_is_tried_again_the_later_group_starts_nobody() -> None:
    runs = dict.fromkeys(NAMES[1:4], RunState.SUCCEEDED)  # h0 failed before its cut and is tried again
    progress = order(runs, {}, SECOND_RUNS, max_failures=1)
    assert starts(progress) == ("h0",)


def test_a_host_that_is_tried_again_begins_although_another_of_its_group_still_stands_failed() -> None:
    progress = order({"h0": RunState.FAILED}, {"h0": 0}, {**FIRST_RUNS, "group-1": NodeState.HALTED}, max_failures=0)
    assert starts(progress) == ()
    again = {key: replace(run, attempt=2) if run.host == "h1" else run for key, run in progress.runs.items()}
    decision = decide(replace(progress, runs=again, state=OrderState.HALTED))
    assert [run.host for run in decision.start] == ["h1"]
    assert decision.nodes["group-1"] is NodeState.RUNNING
    assert decision.order is OrderState.RUNNING


def test_a_host_without_traffic_does_not_wait_behind_hosts_that_the_floor_holds() -> None:
    runs = dict.fromkeys(NAMES[:4], RunState.SUCCEEDED)
    out = dict.fromkeys(["h0", "h1", "h2", "h7"], 0)  # the service stands at its floor
    progress = replace(order(runs, out, SECOND_RUNS), parallelism=1)
    assert starts(progress) == ("h7",)


def test_a_host_that_only_gets_its_weight_back_needs_no_room() -> None:
    progress = order(
        dict.fromkeys(NAMES[:4], RunState.SUCCEEDED), dict.fromkeys(NAMES[1:5], 0) | {"h0": 10}, SECOND_RUNS
    )
    cancelling = replace(
        progress, state=OrderState.CANCELLING, direction=Direction.BACK, back_plan=plan_cancel(progress)
    )
    assert cancelling.back_plan is not None
    groups = [node.hosts for node in cancelling.back_plan.nodes if node.kind.runs_hosts]
    assert groups == [("h0", "h1", "h2", "h3")]
    assert not any(run.leaves for run in cancelling.back_plan.run_of.values())
    runs = [RunProgress(Direction.BACK, "back-1", name, RunState.PENDING, 1, "1", "2") for name in NAMES[:4]]
    assert may_leave(cancelling, runs) == runs


@pytest.mark.parametrize(
    ("state", "touched", "left"),
    [
        (RunState.SUCCEEDED, True, HostIs("2", HostState.DEPLOYED)),
        (RunState.FAILED, True, HostIs("2", HostState.DEPLOY_FAILED)),
        (RunState.CANCELLED, True, HostIs("2", HostState.DEPLOY_FAILED)),
        (RunState.CANCELLED, False, HostIs("1", HostState.DEPLOYED)),
    ],
)
def test_a_way_back_that_never_begins_leaves_a_host_as_the_way_forward_left_it(
    state: RunState, touched: bool, left: HostIs
) -> None:
    progress = order({"h0": state}, {"h0": 0}, FIRST_RUNS)
    runs = {key: replace(run, touched=touched) if run.host == "h0" else run for key, run in progress.runs.items()}
    for plan in (plan_rollback(replace(progress, runs=runs)), plan_cancel(replace(progress, runs=runs))):
        (way_back,) = (run for run in plan.run_of.values() if run.host == "h0")
        assert way_back.before == left


@given(
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from([0, 1, 100]), max_size=8),
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(RunState), max_size=8),
    st.integers(0, 8),
    st.integers(1, 8),
)
def test_whatever_the_rows_say_no_decision_takes_the_service_below_its_floor(
    weights: dict[str, int], runs: dict[str, RunState], max_failures: int, parallelism: int
) -> None:
    for nodes in ({"initialise": NodeState.SUCCEEDED}, SECOND_RUNS):
        progress = order(runs, weights, nodes, max_failures=max_failures, parallelism=parallelism)
        gone = {name for name, state in runs.items() if state is RunState.RUNNING}
        serving = {line.mount.host for line in progress.weights if line.believed > 0} - gone
        started = set(starts(progress))
        assert not started & serving or len(serving - started) >= 4
        assert len(started) <= max(0, parallelism - len(gone))


def unwell(progress: OrderProgress, *hosts: str) -> OrderProgress:
    lines = (
        replace(line, balancer_health=Health.UNHEALTHY if line.mount.host in hosts else Health.HEALTHY)
        for line in progress.weights
    )
    return replace(progress, weights=tuple(lines))


def test_a_host_that_does_not_answer_is_taken_first_and_costs_nothing() -> None:
    progress = unwell(order({}, {}, FIRST_RUNS, groups=2, parallelism=2), "h3")
    assert starts(progress) == ("h3", "h0")
    assert leaving(progress, ["h0", "h1", "h2", "h3"]) == ["h0", "h1", "h2", "h3"]


def test_hosts_that_died_are_not_counted_for_those_that_are_to_leave() -> None:
    progress = unwell(order({}, {}, FIRST_RUNS, groups=2), "h4", "h5", "h6")
    assert leaving(progress, ["h0", "h1"]) == ["h0"]
    assert leaving(unwell(progress, "h4", "h5", "h6", "h7"), ["h0", "h1"]) == []
    assert leaving(unwell(progress, "h4", "h5", "h6", "h7"), ["h4", "h0"]) == ["h4"]
