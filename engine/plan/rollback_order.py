"""The rollback of an order that has ended, as an order of its own: what is asked for. Pure; it creates nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.domain.orders import ReleaseSpec
from engine.domain.progress import OrderProgress
from engine.domain.states import NodeKind, OrderKind, Strategy

FEWEST_GROUPS = 2  # never all hosts at once, if there is more than one


def versions_to_go_back_to(ended: OrderProgress, succeeded: Sequence[str]) -> tuple[str, ...]:
    """Versions that succeeded here, other than the one this order was to bring; newest first, as `succeeded` is."""
    return tuple(version for version in succeeded if version != ended.spec.version)


def rollback_of(
    ended: OrderProgress, version: str, hosts: int, *, reason: str, override_reason: str = ""
) -> ReleaseSpec:
    """Grouped as the order was, but never all of its `hosts` at once. No Beta and no gray traffic: it is a way back."""
    nodes = ended.plan.nodes if ended.plan else ()
    groups = sum(node.kind is NodeKind.GROUP for node in nodes)
    strategy = ended.spec.strategy
    return ReleaseSpec(
        app=ended.spec.app,
        version=version,
        kind=OrderKind.ROLLBACK,
        strategy=Strategy.QUICK if strategy is Strategy.ONE_GROUP else strategy,
        groups=max(1, min(hosts, max(FEWEST_GROUPS, groups))),
        parallelism=ended.spec.parallelism,
        floor=ended.spec.floor,
        reason=reason,
        override_reason=override_reason,
    )


def wider(spec: ReleaseSpec, hosts: int) -> ReleaseSpec | None:
    """The same with more and smaller groups, so that more hosts stay in service meanwhile; None when there is nothing smaller."""
    if spec.strategy is Strategy.ONE_PER_GROUP or (spec.strategy is Strategy.QUICK and spec.groups >= hosts):
        return None
    if spec.strategy is not Strategy.QUICK:
        return replace(spec, strategy=Strategy.ONE_PER_GROUP)
    return replace(spec, groups=min(hosts, spec.groups * 2))
