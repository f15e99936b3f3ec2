"""A store with nothing in it: every key says what comes first, and no sentence has a hole in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cockpit.app import CockpitApp
from engine.api import Api
from screens.apps import AppsScreen
from tests.support.cockpit_screens import settled, until


@pytest.mark.parametrize("key", ["r", "o", "z"])
async def test_each_key_says_what_comes_first(key: str, tmp_path: Path) -> None:
    api = Api(f"sqlite:///{tmp_path}/cockpit.db", operator="alice", log_dir=tmp_path)
    app: Any = CockpitApp(api, tenant=None, workspace=None, language="en", theme="ansi")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press(key)
        await until(pilot, lambda: any("cockpit apply FILE" in note.message for note in app._notifications))
        assert isinstance(app.screen, AppsScreen)
    api.close()
