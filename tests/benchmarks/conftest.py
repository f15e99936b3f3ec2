"""Prints the figures when all benchmarks have run. A missed budget is shown, not failed: machines differ, ratios are read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.benchmarks.figures import FIGURES


@pytest.hookimpl(tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any) -> None:
    terminalreporter.section("figures")
    for each in FIGURES:
        terminalreporter.write_line(str(each))
