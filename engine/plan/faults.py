"""What a plan must be before it is stored. A fault is a mistake of whoever made the plan, named with its place. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from engine.domain.message import Message, message
from engine.domain.orders import Plan, PlanNode
from engine.domain.problem import Problem, ProblemError
from engine.domain.steps import StepPlan, Traffic, is_key


class PlanFault(ProblemError):
    """Codes: `plan_no_graph`, `plan_group_empty`, `plan_host_twice`, `plan_key_unusable`, `plan_key_twice`,
    `plan_traffic_not_returned`, `plan_job_split`."""


def checked(plan: Plan) -> Plan:
    """The plan itself. Raises PlanFault with the first fault."""
    for problem in faults(plan):
        raise PlanFault(problem)
    return plan


def faults(plan: Plan) -> Iterator[Problem]:
    yield from _graph(plan.nodes)
    for node in plan.nodes:
        if node.kind.runs_hosts and not node.runs:
            yield _fault("plan_group_empty", message("Group {node} of the plan has no host.", node=node.key))
        for host in _twice(run.host for run in node.runs):
            yield _fault("plan_host_twice", message("{host} is twice in {node} of the plan.", host=host, node=node.key))
    yield from _side_by_side(plan.nodes)
    for steps, key, host in _lists(plan):
        yield from _list(steps, key, host)


def _graph(nodes: Sequence[PlanNode]) -> Iterator[Problem]:
    """Each node comes behind all that it needs: then there is no circle."""
    seen: set[str] = set()
    for node in nodes:
        if not is_key(node.key):
            yield _fault("plan_key_unusable", message("{node} can't be the key of a node.", node=node.key))
        if node.key in seen:
            yield _fault("plan_key_twice", message("Two nodes of the plan are called {node}.", node=node.key))
        for need in node.needs:
            if need not in seen:
                yield _fault(
                    "plan_no_graph",
                    message(
                        "{node} of the plan needs {need}, which does not come before it.", node=node.key, need=need
                    ),
                )
        seen.add(node.key)


def _side_by_side(nodes: Sequence[PlanNode]) -> Iterator[Problem]:
    """A host may stand in several nodes, if one of them is always done before the other begins."""
    before: dict[str, set[str]] = {}
    places: dict[str, list[str]] = {}
    for node in nodes:
        needs = [need for need in node.needs if need in before]
        before[node.key] = set(needs).union(*(before[need] for need in needs))
        for run in node.runs:
            for other in places.get(run.host, ()):
                if other != node.key and other not in before[node.key]:
                    yield _fault(
                        "plan_host_twice",
                        message(
                            "{host} is in {node} and {other}, which may run at the same time.",
                            host=run.host,
                            node=other,
                            other=node.key,
                        ),
                    )
            places.setdefault(run.host, []).append(node.key)


def _lists(plan: Plan) -> Iterator[tuple[tuple[StepPlan, ...], str, str]]:
    """Every list of steps once: most hosts share theirs."""
    seen: set[int] = set()
    for node in plan.nodes:
        for run in node.runs:
            for steps in (run.steps, run.undo, run.undo_untouched):
                if id(steps) not in seen:
                    seen.add(id(steps))
                    yield steps, node.key, run.host


def _list(steps: Sequence[StepPlan], node: str, host: str) -> Iterator[Problem]:
    for step in steps:
        if not is_key(step.key):
            yield _fault(
                "plan_key_unusable",
                message("{step} of {host} in {node} can't be the key of a step.", step=step.key, host=host, node=node),
            )
    for key in _twice(step.key for step in steps):
        yield _fault(
            "plan_key_twice",
            message("Two steps of {host} in {node} are called {step}.", host=host, node=node, step=key),
        )
    pieces = sum(not step.on_balancer and (at == 0 or steps[at - 1].on_balancer) for at, step in enumerate(steps))
    if pieces > 1:
        yield _fault(
            "plan_job_split",
            message(
                "The steps of {host} in {node} are not one piece on the host: put what comes later into another node.",
                host=host,
                node=node,
            ),
        )
    out = False
    for step in steps:
        out = step.traffic is Traffic.OUT or (out and step.traffic is Traffic.STAYS)
    if out:
        yield _fault(
            "plan_traffic_not_returned",
            message(
                "The steps of {host} in {node} cut its traffic and neither give it back nor say that it stays out.",
                host=host,
                node=node,
            ),
        )


def _twice(names: Iterator[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _fault(code: str, what: Message) -> Problem:
    return Problem(code, what, message("Report it with the order's kind: the plan is wrong."))
