"""Plans, specs and problems to JSON columns and back. Lists of steps are stored once per plan: most hosts share theirs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from pydantic import TypeAdapter

from engine.domain.fleet import MountWeight
from engine.domain.message import Message
from engine.domain.orders import Gate, HostIs, HostPlan, OrderSpec, Plan, PlanNode
from engine.domain.problem import Problem
from engine.domain.states import Direction, HostState, NodeKind
from engine.domain.steps import StepPlan


@dataclass(frozen=True, slots=True)
class _StoredRun:
    """A `HostPlan` whose lists of steps are numbers of lists of the plan."""

    host: str
    app: str
    steps: int
    undo: int
    undo_untouched: int
    before: HostIs
    after: HostIs
    during: HostState
    on_failure: HostState
    recorded: tuple[MountWeight, ...]
    restore_to: tuple[MountWeight, ...]


@dataclass(frozen=True, slots=True)
class _StoredNode:
    key: str
    kind: NodeKind
    needs: tuple[str, ...]
    label: dict[str, Any]
    runs: tuple[_StoredRun, ...]
    gate: Gate | None


@dataclass(frozen=True, slots=True)
class _StoredPlan:
    direction: Direction
    steps: tuple[tuple[StepPlan, ...], ...]
    nodes: tuple[_StoredNode, ...]
    fleet_hash: str
    floor: int
    in_service: int
    lowest_in_service: int
    floors: dict[str, int]
    beside: tuple[MountWeight, ...]


_SPEC: TypeAdapter[OrderSpec] = TypeAdapter(OrderSpec)
_PLAN: TypeAdapter[_StoredPlan] = TypeAdapter(_StoredPlan)


def encode_spec(spec: OrderSpec) -> dict[str, Any]:
    return cast(dict[str, Any], _SPEC.dump_python(spec, mode="json"))


def decode_spec(data: Any) -> OrderSpec:
    return _SPEC.validate_python(data)


def encode_plan(plan: Plan) -> dict[str, Any]:
    lists: dict[int, tuple[int, tuple[StepPlan, ...]]] = {}

    def number(steps: tuple[StepPlan, ...]) -> int:
        return lists.setdefault(id(steps), (len(lists), steps))[0]

    nodes = tuple(
        _StoredNode(
            node.key,
            node.kind,
            node.needs,
            node.label.to_json(),
            tuple(_stored(run, number(run.steps), number(run.undo), number(run.undo_untouched)) for run in node.runs),
            node.gate,
        )
        for node in plan.nodes
    )
    stored = _StoredPlan(
        direction=plan.direction,
        steps=tuple(steps for _, steps in lists.values()),
        nodes=nodes,
        fleet_hash=plan.fleet_hash,
        floor=plan.floor,
        in_service=plan.in_service,
        lowest_in_service=plan.lowest_in_service,
        floors=dict(plan.floors),
        beside=plan.beside,
    )
    return cast(dict[str, Any], _PLAN.dump_python(stored, mode="json"))


def _stored(run: HostPlan, steps: int, undo: int, undo_untouched: int) -> _StoredRun:
    return _StoredRun(
        run.host, run.app, steps, undo, undo_untouched, run.before, run.after, run.during, run.on_failure,
        run.recorded, run.restore_to,
    )  # fmt: skip


def decode_plan(data: Any) -> Plan | None:
    if data is None:
        return None
    stored = _PLAN.validate_python(data)
    return Plan(
        direction=stored.direction,
        nodes=tuple(_node(node, stored.steps) for node in stored.nodes),
        fleet_hash=stored.fleet_hash,
        floor=stored.floor,
        in_service=stored.in_service,
        lowest_in_service=stored.lowest_in_service,
        floors=stored.floors,
        beside=stored.beside,
    )


def _run(run: _StoredRun, lists: tuple[tuple[StepPlan, ...], ...]) -> HostPlan:
    return HostPlan(
        run.host, run.app, lists[run.steps], lists[run.undo], lists[run.undo_untouched], run.before, run.after,
        run.during, run.on_failure, run.recorded, run.restore_to,
    )  # fmt: skip


def _node(node: _StoredNode, lists: tuple[tuple[StepPlan, ...], ...]) -> PlanNode:
    runs = tuple(_run(run, lists) for run in node.runs)
    return PlanNode(node.key, node.kind, node.needs, Message.from_json(node.label), runs, node.gate)


@lru_cache(maxsize=32)
def decode_stored_plan(text: str | None) -> Plan | None:
    """A plan from the text of its column: plans are frozen and rarely change, but are read at every decision."""
    return None if text is None else decode_plan(json.loads(text))


@lru_cache(maxsize=64)
def decode_stored_spec(text: str) -> OrderSpec:
    return decode_spec(json.loads(text))


def encode_problem(problem: Problem | None) -> dict[str, Any] | None:
    return None if problem is None else problem.to_json()


def decode_problem(data: Any) -> Problem | None:
    return None if data is None else Problem.from_json(data)


def decode_stored_problem(text: str | None) -> Problem | None:
    """A problem from the text of its column."""
    return None if text is None else decode_problem(json.loads(text))
