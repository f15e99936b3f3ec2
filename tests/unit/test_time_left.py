"""How long the work that is left takes: arithmetic over recorded step times."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.message import message
from engine.domain.orders import PlanNode
from engine.domain.states import NodeKind
from engine.plan.time_left import AppStep, HostWork, StepTime, step_time, time_left

SECONDS = st.floats(min_value=0, max_value=10_000, allow_nan=False)
STEPS = ("cut", "deploy", "check")
WORK = st.lists(
    st.builds(
        HostWork,
        st.sampled_from(("shop", "ledger")),
        st.integers(0, 2).map(lambda first: STEPS[first:]),
        st.floats(0, 500, allow_nan=False),
    ),
    max_size=8,
)
TIMES = st.fixed_dictionaries(
    {
        (app, step): st.tuples(SECONDS, SECONDS).map(lambda each: StepTime(min(each), max(each), 1))
        for app in ("shop", "ledger")
        for step in STEPS
    }
)


def chain(*keys: str) -> list[PlanNode]:
    return [
        PlanNode(key, NodeKind.GROUP, keys[at - 1 : at] if at else (), message(key))  # each needs the one before it
        for at, key in enumerate(keys)
    ]


def always(seconds: float) -> dict[AppStep, StepTime]:
    return {("shop", step): StepTime(seconds, 2 * seconds, 3) for step in STEPS}


def left(groups: Mapping[str, list[HostWork]], times: Mapping[AppStep, StepTime], parallelism: int = 50) -> float:
    found = time_left(chain(*groups), groups, times, parallelism)
    assert found.p50_s is not None
    return found.p50_s


def test_groups_take_their_turns_and_the_hosts_of_a_group_run_side_by_side() -> None:
    whole = HostWork("shop", STEPS)
    assert left({"one": [whole, whole], "two": [whole]}, always(10)) == 60


def test_no_more_hosts_run_at_once_than_the_order_allows() -> None:
    assert left({"one": [HostWork("shop", STEPS)] * 5}, always(10), parallelism=2) == 90


def test_a_running_step_counts_for_what_is_left_of_it_and_never_for_less_than_nothing() -> None:
    assert left({"one": [HostWork("shop", STEPS, running_s=4)]}, always(10)) == 26
    assert left({"one": [HostWork("shop", STEPS, running_s=400)]}, always(10)) == 20


def test_independent_chains_run_side_by_side() -> None:
    nodes = [*chain("a1", "a2"), *chain("b1")]
    work = {key: [HostWork("shop", STEPS)] for key in ("a1", "a2", "b1")}
    assert time_left(nodes, work, always(10), 50).p50_s == 60


def test_a_step_that_was_never_recorded_makes_the_end_unknown_and_is_named() -> None:
    times = {("shop", step): StepTime(1, 1, 1) for step in STEPS if step != "deploy"}
    found = time_left(chain("one"), {"one": [HostWork("shop", STEPS)]}, times, 50)
    assert (found.p50_s, found.p90_s, found.unknown) == (None, None, (("shop", "deploy"),))


@pytest.mark.parametrize(("count", "p50", "p90"), [(1, 1, 1), (2, 1, 2), (10, 5, 9), (11, 6, 10), (100, 50, 90)])
def test_p50_and_p90_are_recorded_times(count: int, p50: float, p90: float) -> None:
    assert step_time([float(each) for each in range(count, 0, -1)]) == StepTime(p50, p90, count)


@given(st.lists(SECONDS, min_size=1, max_size=60))
def test_nine_of_ten_recorded_times_are_within_p90_and_half_within_p50(took: list[float]) -> None:
    found = step_time(took)
    assert {found.p50_s, found.p90_s} <= set(took)
    assert sum(each <= found.p90_s for each in took) * 10 >= len(took) * 9
    assert sum(each <= found.p50_s for each in took) * 2 >= len(took)
    assert found.p50_s <= found.p90_s


@given(WORK, WORK, TIMES, st.integers(1, 6))
def test_bounds_of_the_time_left(
    one: list[HostWork], two: list[HostWork], times: dict[AppStep, StepTime], parallelism: int
) -> None:
    """Never less than the longest host of each group, never more than one host after another; slow is never quicker than usual."""
    work = {"one": one, "two": two}
    found = time_left(chain("one", "two"), work, times, parallelism)
    assert found.p50_s is not None
    assert found.p90_s is not None
    assert found.p50_s <= found.p90_s + 1e-6
    each = {
        key: [
            max(0.0, times[host.app, host.steps[0]].p50_s - host.running_s)
            + sum(times[host.app, step].p50_s for step in host.steps[1:])
            for host in hosts
        ]
        for key, hosts in work.items()
    }
    assert found.p50_s >= sum(max(hosts, default=0.0) for hosts in each.values()) - 1e-6
    assert found.p50_s <= sum(sum(hosts) for hosts in each.values()) + 1e-6


@given(WORK, TIMES, st.integers(1, 6))
def test_what_is_done_leaves_less_to_do(work: list[HostWork], times: dict[AppStep, StepTime], parallelism: int) -> None:
    """One host at a time, a step that is done takes its time away. (Side by side a shorter list can end later: others move up.)"""
    done = [HostWork(host.app, host.steps[1:]) for host in work]
    nodes = chain("one")
    before = time_left(nodes, {"one": work}, times, 1)
    after = time_left(nodes, {"one": done}, times, 1)
    assert (after.p50_s or 0) <= (before.p50_s or 0) + 1e-6
    if work:
        whole = time_left(nodes, {"one": work}, times, parallelism)
        assert (whole.p50_s or 0) <= (before.p50_s or 0) + 1e-6
