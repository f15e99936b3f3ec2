"""What a host is when it leaves its order, which steps are left to do there, and what may be skipped; and what limits mean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.domain import step_names as names
from engine.domain.leaving import as_it_is, leaving_plan, may_be_skipped, version_unknown
from engine.domain.orders import HostIs, HostPlan
from engine.domain.progress import RunProgress
from engine.domain.states import Direction, HostState, Leaving, RunState
from engine.kinds import offline, release
from engine.steps.registry import STEPS, step

BEFORE, AFTER = HostIs("1.0.0", HostState.DEPLOYED), HostIs("2.0.0", HostState.DEPLOYED)


def plan_of(steps: tuple[str, ...] = tuple(each.key for each in release.STEPS), after: HostIs = AFTER) -> HostPlan:
    return HostPlan(
        host="hz-01",
        app="shop",
        steps=tuple(step(key) for key in steps),
        undo=(),
        undo_untouched=release.RESTORE,
        before=BEFORE,
        after=after,
        during=HostState.DEPLOYING,
        on_failure=HostState.DEPLOY_FAILED,
        recorded=(),
        restore_to=(),
    )


def failed(at: str, **more: object) -> RunProgress:
    run = RunProgress(Direction.FORWARD, "group-1", "hz-01", RunState.FAILED, 1, "1.0.0", "2.0.0", failed_at=at)
    return replace(run, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("run", "known"),
    [
        (failed(names.INSTALL_SOFTWARE), BEFORE),
        (failed(names.DEPLOY, touched=True), HostIs("", HostState.DEPLOY_FAILED)),
        (failed(names.CHECK_HEALTH, touched=True), AFTER),
        (failed(names.RESTORE_TRAFFIC, touched=True), AFTER),
        # nobody saw where, or what changes it was skipped before
        (failed("", touched=True), HostIs("", HostState.DEPLOY_FAILED)),
        (failed(names.CHECK_HEALTH, touched=True, skips=(names.DEPLOY,)), HostIs("", HostState.DEPLOY_FAILED)),
    ],
)
def test_a_host_is_what_was_done_to_it_or_nobody_knows(run: RunProgress, known: HostIs) -> None:
    assert as_it_is(plan_of(), run) == known
    assert version_unknown(plan_of(), run) == (known.version == "")


def test_a_step_that_brings_no_version_leaves_the_one_that_runs() -> None:
    ended = HostIs("1.0.0", HostState.OFFLINE)
    plan = plan_of(tuple(each.key for each in offline.STEPS), after=ended)
    assert as_it_is(plan, failed("offline", touched=True)) == HostIs("1.0.0", HostState.DEPLOY_FAILED)
    assert as_it_is(plan, failed("keep_out", touched=True)) == ended


def test_whoever_leaves_has_its_health_checked_and_its_weight_given_back_and_nothing_else() -> None:
    plan = leaving_plan(plan_of(), failed(names.DEPLOY, touched=True, leaving=Leaving.SKIPPED))
    assert [each.key for each in plan.steps] == [names.CHECK_HEALTH, names.RESTORE_TRAFFIC]
    assert not plan.leaves
    back = replace(plan_of(), undo_untouched=())  # what stands in a way back
    assert leaving_plan(back, failed(names.DEPLOY)).steps == plan.steps


def test_no_step_that_moves_traffic_and_no_health_check_is_ever_skipped() -> None:
    never = {row.plan.does for row in STEPS.values() if not may_be_skipped(row.plan)}
    assert never == {names.CUT_TRAFFIC, names.CHECK_HEALTH, names.RESTORE_TRAFFIC, "keep_out"}
