"""A restart: hosts leave their balancers in groups, the stack's restart script runs, and a healthy host gets its traffic back.

It has no way back: what runs afterwards is what ran before. A host whose deployment broke off stays one whose deployment failed:
what it runs is not known, and a restart that goes well does not make it known.
"""

from __future__ import annotations

from engine.domain import step_names as names
from engine.domain.fleet import Facts, Host, InstanceFacts, MountWeight
from engine.domain.message import message
from engine.domain.orders import HostPlan
from engine.domain.states import HostState
from engine.kinds import chosen_hosts, release
from engine.kinds.chosen_hosts import NOT_DEPLOYED, deployed, stands
from engine.steps.registry import step, steps

NAME = "restart"
STEPS = (
    *steps(names.CUT_TRAFFIC, names.DOWNLOAD_SCRIPTS),
    step("restart"),
    *release.RESTORE,
)


def _host_plan(facts: Facts, app: InstanceFacts, host: Host, recorded: tuple[MountWeight, ...]) -> HostPlan:
    runs = stands(host)
    return HostPlan(
        host=host.name,
        app=app.app,
        steps=STEPS,
        undo=(),
        undo_untouched=release.RESTORE,
        before=runs,
        after=runs,
        during=host.state,
        on_failure=HostState.DEPLOY_FAILED,
        recorded=recorded,
        restore_to=recorded,
    )


KIND = chosen_hosts.kind(NAME, message("restart"), deployed, _host_plan, scripts=("restart",), needs=NOT_DEPLOYED)
