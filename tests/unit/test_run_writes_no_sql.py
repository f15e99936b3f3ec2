"""The executor asks the store in its own words: it builds no statement, executes none, and holds no row of a table."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "engine" / "run"
FILES = sorted(ROOT.rglob("*.py"))
STATEMENTS = {"execute", "scalars", "scalar_one", "one_or_none", "c"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_statements_and_rows_belong_to_the_store(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    imported = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    imported |= {
        f"{node.module}.{name.name}" for node in nodes if isinstance(node, ast.ImportFrom) for name in node.names
    }
    imported |= {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    assert not {name for name in imported if name.split(".")[0] == "sqlalchemy" or name == "engine.store.tables"}
    assert not {node.attr for node in nodes if isinstance(node, ast.Attribute)} & STATEMENTS
