"""The terminal's bell and title: when an order needs somebody, and never with anything in it that a terminal would obey."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.app import CockpitApp
from engine.domain.states import OrderState
from engine.store.orders import set_order_state, update_order
from engine.store.progress import load_progress
from engine.store.store import Store
from screens.attention import LONGEST_TITLE, Attention, title_of, title_sequence
from tests.support import seeds
from tests.support.cockpit_screens import Situation, open_order, press, settled, until


@given(st.text())
def test_no_title_is_more_than_a_title(text: str) -> None:
    for ascii in (False, True):
        sequence = title_sequence(text, ascii=ascii)
        assert sequence.startswith("\x1b]2;")
        assert sequence.endswith("\x07")
        inside = sequence[4:-1]
        assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in inside)
        assert len(inside) <= 2 * LONGEST_TITLE


@pytest.mark.parametrize(
    ("state", "rings"),
    [
        (OrderState.WAITING, True),
        (OrderState.HALTED, True),
        (OrderState.SUCCEEDED, True),
        (OrderState.FAILED, True),
        (OrderState.CANCELLED, True),
        (OrderState.INIT_FAILED, True),
        (OrderState.ROLLING_BACK, False),
        (OrderState.CANCELLING, False),
    ],
)
def test_it_rings_when_an_order_comes_to_need_somebody(tmp_path: Path, state: OrderState, rings: bool) -> None:
    stage = Situation(tmp_path, "group_running")
    stage.api.open()
    order = stage.api.order("acme", "prod", stage.order_id)
    attention = Attention()
    assert not attention.rings(order)
    assert attention.rings(replace(order, state=state)) is rings
    assert not attention.rings(replace(order, state=state)), "it rings once"
    assert not Attention().rings(replace(order, state=state)), "nobody is called to what they open"


async def test_the_title_follows_the_order_and_goes_with_its_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, bool]] = []

    def tell(_app: CockpitApp, title: str, *, rings: bool = False) -> None:
        if not told or told[-1] != (title, rings):
            told.append((title, rings))

    monkeypatch.setattr(CockpitApp, "tell_terminal", tell)
    stage = Situation(tmp_path, "group_running")
    async with stage.app().run_test(size=(80, 24)) as pilot:
        screen = await open_order(pilot, stage.order_id)
        assert told == [(f"▶ running · order #{stage.order_id} trade-core release 2.0.0", False)]
        store = Store.open(stage.url, create=False)
        with store.writing() as conn:
            set_order_state(conn, load_progress(conn, stage.order_id), OrderState.WAITING, seeds.NOW)
        store.close()
        await until(pilot, lambda: (f"‖ waiting · order #{stage.order_id} trade-core release 2.0.0", True) in told)
        await settled(pilot)
        await press(pilot, "escape")
        assert screen not in pilot.app.screen_stack
        await until(pilot, lambda: told[-1] == ("", False))


def test_a_hostile_title_of_an_order_is_not_in_it(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "ready")
    store = Store.open(stage.url, create=False)
    with store.writing() as conn:
        update_order(conn, stage.order_id, seeds.NOW, title="\x1b]0;owned\x07")
    store.close()
    stage.api.open()
    order: Any = stage.api.order("acme", "prod", stage.order_id)
    assert "owned" not in title_sequence(title_of(order), ascii=False)
