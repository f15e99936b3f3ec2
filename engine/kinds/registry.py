"""The kinds there are: one row each. Whoever has an order asks here for its kind; a kind that is not here a newer version wrote."""

from __future__ import annotations

from collections.abc import Iterable

from engine.domain.fleet import Facts
from engine.domain.message import Message, message
from engine.domain.orders import OrderSpec, Plan
from engine.domain.problem import Problem, ProblemError
from engine.domain.progress import OrderProgress
from engine.domain.states import TrafficMode
from engine.kinds import offline, online, release, restart, rollback
from engine.kinds.kind import Kind
from engine.plan.back import WayBack
from engine.plan.faults import checked
from engine.steps.registry import STEPS, unknown_steps

KINDS: dict[str, Kind] = {
    kind.name: kind for kind in (release.KIND, rollback.KIND, restart.KIND, online.KIND, offline.KIND)
}


class KindUnknown(ProblemError):
    """Code `kind_unknown`."""


def kind_of(name: str) -> Kind:
    """Raises KindUnknown."""
    if name not in KINDS:
        raise KindUnknown(_kind_unknown(name))
    return KINDS[name]


def word_of(name: str) -> Message:
    return KINDS[name].word if name in KINDS else message("{name}", name=name)


def chooses_version(name: str) -> bool:
    """Whether its version belongs to what an order is called; of a kind that is not known it does."""
    return name not in KINDS or KINDS[name].chooses_version


def step_word(does: str) -> Message:
    """What a step is called that has no title of its own."""
    return STEPS[does].word if does in STEPS else message("{name}", name=does)


def step_words() -> dict[str, str]:
    """Step → the msgid of its word, for sentences that name a step."""
    return {name: row.word.text for name, row in STEPS.items()}


def way_back_of(name: str) -> WayBack | None:
    return KINDS[name].way_back if name in KINDS else None


def traffic_of(spec: OrderSpec) -> TrafficMode | None:
    """How hosts get their weight back, where the kind lets it be chosen; of a kind that is not known nobody can say."""
    chosen = spec.what.data.get("traffic") if spec.kind in KINDS else None
    return None if chosen is None else TrafficMode(chosen)


def plan_of(spec: OrderSpec, facts: Facts) -> Plan:
    """The kind's plan, checked. Raises KindUnknown, PlanFault."""
    return checked(kind_of(spec.kind).plan(spec, facts))


def not_understood(progress: OrderProgress) -> Problem | None:
    """Why this version must leave the order alone: a newer one wrote its kind or one of its steps."""
    if progress.kind not in KINDS:
        return _kind_unknown(progress.kind)
    strange = [does for plan in (progress.plan, progress.back_plan) if plan is not None for does in _strange(plan)]
    if strange:
        return Problem(
            "step_unknown",
            message("This version does not know how to do the step {step}.", step=strange[0]),
            message("Update the cockpit on this machine; a newer one wrote the order."),
        )
    return None


def _strange(plan: Plan) -> Iterable[str]:
    lists = {id(steps): steps for run in plan.run_of.values() for steps in (run.steps, run.undo, run.undo_untouched)}
    return [does for steps in lists.values() for does in unknown_steps(steps)]


def _kind_unknown(name: str) -> Problem:
    return Problem(
        "kind_unknown",
        message("This version does not know orders of kind {name}.", name=name),
        message("Update the cockpit on this machine; a newer one wrote the order."),
    )
