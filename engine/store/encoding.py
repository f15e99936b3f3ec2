"""Specs, plans and problems as JSON columns and back. An unknown field in stored JSON is an error, not ignored."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, cast

from pydantic import TypeAdapter

from engine.domain.orders import Plan, ReleaseSpec
from engine.domain.problem import Problem

_SPEC: TypeAdapter[ReleaseSpec] = TypeAdapter(ReleaseSpec)
_PLAN: TypeAdapter[Plan] = TypeAdapter(Plan)


def encode_spec(spec: ReleaseSpec) -> dict[str, Any]:
    return cast(dict[str, Any], _SPEC.dump_python(spec, mode="json"))


def decode_spec(data: Any) -> ReleaseSpec:
    return _SPEC.validate_python(data)


def encode_plan(plan: Plan) -> dict[str, Any]:
    return cast(dict[str, Any], _PLAN.dump_python(plan, mode="json"))


def decode_plan(data: Any) -> Plan | None:
    return None if data is None else _PLAN.validate_python(data)


@lru_cache(maxsize=32)
def decode_stored_plan(text: str | None) -> Plan | None:
    """A plan from the text of its column: plans are frozen and rarely change, but are read at every decision."""
    return None if text is None else decode_plan(json.loads(text))


def encode_problem(problem: Problem | None) -> dict[str, Any] | None:
    return None if problem is None else problem.to_json()


def decode_problem(data: Any) -> Problem | None:
    return None if data is None else Problem.from_json(data)


def decode_stored_problem(text: str | None) -> Problem | None:
    """A problem from the text of its column."""
    return None if text is None else decode_problem(json.loads(text))
