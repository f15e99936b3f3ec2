"""What can be done by a step about the failures of an order, and how often that has helped here."""

from __future__ import annotations

import sqlalchemy as sa

from engine.domain.progress import OrderProgress
from engine.plan.remedies import offered
from engine.reading.scope import Scope
from engine.store.remedies import helped_here, remedies_of_order
from engine.views.orders import RemedyView


def read_remedies(conn: sa.Connection, scope: Scope, progress: OrderProgress) -> tuple[RemedyView, ...]:
    """One per host that is offered one, in the order of the plan, or of what the check told."""
    offers = offered(progress)
    if not offers:
        return ()
    counts = helped_here(conn, scope.workspace_id, {offer.code for offer in offers})
    last = {(done.host, done.code, done.remedy): done.problem for _, done in remedies_of_order(conn, progress.id)}
    found = []
    for offer in offers:
        helped, tried = counts.get((offer.code, offer.remedy.name), (0, 0))
        problem = last.get((offer.host, offer.code, offer.remedy.name))
        found.append(RemedyView(offer.host, offer.code, offer.remedy.name, offer.remedy.word, helped, tried, problem))
    return tuple(found)
