"""What running one order needs: the facts of its service instance and the ports to the world, gathered once a take-over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.domain.fleet import Host, ObjectRef, Package
from engine.domain.message import message
from engine.domain.orders import HostPlan
from engine.domain.problem import Problem, ProblemError
from engine.domain.states import Direction, StepName
from engine.ports import Clock, Packages, Remote, RemoteStep
from engine.run.journal import Journal
from engine.run.ledger import Ledger
from engine.steps.context import ReleaseContext
from engine.store.fleets import InstanceFacts

URL_LIFE_S = 4 * 3600  # longer than the deadlines of a job's steps together; V4 signatures allow up to 7 days


@dataclass(frozen=True, slots=True)
class OrderContext:
    order_id: int
    created_at: float
    epoch: int
    facts: InstanceFacts
    versions: dict[str, Package]  # version → its package, for every version a host of the order may get
    remote: Remote
    packages: Packages
    ledger: Ledger
    journal: Journal
    clock: Clock
    log_dir: Path
    floors: Mapping[str, int] = field(default_factory=dict)  # server group → hosts that must stay; none when overridden
    hosts: dict[str, Host] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hosts", {host.name: host for host in self.facts.hosts})

    def host(self, name: str) -> Host:
        if name not in self.hosts:
            raise ProblemError(
                Problem(
                    "host_left_instance",
                    message("{host} is no longer a host of {app}.", host=name, app=self.facts.app),
                    message("Add it to the service instance again, or cancel the order."),
                )
            )
        return self.hosts[name]

    def release_context(self, plan: HostPlan, names: tuple[StepName, ...]) -> ReleaseContext:
        """What the builders of the remote steps need; signs the URLs that these steps use. Raises ProblemError."""
        host = self.host(plan.host)
        downloads = StepName.DOWNLOAD_SCRIPTS in names
        package = self.versions.get(plan.to_version)
        if package is None and StepName.DOWNLOAD_PACKAGE in names:
            raise ProblemError(
                Problem(
                    "package_unknown",
                    message("{app} {version} has no release package.", app=self.facts.app, version=plan.to_version),
                    message("Add the package to the catalogue, then retry the host."),
                )
            )
        stack = self.facts.stack
        return ReleaseContext(
            host=host,
            stack=stack,
            app=self.facts.app,
            version=plan.to_version,
            package=package or Package(self.facts.app, plan.to_version, ObjectRef("", "", "")),
            archive_url=self.packages.signed_url(stack.archive, URL_LIFE_S) if downloads else "",
            sdk_url=self.packages.signed_url(stack.sdk, URL_LIFE_S) if downloads and stack.sdk else "",
            package_url=self.packages.signed_url(package.object, URL_LIFE_S)
            if package and StepName.DOWNLOAD_PACKAGE in names
            else "",
            requires_staragent=self.facts.requires_staragent,
        )


def job_key(direction: Direction, attempt: int) -> str:
    """The name of an attempt's folder on the host."""
    return f"{direction}-{attempt}"


def longest_s(steps: tuple[RemoteStep, ...]) -> float:
    return sum(step.deadline_s for step in steps)
