"""Every step there is: one row each. What it is called, what it needs, what becomes of it in doubt, and who builds it.

`step("deploy")` is how a kind puts one into its list. Adding a row adds the step to no list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from engine.domain import step_names as names
from engine.domain.message import Message, message
from engine.domain.orders import HostPlan
from engine.domain.problem import Problem, ProblemError
from engine.domain.steps import HEALTH, Holds, InDoubt, StepPlan, Traffic, Where
from engine.ports import RemoteStep
from engine.steps import (
    check_agent,
    check_health,
    configure_environment,
    cut_traffic,
    deploy,
    download_package,
    download_scripts,
    install_software,
    keep_out,
    offline,
    restart,
    restart_agent,
    restore_traffic,
    service,
    show_folders,
)
from engine.steps.context import StepContext
from engine.steps.weight_change import WeightChange

ARCHIVE, PACKAGE = "archive", "package"


@dataclass(frozen=True, slots=True)
class StepRow:
    """What a step is called, how it stands in a list by default, and its builder: `remote` for a piece of sh on the host, `weights`
    for a change at the balancer. `needs`: what must be signed before it can be built (`archive`, `package`).
    `look`: a piece of sh that changes nothing and ends with 0 when what the step did is still so."""

    plan: StepPlan
    word: Message
    remote: Callable[[StepContext, StepPlan], RemoteStep] | None = None
    weights: Callable[[HostPlan], WeightChange] | None = None
    needs: frozenset[str] = frozenset()
    look: Callable[[StepContext, StepPlan], RemoteStep] | None = None


def _host(
    name: str,
    in_doubt: InDoubt,
    holds: Holds = Holds.UNKNOWN,
    *,
    sets: tuple[str, ...] = (),
    prepares: bool = False,
) -> StepPlan:
    return StepPlan(name, name, Where.HOST, in_doubt, sets, skippable=True, holds=holds, prepares=prepares)


def _balancer(name: str, traffic: Traffic, *, prepares: bool = False) -> StepPlan:
    return StepPlan(name, name, Where.BALANCER, InDoubt.RERUN, traffic=traffic, holds=Holds.SHOWN, prepares=prepares)


_ROWS = (
    StepRow(
        _balancer(names.CUT_TRAFFIC, Traffic.OUT, prepares=True), message("cut traffic"), weights=cut_traffic.build
    ),
    StepRow(
        _host(names.CHECK_AGENT, InDoubt.RERUN, Holds.LOOK, prepares=True),
        message("check agent"),
        check_agent.build,
        look=check_agent.build,
    ),
    StepRow(
        _host(names.DOWNLOAD_SCRIPTS, InDoubt.RERUN, Holds.LOOK, prepares=True),
        message("download scripts"),
        download_scripts.build,
        needs=frozenset({ARCHIVE}),
        look=download_scripts.look,
    ),
    # the stack's own scripts: only a person knows what half of one leaves behind
    StepRow(
        _host(names.INSTALL_SOFTWARE, InDoubt.ASK, Holds.RECORD), message("install software"), install_software.build
    ),
    StepRow(
        _host(names.CONFIGURE_ENVIRONMENT, InDoubt.ASK, Holds.RECORD),
        message("configure environment"),
        configure_environment.build,
    ),
    StepRow(
        _host(names.DOWNLOAD_PACKAGE, InDoubt.RERUN, Holds.LOOK, prepares=True),
        message("download package"),
        download_package.build,
        needs=frozenset({PACKAGE}),
        look=download_package.look,
    ),
    StepRow(
        _host(names.DEPLOY, InDoubt.ASK, Holds.RECORD_AND_LOOK, sets=("version",)),
        message("deploy"),
        deploy.build,
        look=service.running,
    ),
    StepRow(
        _host("offline", InDoubt.ASK, Holds.RECORD_AND_LOOK, sets=("state",)),
        message("take the service offline"),
        offline.build,
        look=service.ended,
    ),
    StepRow(
        _host("restart", InDoubt.ASK, Holds.RECORD_AND_LOOK, sets=("state",)),
        message("restart the service"),
        restart.build,
        look=service.running,
    ),
    StepRow(
        _host(names.CHECK_HEALTH, InDoubt.PROBE, Holds.LOOK, sets=(HEALTH,)),
        message("check health"),
        check_health.build,
        look=check_health.look,
    ),
    StepRow(_host("restart_agent", InDoubt.RERUN), message("restart the agent"), restart_agent.build),
    StepRow(_host("show_folders", InDoubt.RERUN), message("biggest folders, free space"), show_folders.build),
    StepRow(_balancer("keep_out", Traffic.STAYS_OUT), message("stay without traffic"), weights=keep_out.build),
    StepRow(_balancer(names.RESTORE_TRAFFIC, Traffic.BACK), message("restore traffic"), weights=restore_traffic.build),
)
STEPS: dict[str, StepRow] = {row.plan.does: row for row in _ROWS}


def step(does: str, key: str = "", **changes: object) -> StepPlan:
    """The step as it stands in a list, with what is different this time. `key`: when it stands there more than once."""
    return replace(STEPS[does].plan, key=key or does, **changes)  # type: ignore[arg-type]


def steps(*does: str) -> tuple[StepPlan, ...]:
    return tuple(step(each) for each in does)


def needed(plans: Sequence[StepPlan]) -> frozenset[str]:
    """What must be signed before these steps can be built."""
    return frozenset().union(*(_row(each).needs for each in plans))


def remote_step(plan: StepPlan, context: StepContext) -> RemoteStep:
    """What is run on the host. Raises ProblemError for parameters that cannot be used, `step_unknown`."""
    row = _row(plan)
    if row.remote is None:
        raise ProblemError(step_unknown(plan))
    built = row.remote(context, plan)
    if plan.deadline_s:
        built = replace(built, deadline_s=plan.deadline_s)
    return _with_retries(built, plan) if plan.retries else built


def look(plan: StepPlan, context: StepContext) -> RemoteStep | None:
    """The look at what the step did, where it has one. Raises ProblemError for parameters that cannot be used, `step_unknown`."""
    row = _row(plan)
    return None if row.look is None else row.look(context, plan)


def weight_change(plan: StepPlan, host: HostPlan) -> WeightChange:
    """What is asked of the balancer. Raises ProblemError `step_unknown`."""
    row = _row(plan)
    if row.weights is None:
        raise ProblemError(step_unknown(plan))
    return row.weights(host)


def unknown_steps(plans: Sequence[StepPlan]) -> tuple[str, ...]:
    """What these steps do that this version knows nothing of: a newer one wrote them."""
    return tuple(dict.fromkeys(plan.does for plan in plans if plan.does not in STEPS))


def step_unknown(plan: StepPlan) -> Problem:
    return Problem(
        "step_unknown",
        message("This version does not know how to do the step {step} ({does}).", step=plan.key, does=plan.does),
        message("Update the cockpit on this machine; a newer one wrote the order."),
    )


def _row(plan: StepPlan) -> StepRow:
    if plan.does not in STEPS:
        raise ProblemError(step_unknown(plan))
    return STEPS[plan.does]


def _with_retries(built: RemoteStep, plan: StepPlan) -> RemoteStep:
    """The same step in a loop on the host, where a lost link can't stop it. Each try has its own subshell."""
    tries = plan.retries + 1
    body = f"""ck_tries=0
while :; do
    ck_tries=$((ck_tries + 1))
    (
{built.body}
    ) && exit 0
    ck_last=$?
    [ "$ck_tries" -lt {tries} ] || exit "$ck_last"
    echo "try $ck_tries of {tries} ended with exit status $ck_last"
    sleep {round(plan.interval_s)}
done
"""
    return replace(built, body=body, deadline_s=(built.deadline_s + plan.interval_s) * tries)
