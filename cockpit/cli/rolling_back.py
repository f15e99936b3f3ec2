"""The rollback of an order that has ended, as an order of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.domain.message import message
from engine.domain.orders import ReleaseSpec
from engine.domain.problem import Problem, ProblemError
from engine.domain.states import OrderKind, Strategy

if TYPE_CHECKING:
    from engine.api import Api
    from engine.views import OrderView


class NothingToRollBackTo(ProblemError):
    """No other version of the app ever succeeded here: code `no_earlier_version`."""


def rollback_of(
    api: Api, place: tuple[str, str], ended: OrderView, version: str, reason: str, override_reason: str = ""
) -> ReleaseSpec:
    """Grouped as the order was, but never all hosts at once. `version` empty: the newest other one that succeeded here.
    Raises NothingToRollBackTo."""
    return ReleaseSpec(
        app=ended.app,
        version=version or _earlier_version(api, place, ended),
        kind=OrderKind.ROLLBACK,
        strategy=Strategy.QUICK if ended.strategy is Strategy.ONE_GROUP else ended.strategy,
        groups=max(2, sum(node.number > 0 for node in ended.nodes if node.direction is ended.direction)),
        reason=reason,
        override_reason=override_reason,
    )


def _earlier_version(api: Api, place: tuple[str, str], ended: OrderView) -> str:
    app = next(view for view in api.apps(*place) if view.name == ended.app)
    earlier = next((version for version in app.succeeded_versions if version != app.version), None)
    if earlier is None:
        raise NothingToRollBackTo(
            Problem(
                "no_earlier_version",
                message("No other version of {app} ever succeeded here.", app=app.name),
                message("Release a version that works instead."),
            )
        )
    return earlier
