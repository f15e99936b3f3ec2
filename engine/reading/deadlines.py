"""How long a running step may take: what its builder says for this host, its retries included.

Built from the catalogue without anything signed, as the engine builds it, once per takeover of the order: the engine reads the
catalogue as often.
"""

from __future__ import annotations

import sqlalchemy as sa

from engine.domain.fleet import InstanceFacts, ObjectRef, Package
from engine.domain.orders import HostPlan
from engine.domain.problem import ProblemError
from engine.domain.progress import OrderProgress
from engine.domain.steps import StepPlan
from engine.steps.context import StepContext
from engine.steps.registry import remote_step
from engine.store.fleets import load_instance

ORDERS_REMEMBERED = 8
_UNSIGNED = "https://unsigned.invalid/object"


class Deadlines:
    """One per `HostRuns`."""

    def __init__(self) -> None:
        self._apps: dict[tuple[int, int], dict[str, InstanceFacts]] = {}
        self._known: dict[tuple[int, int, str, str, str, float, int], float | None] = {}

    def of(self, conn: sa.Connection, progress: OrderProgress, plan: HostPlan, step: StepPlan) -> float | None:
        """In seconds; None for a step at a balancer, or one that can't be built from the catalogue as it is now."""
        if step.on_balancer:
            return None
        order = progress.id, progress.epoch
        key = (*order, plan.app, plan.host, step.key, step.deadline_s, step.retries)
        if key not in self._known:
            apps = self._apps_of(conn, progress)
            self._known[key] = _deadline(apps.get(plan.app), plan, step)
        return self._known[key]

    def _apps_of(self, conn: sa.Connection, progress: OrderProgress) -> dict[str, InstanceFacts]:
        order = progress.id, progress.epoch
        if order not in self._apps:
            found: dict[str, InstanceFacts] = {}
            for app in progress.apps:
                try:
                    found[app.app] = load_instance(conn, app.service_instance_id)
                except ProblemError:
                    # the app has left the catalogue: what its steps may take is not known here
                    continue
            kept = dict([*self._apps.items(), (order, found)][-ORDERS_REMEMBERED:])
            self._known = {key: value for key, value in self._known.items() if key[:2] in kept}
            self._apps = kept
        return self._apps[order]


def _deadline(app: InstanceFacts | None, plan: HostPlan, step: StepPlan) -> float | None:
    host = next((host for host in app.hosts if host.name == plan.host), None) if app is not None else None
    if app is None or host is None:
        return None
    package = Package(app.app, plan.after.version, ObjectRef("", "", "package"))
    context = StepContext(
        host, app.stack, app.app, plan.after.version, package, _UNSIGNED, _UNSIGNED, _UNSIGNED, app.requires_staragent
    )
    try:
        return remote_step(step, context).deadline_s
    except ProblemError:
        # a parameter that can't be used: the step itself will say so
        return None
