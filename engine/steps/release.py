"""The remote steps of a release, built in the order asked for. Traffic steps are the balancer's and never among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from engine.domain.states import StepName
from engine.ports import RemoteStep
from engine.steps import (
    check_agent,
    check_health,
    configure_environment,
    deploy,
    download_package,
    download_scripts,
    install_software,
)
from engine.steps.context import ReleaseContext

BUILDERS: Mapping[StepName, Callable[[ReleaseContext], RemoteStep]] = {
    StepName.CHECK_AGENT: check_agent.build,
    StepName.DOWNLOAD_SCRIPTS: download_scripts.build,
    StepName.INSTALL_SOFTWARE: install_software.build,
    StepName.CONFIGURE_ENVIRONMENT: configure_environment.build,
    StepName.DOWNLOAD_PACKAGE: download_package.build,
    StepName.DEPLOY: deploy.build,
    StepName.CHECK_HEALTH: check_health.build,
}


def remote_steps(names: Sequence[StepName], context: ReleaseContext) -> tuple[RemoteStep, ...]:
    """Raises ProblemError for parameters that cannot be used, KeyError for a step that is not run on the host."""
    return tuple(BUILDERS[name](context) for name in names)
