"""What `cockpit order show` says of an order beside its hosts: who is responsible now, its limits, where it will pause."""

from __future__ import annotations

from collections.abc import Iterator

from engine.views.orders import OrderView
from screens.translate import _, tr


def limits_and_responsible(view: OrderView) -> Iterator[str]:
    if view.responsible and view.responsible != view.created_by:
        yield _("responsible: {operator}").format(operator=view.responsible)
    if view.state.complete:
        return
    limits = _("hosts at once: {at_once}; failures allowed per group: {failures}")
    yield limits.format(at_once=view.parallelism, failures=view.max_failures)
    for node in view.nodes:
        if node.pauses:
            yield _("pauses before {node}").format(node=tr(node.label))
