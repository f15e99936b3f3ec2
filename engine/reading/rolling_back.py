"""What a rollback of an ended order would be: an order of its own, planned before it exists and refused for what a release is.

The same answer is shown in the dialog and decides whether the order is created.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import sqlalchemy as sa

from engine.domain.message import Message, message
from engine.domain.orders import OrderSpec
from engine.domain.progress import OrderProgress
from engine.kinds.rollback import rollback_of, wider
from engine.plan.what_if_words import named
from engine.reading.preview import Preview, read_preview
from engine.reading.scope import Scope
from engine.store.fleets import load_instance
from engine.views.acts import Consequence
from engine.views.preview import OrderPreview

FLOOR = "floor_broken"
ANY_REASON = "-"  # stands for the one that is still to be typed


@dataclass(frozen=True, slots=True)
class RollbackOrder:
    """What would be asked for, what it would be, and what both mean."""

    spec: OrderSpec
    preview: Preview
    meaning: Consequence


def read_rollback_order(
    conn: sa.Connection,
    scope: Scope,
    ended: OrderProgress,
    meaning: Consequence,
    *,
    reason: str = "",
    override_reason: str = "",
) -> RollbackOrder:
    """`meaning` is `what_if`'s answer for the ended order, with the version that was chosen. Raises NotThere `no_such_app`."""
    excluded = ended.spec.grouping.excluded
    counts = (
        sum(host.name not in excluded for host in load_instance(conn, app.service_instance_id).hosts)
        for app in ended.apps
    )
    hosts = min(filter(None, counts), default=0)
    spec = rollback_of(
        ended, meaning.chosen, hosts, reason=reason.strip() or ANY_REASON, override_reason=override_reason.strip()
    )
    preview = read_preview(conn, scope, spec)
    while preview.view.breaks_floor and (smaller := wider(spec, hosts)) is not None:
        spec, preview = smaller, read_preview(conn, scope, smaller)
    if not meaning.allowed:
        return RollbackOrder(spec, preview, meaning)
    return RollbackOrder(spec, preview, _with_plan(meaning, preview.view))


def _with_plan(meaning: Consequence, view: OrderPreview) -> Consequence:
    asks_override = view.breaks_floor
    others = [problem for problem in view.problems if problem.code != FLOOR]
    if others:
        return replace(meaning, allowed=False, refusal=others[0], lines=(), asks_override=False)
    lines = (*meaning.lines, *_lines(view))
    groups = [node for node in view.nodes if node.kind.runs_hosts]
    hosts = tuple(host for node in groups for host in node.hosts)
    return replace(meaning, lines=lines, hosts=hosts, asks_override=asks_override)


def _lines(view: OrderPreview) -> list[Message]:
    groups = [node for node in view.nodes if node.kind.runs_hosts]
    lines = [message("{node}: {hosts}", node=node.label, hosts=named(node.hosts)) for node in groups]
    if view.in_service or view.floor:
        lines.append(
            message(
                "in service: {in_service}, at least {lowest} while it runs, floor {floor}",
                in_service=view.in_service,
                lowest=view.lowest_in_service,
                floor=view.floor,
            )
        )
    if view.breaks_floor:
        lines.append(message("goes below the floor, however small the groups are: that needs a reason of its own"))
    return [*lines, *view.notes]
