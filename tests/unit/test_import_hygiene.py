"""The layers hold, and the process with the screens stays light: no SSH, no cloud SDK, no database before a store is opened."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEVER_IN_THE_UI = ("asyncssh", "oss2", "aliyunsdkcore", "aliyunsdkslb", "alibabacloud_credentials")


def modules_after(statements: str) -> set[str]:
    code = f"{statements}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return {name.partition(".")[0] for name in json.loads(ran.stdout.splitlines()[-1])}


@pytest.mark.parametrize("module", ["cockpit.app", "cockpit.opening", "cockpit.engine_process", "cockpit.settings"])
def test_the_screens_process_loads_no_ssh_no_cloud_and_no_database_before_a_store_is_opened(module: str) -> None:
    loaded = modules_after(f"import {module}")
    assert loaded.isdisjoint(NEVER_IN_THE_UI)
    assert "sqlalchemy" not in loaded


def test_every_screen_can_be_imported_without_ssh_cloud_or_database() -> None:
    screens = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / "screens").rglob("*.py"))
        if path.name != "__init__.py"
    ]
    assert "screens.order" in screens
    loaded = modules_after("\n".join(f"import {name}" for name in screens))
    assert loaded.isdisjoint({*NEVER_IN_THE_UI, "sqlalchemy"})


def test_an_open_store_still_loads_no_ssh_and_no_cloud(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    loaded = modules_after(
        "from pathlib import Path; from engine.api import Api\n"
        f"api = Api('sqlite:///{store}', operator='alice', log_dir=Path({str(tmp_path)!r}))\n"
        "api.open(); api.workspaces(); api.engine_alive(); api.close()"
    )
    assert "sqlalchemy" in loaded
    assert loaded.isdisjoint(NEVER_IN_THE_UI)


def test_help_loads_neither_textual_nor_a_database() -> None:
    loaded = modules_after("from cockpit.cli.run import run\nassert run(['--help']) == 0")
    assert loaded.isdisjoint({*NEVER_IN_THE_UI, "sqlalchemy", "textual", "pydantic"})


def test_the_layers_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    ran = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
