"""The screens that a form of a new order opens, as they were looked at and found right, at 80×24.

After an intended change: `pytest tests/screens/test_form_pictures.py --snapshot-update`, then look before keeping them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Select

from screens.hand_groups import HandGroupsScreen
from screens.new_release import NewReleaseScreen
from screens.widgets.prose import Prose
from tests.support.cockpit_screens import Situation, press, settled, until

# picture → (traffic mode, keys); what comes behind a worker is waited for after each key
PICTURES: dict[str, tuple[str, tuple[str, ...]]] = {
    "groups-by-hand": ("snapshot", ("e", "down", "down", "space", "space", "n", "end", "x", "home", "down")),
    "groups-break-the-floor": ("snapshot", ("e", "down", "m")),
    "several-apps": ("snapshot", ("a", "a", "enter", "n", "enter")),
    "several-apps-needs": ("snapshot", ("a", "a", "enter", "n", "enter", "up", "n")),
    "several-apps-form": ("snapshot", ("a", "a", "enter", "n", "enter", "ctrl+s")),
    "preset-weights": ("preset", ("p", "5", "down", "space", "space", "2", "0")),
}


@pytest.mark.parametrize("language", ["zh_CN", "en"])
@pytest.mark.parametrize("picture", PICTURES)
def test_picture_of_what_a_form_opens(
    picture: str, language: str, tmp_path: Path, snap_compare: Callable[..., bool]
) -> None:
    traffic, keys = PICTURES[picture]
    stage = Situation(tmp_path, "fleet")

    async def arrange(pilot: Pilot[None]) -> None:
        await settled(pilot)
        form = NewReleaseScreen("trade-core")
        await pilot.app.push_screen(form)
        await settled(pilot)
        form.query_one("#traffic", Select).value = traffic
        await settled(pilot)
        for key in keys:
            before = pilot.app.screen
            await press(pilot, key)
            if before is form:
                await until(pilot, lambda: pilot.app.screen is not form)
            await settled(pilot)
        if isinstance(pilot.app.screen, HandGroupsScreen):
            said = pilot.app.screen.query_one("#preview Prose", Prose)
            await until(pilot, lambda: bool(said._said.plain))
        await settled(pilot)

    assert snap_compare(stage.app(language), terminal_size=(80, 24), run_before=arrange)
