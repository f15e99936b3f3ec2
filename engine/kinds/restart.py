"""A restart: hosts leave their balancers in groups, the stack's restart script runs, and a healthy host gets its traffic back.

It has no way back: what runs afterwards is what ran before.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.domain import step_names as names
from engine.domain.fleet import Facts, Host, InstanceFacts, MountWeight
from engine.domain.message import Message, message
from engine.domain.orders import HostIs, HostPlan, OrderSpec, Plan
from engine.domain.problem import Problem
from engine.domain.progress import OrderProgress
from engine.domain.states import HostState
from engine.kinds import chosen_hosts
from engine.kinds.chosen_hosts import NOT_DEPLOYED, deployed
from engine.kinds.kind import Checks, Kind, Succeeded
from engine.steps.registry import step, steps

NAME = "restart"
STEPS = (
    *steps(names.CUT_TRAFFIC, names.DOWNLOAD_SCRIPTS),
    step("restart"),
    *steps(names.CHECK_HEALTH, names.RESTORE_TRAFFIC),
)
GIVE_BACK = steps(names.CHECK_HEALTH, names.RESTORE_TRAFFIC)


def hosts(spec: OrderSpec, facts: Facts) -> Sequence[str]:
    return chosen_hosts.hosts(spec, facts, deployed)


def plan(spec: OrderSpec, facts: Facts) -> Plan:
    return chosen_hosts.plan(spec, facts, deployed, _host_plan)


def _host_plan(app: InstanceFacts, host: Host, recorded: tuple[MountWeight, ...]) -> HostPlan:
    runs = HostIs(host.version, HostState.DEPLOYED)
    return HostPlan(
        host=host.name,
        app=app.app,
        steps=STEPS,
        undo=(),
        undo_untouched=GIVE_BACK,
        before=runs,
        after=runs,
        during=host.state,
        on_failure=HostState.DEPLOY_FAILED,
        recorded=recorded,
        restore_to=recorded,
    )


def forbids(spec: OrderSpec, facts: Facts) -> Sequence[Problem]:
    return chosen_hosts.forbids(spec, facts, deployed, _host_plan, scripts=("restart",), needs=NOT_DEPLOYED)


def checks(spec: OrderSpec, facts: Facts) -> Checks:
    stacks = dict.fromkeys(ref for app in facts.apps for ref in (app.stack.archive, app.stack.sdk) if ref is not None)
    return Checks(tuple(hosts(spec, facts)), tuple(stacks))


def records(progress: OrderProgress) -> Sequence[Succeeded]:
    return ()


def notes(spec: OrderSpec, facts: Facts, plan: Plan) -> Sequence[Message]:
    return ()


KIND = Kind(
    name=NAME,
    word=message("restart"),
    apps=chosen_hosts.apps,
    hosts=hosts,
    forbids=forbids,
    checks=checks,
    plan=plan,
    way_back=None,
    records=records,
    notes=notes,
)
