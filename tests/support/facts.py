"""Facts of one app without a store: what a kind plans from."""

from __future__ import annotations

from collections.abc import Sequence

from engine.domain.fleet import Facts, Host, InstanceFacts, MountWeight, ObjectRef, Package, TechStack
from engine.domain.states import StackStatus

SCRIPTS = {name: f"bin/{name}.sh" for name in ("deploy", "restart", "start", "stop", "offline")}


def facts_of(
    hosts: Sequence[Host],
    weights: Sequence[MountWeight] = (),
    *,
    floor_percent: int = 50,
    app: str = "shop",
    version: str = "1.0.0",
    packages: Sequence[str] = ("1.0.0", "2.0.0"),
    objects: str = "",
) -> Facts:
    ref = ObjectRef("cn-hangzhou", "lab", "stack.tar.gz")
    instance = InstanceFacts(
        service_instance_id=1, workspace_id=1, app_id=1, app=app, production=True, floor_percent=floor_percent,
        requires_staragent=False, current_version=version, succeeded_versions=(version,), regions=(), hosts=tuple(hosts),
        host_regions={}, mounts=tuple(line.mount for line in weights), stack=TechStack("web", "1", ref, SCRIPTS),
        stack_status=StackStatus.PUBLISHED,
    )  # fmt: skip
    return Facts((instance,), {(app, v): Package(app, v, ref) for v in packages}, tuple(weights), objects=objects)
