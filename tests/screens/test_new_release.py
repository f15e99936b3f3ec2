"""The form of a release: numbers say their range while they are typed, and nothing is made with one that was not meant."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from textual.pilot import Pilot
from textual.widgets import Input, Label, Select

from engine.domain.states import TrafficMode
from engine.store import tables as t
from engine.store.store import Store
from screens.new_release import NewReleaseScreen
from screens.order import OrderScreen
from screens.widgets.notice import Notice
from screens.widgets.number_field import NumberField
from tests.support.cockpit_screens import Situation, settled, until

SIZE = (80, 24)


async def opened(pilot: Pilot[None]) -> NewReleaseScreen:
    await settled(pilot)
    screen = NewReleaseScreen("trade-core")
    await pilot.app.push_screen(screen)
    await settled(pilot)
    return screen


def shown(pilot: Pilot[None]) -> str:
    strips = pilot.app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def previewed(pilot: Pilot[None]) -> str:
    """What stands on the right, its lines joined."""
    region = pilot.app.screen.query_one("#preview").region
    lines = shown(pilot).splitlines()[region.y : region.bottom]
    return " ".join(" ".join(line[region.x + 1 : region.right] for line in lines).split())


async def typed(pilot: Pilot[None], field: Input, text: str) -> None:
    field.focus()
    field.value = ""
    await pilot.pause()
    for char in text:
        await pilot.press("minus" if char == "-" else char)
    await settled(pilot)


@pytest.mark.parametrize("text", ["-1", "", "0", "9", "1x"])
async def test_a_number_of_groups_that_is_none_makes_nothing_and_says_the_range(tmp_path: Path, text: str) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await opened(pilot)
        await typed(pilot, screen.query_one("#group-count", NumberField), text)
        assert "! groups 1–8" in shown(pilot)
        said = f"groups: a whole number from 1 to 8, not {text or 'nothing'}"
        assert said in previewed(pilot)
        await pilot.press("ctrl+s")
        await settled(pilot)
        assert pilot.app.screen is screen
        assert screen.query_one(Notice).display
        assert stage.api.orders("acme", "prod") == ()
        await typed(pilot, screen.query_one("#group-count", NumberField), "3")
        assert "! groups" not in shown(pilot)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, OrderScreen))
        await settled(pilot)
    with Store.open(stage.url).reading() as conn:
        assert conn.execute(sa.select(sa.func.count()).select_from(t.order)).scalar_one() == 1


@pytest.mark.parametrize("text", ["0", "101", "", "-5"])
async def test_a_preset_weight_outside_its_range_is_not_bent_into_it(tmp_path: Path, text: str) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot)
        screen.query_one("#traffic", Select).value = TrafficMode.PRESET
        await settled(pilot)
        assert "weight 1–100" in str(screen.query_one("#preset-label", Label).content)
        await typed(pilot, screen.query_one("#preset", NumberField), text)
        assert "weight: a whole number from 1 to 100, not" in previewed(pilot)
        assert screen.spec() is None
        screen.query_one("#traffic", Select).value = TrafficMode.SNAPSHOT  # a number out of sight counts for nothing
        await settled(pilot)
        assert screen.spec() is not None


async def test_an_app_on_one_host_is_released_with_what_the_form_proposes(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet", hosts=1)
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await opened(pilot)
        assert screen.query_one("#group-count", NumberField).value == "1"
        assert "groups 1–1" in shown(pilot)
        assert "can't be split" not in shown(pilot)
        await typed(pilot, screen.query_one("#group-count", NumberField), "2")
        assert "! groups 1–1" in shown(pilot)


def mix(stage: Situation) -> None:
    """Five of eight hosts run 2.0.0 and three 1.0.0, as after a cancelled release."""
    store = Store.open(stage.url)
    with store.writing() as conn:
        hosts = conn.execute(
            sa.select(t.host.c.id)
            .join(t.service_instance_host, t.service_instance_host.c.host_id == t.host.c.id)
            .join(t.service_instance, t.service_instance.c.id == t.service_instance_host.c.service_instance_id)
            .join(t.app, t.app.c.id == t.service_instance.c.app_id)
            .join(t.tenant, t.tenant.c.id == t.app.c.tenant_id)
            .join(t.workspace, t.workspace.c.id == t.host.c.workspace_id)
            .where(t.app.c.name == "trade-core", t.tenant.c.name == "acme", t.workspace.c.name == "prod")
            .order_by(t.host.c.name)
        ).scalars()
        ours = list(hosts)
        conn.execute(sa.update(t.host).where(t.host.c.id.in_(ours)).values(state="deployed", version="1.0.0"))
        conn.execute(sa.update(t.host).where(t.host.c.id.in_(ours[:5])).values(version="2.0.0"))
    store.close()


async def test_a_mixed_fleet_is_shown_as_what_runs_in_the_list_and_in_the_form(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    mix(stage)
    async with stage.app().run_test(size=SIZE) as pilot:
        await settled(pilot)
        assert "2.0.0 5/8, 1.0.0 3/8" in shown(pilot)
        assert "0/8" not in shown(pilot)
        screen = await opened(pilot)
        assert "version; now 2.0.0 5/8, 1.0.0 3/8" in shown(pilot)
        versions = screen.query_one("#version", Select)
        lines = {value: str(line) for line, value in versions._options}
        assert lines["2.0.0"] == "2.0.0  (runs on 5 of 8 hosts)"
        assert lines["1.0.0"] == "1.0.0  (runs on 3 of 8 hosts)"
    (app,) = [view for view in stage.api.apps("acme", "prod") if view.name == "trade-core"]
    assert [(each.version, each.hosts) for each in app.running] == [("2.0.0", 5), ("1.0.0", 3)]


async def test_lists_of_orders_say_when_and_by_whom_and_an_orders_title_says_order(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("o")
        await settled(pilot)
        title, row = (line for line in shown(pilot).splitlines() if "created" in line or "#1" in line)
        (made,) = stage.api.orders("acme", "prod")
        from screens import words

        assert words.when(made.created_at, stage.api._now()) in row
        assert made.created_by in row
        assert {"created", "by"} <= set(title.split())
        await pilot.press("enter")
        await settled(pilot)
        assert "order #1 release 2.0" in shown(pilot).splitlines()[0]
