"""The executor and the planner know no kind of order: no name of one, no import of one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from engine.kinds.registry import KINDS

ROOT = Path(__file__).parents[2] / "engine"
FILES = [*sorted((ROOT / "run").rglob("*.py")), *sorted((ROOT / "plan").rglob("*.py"))]
MAY_BE_ASKED = {"engine.kinds.registry", "engine.kinds.kind"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_kind_is_named_where_orders_are_planned_and_run(path: Path) -> None:
    tree = ast.parse(path.read_text())
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert not texts & set(KINDS)
    assert "OrderKind" not in path.read_text()
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert not {name for name in imported if name.startswith("engine.kinds")} - MAY_BE_ASKED
