"""Whatever is written can be read, and what has the focus can be seen: in true colour, 256 and 16 colours, and without any."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from rich.color import ColorSystem
from textual.pilot import Pilot
from textual.widget import Widget

from tests.support.cockpit_screens import Situation, open_order, press, settled
from tests.support.colours import SYSTEMS, TERMINALS, Cell, cells, contrast
from themes.palettes import PALETTES

READABLE = 4.5
SEEN = 3.0
# drawn, not written: edges, bars and scrollbars
_DRAWN = set("─━═│┃║┌┐└┘├┤┬┴┼╭╮╰╯▏▕▁▂▃▄▅▆▇█▌▐▔▖▗▘▝▲▼▍▎▋▊▉ ╸╺╵╷╴╶┘┐┤┴┬┼")

# situation, whether the order is open, keys
SCREENS: dict[str, tuple[str, bool, tuple[str, ...]]] = {
    "apps": ("group_running", False, ()),
    "filter": ("group_running", False, ("slash",)),
    "orders": ("halted", False, ("o",)),
    "orphans": ("left_behind", False, ("z",)),
    "workspaces": ("halted", False, ("w",)),
    "new-release": ("fleet", False, ("end", "r")),
    "versions": ("fleet", False, ("end", "r", "enter")),
    "wrong-number": ("fleet", False, ("end", "r", "tab", "tab", "end", "9")),
    "order-running": ("group_running", True, ()),
    "order-failed": ("halted", True, ()),
    "order-check-failed": ("init_failed", True, ()),
    "order-back": ("rolling_back", True, ()),
    "order-gray": ("waiting_at_gray_gate", True, ("g", "2", "5")),
    "log": ("halted", True, ("l",)),
    "confirm": ("waiting_at_beta_gate", True, ("c",)),
    "cancel": ("halted", True, ("x", "enter")),
    "help": ("ready", True, ("question_mark",)),
    "commands": ("ready", True, ("colon",)),
}


async def _show(pilot: Pilot[None], stage: Situation, order_open: bool, keys: tuple[str, ...]) -> None:
    await settled(pilot)
    if order_open:
        await open_order(pilot, stage.order_id)
    await press(pilot, *keys)


@pytest.mark.parametrize("screen", SCREENS)
async def test_everything_written_can_be_read(screen: str, tmp_path: Path) -> None:
    situation, order_open, keys = SCREENS[screen]
    stage = Situation(tmp_path, situation)
    faint = {}
    async with stage.app().run_test(size=(100, 30)) as pilot:
        await _show(pilot, stage, order_open, keys)
        for palette in PALETTES:
            pilot.app.theme = palette.name
            await settled(pilot)
            for name, system in SYSTEMS.items():
                faint |= {
                    (palette.name, name, cell.text, cell.ground): _around(row, at)
                    for row in cells(pilot.app, system)
                    for at, cell in enumerate(row)
                    if cell.char not in _DRAWN and contrast(cell.text, cell.ground) < READABLE
                }
    assert faint == {}


@pytest.mark.parametrize("screen", SCREENS)
async def test_everything_written_can_be_read_without_colours(
    screen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a dark terminal and on a light one: what has the terminal's own text has its own ground too."""
    monkeypatch.setenv("NO_COLOR", "1")
    situation, order_open, keys = SCREENS[screen]
    stage = Situation(tmp_path, situation)
    faint = {}
    async with stage.app().run_test(size=(100, 30)) as pilot:
        await _show(pilot, stage, order_open, keys)
        for palette in PALETTES:
            pilot.app.theme = palette.name
            await settled(pilot)
            for terminal in TERMINALS:
                faint |= {
                    (palette.name, cell.text, cell.ground): _around(row, at)
                    for row in cells(pilot.app, SYSTEMS["256"], terminal)
                    for at, cell in enumerate(row)
                    if cell.char not in _DRAWN and contrast(cell.text, cell.ground) < SEEN
                }
    assert faint == {}


_FOCUSED = ("apps", "new-release", "commands", "help", "order-failed", "order-gray", "confirm", "cancel", "workspaces")


@pytest.mark.parametrize("screen", _FOCUSED)
async def test_the_focus_can_be_seen(screen: str, tmp_path: Path) -> None:
    unseen = []
    async for pilot in _shown(screen, tmp_path):
        for palette in PALETTES:
            pilot.app.theme = palette.name
            unseen += [(palette.name, *found) for found in await _unseen(pilot, colours=True)]
    assert unseen == []


@pytest.mark.parametrize("screen", _FOCUSED)
async def test_the_focus_can_be_seen_without_colours(
    screen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    unseen = []
    async for pilot in _shown(screen, tmp_path):
        for palette in PALETTES:
            pilot.app.theme = palette.name
            unseen += [(palette.name, *found) for found in await _unseen(pilot, colours=False)]
    assert unseen == []


async def _shown(screen: str, folder: Path) -> AsyncIterator[Pilot[None]]:
    situation, order_open, keys = SCREENS[screen]
    stage = Situation(folder, situation)
    async with stage.app().run_test(size=(130, 30)) as pilot:
        await _show(pilot, stage, order_open, keys)
        yield pilot


async def _unseen(pilot: Pilot[None], *, colours: bool) -> list[tuple[str, str]]:
    """(widget, colours) of every place where the cursor may stand and can't be seen to."""
    found = []
    for widget in [each for each in pilot.app.screen.focus_chain if each.region.size]:
        with_focus, without = await _both(pilot, widget)
        found += [
            (str(widget), name)
            for name in SYSTEMS
            if not any(_differs(*pair, colours=colours) for pair in zip(with_focus[name], without[name], strict=True))
        ]
    return found


async def _both(pilot: Pilot[None], widget: Widget) -> tuple[dict[str, list[Cell]], dict[str, list[Cell]]]:
    screen = pilot.app.screen
    screen.set_focus(widget, scroll_visible=True)
    await settled(pilot)
    with_focus = {name: _of(widget, system) for name, system in SYSTEMS.items()}
    screen.set_focus(None)
    await settled(pilot)
    return with_focus, {name: _of(widget, system) for name, system in SYSTEMS.items()}


def _of(widget: Widget, system: ColorSystem) -> list[Cell]:
    """The cells of the widget and of the edge of the pane it stands in."""
    pane = widget.parent if isinstance(widget.parent, Widget) and widget.parent.id in ("left", "log") else widget
    region = pane.region
    rows = cells(widget.app, system)[region.y : region.bottom]
    return [cell for row in rows for cell in (row + [row[-1]] * 200)[region.x : region.right]]


def _differs(one: Cell, other: Cell, *, colours: bool) -> bool:
    """Another shape or another attribute, that can be seen; and where there are colours, another ground or another colour."""
    by_shape = one.char != other.char or one.marks != other.marks
    if not colours:
        return by_shape
    return contrast(one.ground, other.ground) >= SEEN or (
        by_shape and contrast(one.text, one.ground) >= SEEN and one.char != other.char
    )


def _around(row: list[Cell], at: int) -> str:
    return "".join(cell.char for cell in row[max(0, at - 12) : at + 12])
