"""80×24 and an order of many stages: the hosts, what happened and what to do stay in sight."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from screens.order import OrderScreen
from screens.widgets.flow_view import FlowView
from screens.widgets.host_table import HostTable
from screens.widgets.trouble import Problems
from tests.support.cockpit_screens import Situation, open_order, press, settled
from tests.support.seeds import release_spec

STAGES = 8


def many_stages(folder: Path, situation: str) -> Situation:
    """Beta and eight groups of six hosts."""
    return Situation(
        folder, situation, hosts=2 + 6 * STAGES, spec=release_spec(groups=STAGES, beta_hosts=("hz-01", "hz-26"))
    )


def flow_of(screen: OrderScreen) -> list[str]:
    flow = screen.query_one(FlowView)
    return [flow.render_line(y).text.strip() for y in range(flow.size.height)]


def screen_text(pilot: Pilot[None]) -> list[str]:
    return ["".join(segment.text for segment in line) for line in pilot.app.screen._compositor.render_strips()]


@pytest.mark.parametrize("language", ["en", "zh_CN"])
async def test_five_hosts_and_the_remedy_stay_in_sight_with_many_stages(tmp_path: Path, language: str) -> None:
    stage = many_stages(tmp_path, "halted_late")
    async with stage.app(language).run_test(size=(80, 24)) as pilot:
        screen = await open_order(pilot, stage.order_id)
        await settled(pilot)
        seen = "".join("".join(screen_text(pilot)).split())
        table = screen.query_one(HostTable)
        assert table.size.height >= 6  # the heading and five hosts
        assert sum(host.name in seen for host in screen.data.hosts if host.node == "group-7") >= 5  # type: ignore[union-attr]
        assert "Readthehealthlogandtheerrorlog" in seen
        assert screen.query_one(Problems).max_scroll_y == 0


async def test_what_has_ended_is_one_row_until_it_is_walked_through(tmp_path: Path) -> None:
    stage = many_stages(tmp_path, "halted_late")
    async with stage.app().run_test(size=(80, 24)) as pilot:
        screen = await open_order(pilot, stage.order_id)
        flow = screen.query_one(FlowView)
        rows = flow_of(screen)
        assert len(rows) <= 4
        assert "initialise … group 6" in rows[0]
        assert "38/38 hosts" in rows[0]
        assert any("group 7" in row and "✗1" in row for row in rows)
        flow.focus()
        await settled(pilot)
        assert flow.virtual_size.height > STAGES
        await press(pilot, "home")
        assert flow.selected == "initialise"
        screen.query_one(HostTable).focus()
        await settled(pilot)
        assert flow_of(screen)[0].endswith("succeeded")  # the node that is looked at is not folded away


async def test_few_stages_and_high_terminals_fold_nothing(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "succeeded")
    async with stage.app().run_test(size=(80, 45)) as pilot:
        screen = await open_order(pilot, stage.order_id)
        assert not any("…" in row and "ended" in row for row in flow_of(screen))
