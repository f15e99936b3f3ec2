"""What running one order needs: the facts of its apps and the ports to the world, gathered once per take-over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.domain.fleet import Host, InstanceFacts, ObjectRef, Package
from engine.domain.message import message
from engine.domain.orders import HostPlan
from engine.domain.problem import Problem, ProblemError
from engine.domain.steps import StepPlan
from engine.plan.problems import package_unknown
from engine.ports import Clock, Packages, Remote
from engine.run.journal import Journal
from engine.run.ledger import Ledger
from engine.steps.context import StepContext
from engine.steps.registry import ARCHIVE, PACKAGE, needed

URL_LIFE_S = 4 * 3600  # longer than the deadlines of a job's steps together; V4 signatures allow up to 7 days


@dataclass(frozen=True, slots=True)
class OrderContext:
    """`packages_of` are those of every version a host of the order may get, by (app, version). `floors`: server group → hosts that
    must stay; none when they are overridden."""

    order_id: int
    created_at: float
    epoch: int
    workspace_id: int
    apps: Mapping[str, InstanceFacts]
    packages_of: Mapping[tuple[str, str], Package]
    remote: Remote
    packages: Packages
    ledger: Ledger
    journal: Journal
    clock: Clock
    log_dir: Path
    floors: Mapping[str, int] = field(default_factory=dict)

    def host(self, plan: HostPlan) -> Host:
        """Raises ProblemError `host_left_instance`."""
        app = self.apps.get(plan.app)
        for host in app.hosts if app is not None else ():
            if host.name == plan.host:
                return host
        raise ProblemError(
            Problem(
                "host_left_instance",
                message("{host} is no longer a host of {app}.", host=plan.host, app=plan.app),
                message("Add it to the service instance again, or cancel the order."),
            )
        )

    def step_context(self, plan: HostPlan, steps: Sequence[StepPlan] = ()) -> StepContext:
        """What the builders of the remote steps need; signs the URLs that these steps use. Raises ProblemError."""
        host, app, version = self.host(plan), self.apps[plan.app], plan.after.version
        needs = needed(steps)
        package = self.packages_of.get((plan.app, version))
        if package is None and PACKAGE in needs:
            raise ProblemError(package_unknown(plan.app, version))
        stack = app.stack
        return StepContext(
            host=host,
            stack=stack,
            app=app.app,
            version=version,
            package=package or Package(app.app, version, ObjectRef("", "", "")),
            archive_url=self._url(stack.archive) if ARCHIVE in needs else "",
            sdk_url=self._url(stack.sdk) if ARCHIVE in needs and stack.sdk else "",
            package_url=self._url(package.object) if package and PACKAGE in needs else "",
            requires_staragent=app.requires_staragent,
        )

    def _url(self, ref: ObjectRef) -> str:
        return self.packages.signed_url(ref, URL_LIFE_S)
