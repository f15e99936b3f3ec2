"""Taking hosts offline: their traffic is cut, the stack's offline script ends the service, and weight 0 is wanted from then on.

The way back of a host that was ended deploys what it ran before and gives its traffic back.
"""

from __future__ import annotations

from engine.domain import step_names as names
from engine.domain.fleet import Facts, Host, InstanceFacts, MountWeight
from engine.domain.message import message
from engine.domain.orders import HostIs, HostPlan
from engine.domain.progress import OrderProgress
from engine.domain.states import HostState
from engine.kinds import chosen_hosts, release
from engine.kinds.chosen_hosts import NOT_DEPLOYED, deployed, stands
from engine.plan.back import Back, SucceededVersions, WayBack, never_succeeded, plan_rollback
from engine.plan.problems import no_version_to_choose, rollback_never_succeeded
from engine.plan.which_hosts import may_be_touched
from engine.steps.registry import step, steps

NAME = "offline"
STEPS = (*steps(names.CUT_TRAFFIC, names.DOWNLOAD_SCRIPTS), step("offline"), step("keep_out"))


def _host_plan(facts: Facts, app: InstanceFacts, host: Host, recorded: tuple[MountWeight, ...]) -> HostPlan:
    return HostPlan(
        host=host.name,
        app=app.app,
        steps=STEPS,
        undo=release.STEPS,
        undo_untouched=release.RESTORE,
        before=stands(host),
        after=HostIs(host.version, HostState.OFFLINE),
        during=host.state,
        on_failure=HostState.DEPLOY_FAILED,
        recorded=recorded,
        restore_to=tuple(MountWeight(line.mount, 0) for line in recorded),
    )


def undo(progress: OrderProgress, version: str | None, succeeded: SucceededVersions) -> Back:
    """Only to a version whose package is still there: a host that was ended is deployed anew."""
    back, may_be = plan_rollback(progress), set(may_be_touched(progress))
    if version:
        return Back(back, no_version_to_choose(version), ("",))
    gone = never_succeeded(back, may_be, succeeded)
    return Back(back, rollback_never_succeeded(*gone, succeeded.get(gone[0], ())) if gone else None, ("",))


KIND = chosen_hosts.kind(
    NAME,
    message("take offline"),
    deployed,
    _host_plan,
    scripts=("offline",),
    needs=NOT_DEPLOYED,
    way_back=WayBack(undo),
    notes=(message("these hosts stay at weight 0 until they are brought online: no release touches them"),),
)
