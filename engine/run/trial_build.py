"""Every step of every host is built once before anything is cut, without signing: what a builder refuses is known then, not on a
host whose weight is 0 already. Nothing that is built here is ever run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from engine.domain.fleet import Host, InstanceFacts, ObjectRef, Package
from engine.domain.orders import HostPlan
from engine.domain.parameters import unusable
from engine.domain.problem import Problem, ProblemError
from engine.domain.steps import StepPlan
from engine.steps.context import StepContext, parameter, port, seconds, variables
from engine.steps.registry import remote_step, weight_change

UNSIGNED = "https://unsigned.invalid/object"


def build_problems(
    plans: Iterable[HostPlan], apps: Mapping[str, InstanceFacts], packages: Mapping[tuple[str, str], Package]
) -> list[tuple[str, Problem]]:
    """(host, what could not be built), each once."""
    found = [(plan.host, problem) for plan in plans for problem in _of_host(plan, apps[plan.app], packages)]
    return [each for number, each in enumerate(found) if each not in found[:number]]


def _of_host(plan: HostPlan, app: InstanceFacts, packages: Mapping[tuple[str, str], Package]) -> list[Problem]:
    host = next((host for host in app.hosts if host.name == plan.host), None)
    if host is None:
        return []
    context = unsigned_context(host, app, plan.after.version, packages)
    found = [_refusal(lambda: variables(context)), _refusal(lambda: _drain(context))]
    found += [_refusal(partial(_step, step, plan, context)) for step in plan.steps]
    return [problem for problem in found if problem is not None]


def unsigned_context(
    host: Host, app: InstanceFacts, version: str, packages: Mapping[tuple[str, str], Package]
) -> StepContext:
    package = packages.get((app.app, version)) or Package(app.app, version, ObjectRef("", "", "package"))
    return StepContext(host, app.stack, app.app, version, package, UNSIGNED, UNSIGNED, UNSIGNED, app.requires_staragent)


def _step(step: StepPlan, plan: HostPlan, context: StepContext) -> object:
    return weight_change(step, plan) if step.on_balancer else remote_step(step, context)


def _refusal(build: Callable[[], object]) -> Problem | None:
    try:
        build()
    except ProblemError as error:
        return error.problem
    return None


def _drain(context: StepContext) -> None:
    """What the wait behind a cut reads. Raises ProblemError."""
    if parameter(context, "app_port", ""):
        port(context.host, context.stack, "app_port", "")
    wanted = parameter(context, "drain_s", "")
    if wanted and unusable("drain_s", wanted) is not None:
        seconds(context, "drain_s", 1.0)
