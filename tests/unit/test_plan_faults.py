"""What a plan must be: a fault is refused with its place, before anything is stored."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.domain.message import message
from engine.domain.orders import HostIs, HostPlan, Plan, PlanNode
from engine.domain.states import Direction, HostState, NodeKind
from engine.domain.steps import StepPlan
from engine.kinds.release import STEPS
from engine.plan.faults import PlanFault, checked, faults
from engine.steps.registry import step, steps


def run(host: str, its_steps: tuple[StepPlan, ...] = STEPS) -> HostPlan:
    is_ = HostIs("1", HostState.DEPLOYED)
    return HostPlan(host, "shop", its_steps, (), (), is_, is_, HostState.DEPLOYED, HostState.DEPLOY_FAILED, (), ())


def group(key: str, needs: tuple[str, ...], *runs: HostPlan) -> PlanNode:
    return PlanNode(key, NodeKind.GROUP, needs, message("{key}", key=key), runs)


def plan(*nodes: PlanNode) -> Plan:
    return Plan(Direction.FORWARD, nodes, "", 0, 0, 0)


def codes(*nodes: PlanNode) -> list[str]:
    return [problem.code for problem in faults(plan(*nodes))]


def test_a_sound_plan_has_no_fault() -> None:
    assert codes(group("a", (), run("h1"), run("h2")), group("b", ("a",), run("h1"))) == []


@pytest.mark.parametrize(
    ("nodes", "code", "place"),
    [
        (
            (group("east", ("west",), run("h1")), group("west", ("east",), run("h2"))),
            "plan_no_graph",
            "east of the plan needs west",
        ),
        ((group("east", ("east",), run("h1")),), "plan_no_graph", "east of the plan needs east"),
        ((group("east", ()),), "plan_group_empty", "Group east "),
        ((group("east", (), run("h1"), run("h1")),), "plan_host_twice", "h1 is twice in east "),
        ((group("east", (), run("h1")), group("west", (), run("h1"))), "plan_host_twice", "h1 is in east and west"),
        ((group("east", (), run("h1")), group("east", (), run("h2"))), "plan_key_twice", "called east."),
        ((group("ea/st", (), run("h1")),), "plan_key_unusable", "ea/st"),
        ((group("east", (), run("h1", (*STEPS, STEPS[1]))),), "plan_key_twice", "h1 in east are called check_agent"),
        (
            (group("east", (), run("h1", (step("deploy", key="de ploy"),))),),
            "plan_key_unusable",
            "de ploy of h1 in east",
        ),
        (
            (group("east", (), run("h1", steps("cut_traffic", "deploy"))),),
            "plan_traffic_not_returned",
            "h1 in east cut",
        ),
        (
            (group("east", (), run("h1", steps("restore_traffic", "cut_traffic"))),),
            "plan_traffic_not_returned",
            "h1 in east cut",
        ),
        (
            (group("east", (), run("h1", steps("deploy", "restore_traffic", "check_health"))),),
            "plan_job_split",
            "h1 in east ",
        ),
    ],
)
def test_a_fault_is_named_with_its_place(nodes: tuple[PlanNode, ...], code: str, place: str) -> None:
    found = list(faults(plan(*nodes)))
    assert code in [problem.code for problem in found]
    assert place in " ".join(str(problem.what) for problem in found if problem.code == code)
    with pytest.raises(PlanFault):
        checked(plan(*nodes))


def test_the_way_back_of_a_host_is_looked_at_as_well() -> None:
    bad = replace(run("h1"), undo=steps("cut_traffic", "deploy"))
    assert codes(group("a", (), bad)) == ["plan_traffic_not_returned"]
