"""Every screen in each state that matters, in two sizes and two languages, as it was looked at and found right.

After an intended change: `pytest tests/screens/test_pictures.py --snapshot-update`, then look at the pictures before keeping them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.domain.message import message
from engine.domain.problem import Problem
from tests.support.cockpit_screens import Situation, idle, open_order, press, settled, until
from tests.support.colours import SYSTEMS, Reduced

SIZES = {"80x24": (80, 24), "160x45": (160, 45)}
LANGUAGES = ("zh_CN", "en")

# picture → (situation of the store, whether the order is open, keys pressed then)
PICTURES: dict[str, tuple[str, bool, tuple[str, ...]]] = {
    "order-ready": ("ready", True, ()),
    "order-running": ("group_running", True, ()),
    "order-balancer-away": ("balancer_away", True, ()),
    "order-beta-waits": ("waiting_at_beta_gate", True, ()),
    "order-confirm-asked": ("waiting_at_beta_gate", True, ("c",)),
    "order-roll-back-asked": ("waiting_at_beta_gate", True, ("R",)),
    "order-gray-slider": ("waiting_at_gray_gate", True, ("g", "2", "5", "down", "right")),
    "order-failed-host": ("halted", True, ()),
    "order-log": ("halted", True, ("l", "up", "up")),
    "order-check-failed": ("init_failed", True, ()),
    "order-rolling-back": ("rolling_back", True, ()),
    "order-succeeded": ("succeeded", True, ()),
    "order-help": ("ready", True, ("question_mark",)),
    "apps": ("group_running", False, ()),
    "apps-empty": ("empty", False, ()),
    "orders": ("halted", False, ("o",)),
    "orphans": ("left_behind", False, ("z",)),
    "order-left-behind": ("left_behind", True, ()),
    "orders-empty": ("fleet", False, ("o",)),
    "workspaces": ("halted", False, ("w",)),
    "new-release": ("fleet", False, ("end", "r")),
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("picture", PICTURES)
def test_picture(picture: str, size: str, language: str, tmp_path: Path, snap_compare: Callable[..., bool]) -> None:
    situation, order_open, keys = PICTURES[picture]
    stage = Situation(tmp_path, situation)

    async def arrange(pilot: Pilot[None]) -> None:
        await settled(pilot)
        if order_open:
            await open_order(pilot, stage.order_id)
        await press(pilot, *keys)

    assert snap_compare(stage.app(language), terminal_size=SIZES[size], run_before=arrange)


@pytest.mark.parametrize("language", LANGUAGES)
def test_picture_of_the_form_that_acts_on_hosts(
    language: str, tmp_path: Path, snap_compare: Callable[..., bool]
) -> None:
    stage = Situation(tmp_path, "fleet")

    async def arrange(pilot: Pilot[None]) -> None:
        await settled(pilot)
        await press(pilot, "end", "a", "tab", "tab", "tab", "space", "space")

    assert snap_compare(stage.app(language), terminal_size=(80, 24), run_before=arrange)


@pytest.mark.parametrize("language", LANGUAGES)
def test_picture_of_a_store_that_cannot_be_read(
    language: str, tmp_path: Path, snap_compare: Callable[..., bool]
) -> None:
    stage = Situation(tmp_path, "group_running")
    stage.api.broken = Problem(
        "store_unreachable",
        message("The store {store} can't be opened.", store="postgresql://cockpit@db/cockpit"),
        message("Check the store's address in the settings and that you can reach and read it."),
        "connection refused",
    )

    async def arrange(pilot: Pilot[None]) -> None:
        await until(
            pilot, lambda: bool(pilot.app.screen.query("Trouble")) and pilot.app.screen.query_one("Trouble").display
        )
        await idle(pilot)

    assert snap_compare(stage.app(language), terminal_size=(80, 24), run_before=arrange)


# as a terminal shows them that has no more colours: what has the focus, and what a state looks like
REDUCED: dict[str, tuple[str, bool, tuple[str, ...]]] = {
    "apps": ("group_running", False, ()),
    "new-release-version": ("fleet", False, ("end", "r")),
    "new-release-beta": ("fleet", False, ("end", "r", "tab", "tab", "tab", "tab", "tab")),
    "order-failed-host": ("halted", True, ()),
    "order-confirm-asked": ("waiting_at_beta_gate", True, ("c",)),
    "order-roll-back-asked": ("halted", True, ("R",)),
    "order-gray-slider": ("waiting_at_gray_gate", True, ("g", "2", "5", "down", "right")),
}


@pytest.mark.parametrize("colours", ["256", "16"])
@pytest.mark.parametrize("picture", REDUCED)
def test_picture_in_fewer_colours(
    picture: str, colours: str, tmp_path: Path, snap_compare: Callable[..., bool]
) -> None:
    situation, order_open, keys = REDUCED[picture]
    stage = Situation(tmp_path, situation)
    app = stage.app(theme="dark" if colours == "256" else "ansi")
    app._filters.append(Reduced(SYSTEMS[colours]))

    async def arrange(pilot: Pilot[None]) -> None:
        await settled(pilot)
        if order_open:
            await open_order(pilot, stage.order_id)
        await press(pilot, *keys)

    assert snap_compare(app, terminal_size=(80, 24), run_before=arrange)


@pytest.mark.parametrize("theme", ["light", "high-contrast", "ansi"])
def test_picture_in_every_palette(theme: str, tmp_path: Path, snap_compare: Callable[..., bool]) -> None:
    stage = Situation(tmp_path, "halted")

    async def arrange(pilot: Pilot[None]) -> None:
        await open_order(pilot, stage.order_id)

    assert snap_compare(stage.app("zh_CN", theme=theme), terminal_size=(80, 24), run_before=arrange)


def test_picture_without_colours(
    tmp_path: Path, snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stage = Situation(tmp_path, "halted")

    async def arrange(pilot: Pilot[None]) -> None:
        await open_order(pilot, stage.order_id)

    assert snap_compare(stage.app("en"), terminal_size=(80, 24), run_before=arrange)


def test_picture_in_ascii(tmp_path: Path, snap_compare: Callable[..., bool]) -> None:
    stage = Situation(tmp_path, "group_running")

    async def arrange(pilot: Pilot[None]) -> None:
        await open_order(pilot, stage.order_id)

    assert snap_compare(stage.app("en", ascii=True), terminal_size=(160, 45), run_before=arrange)
