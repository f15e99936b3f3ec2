"""The form that acts on hosts: each kind makes its order, whose hosts is always said, and what the engine forbids is not made."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from textual.pilot import Pilot
from textual.widgets import Button, Input, Select

from engine.domain.orders import OrderSpec
from engine.domain.states import TrafficMode
from engine.kinds import chosen_hosts
from engine.kinds.registry import KINDS, chooses_version, traffic_of
from engine.store import tables as t
from engine.store.store import Store
from screens.operate import OperateScreen, Whose
from screens.order import OrderScreen
from screens.order_form import OrderForm
from screens.widgets.host_marks import HostMarks
from screens.widgets.notice import Notice
from tests.support.cockpit_screens import Situation, open_order, press, settled, until
from tests.support.seeds import CREATED, seed_order

SIZE = (80, 24)


class Made:
    """The api's own creation, and what it was called with."""

    def __init__(self, stage: Situation) -> None:
        self.specs: list[OrderSpec] = []
        create = stage.api.create_order

        def called(tenant: str, workspace: str, spec: OrderSpec) -> int:
            self.specs.append(spec)
            return create(tenant, workspace, spec)

        stage.api.create_order = called  # type: ignore[method-assign]


async def opened(pilot: Pilot[None]) -> OperateScreen:
    """By its key, on trade-core."""
    await settled(pilot)
    await press(pilot, "end", "a")
    screen = pilot.app.screen
    assert isinstance(screen, OperateScreen)
    return screen


async def choose(pilot: Pilot[None], field: str, value: str) -> None:
    pilot.app.screen.query_one(f"#{field}", Select).value = value
    await settled(pilot)


async def mark(pilot: Pilot[None], *keys: str) -> None:
    """The first host of the list, which goes by cells, is hz-02."""
    pilot.app.screen.query_one(HostMarks).focus()
    await pilot.pause()
    await press(pilot, *keys)


def shown(pilot: Pilot[None]) -> str:
    strips = pilot.app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def previewed(pilot: Pilot[None]) -> str:
    region = pilot.app.screen.query_one("#preview").region
    lines = shown(pilot).splitlines()[region.y : region.bottom]
    return " ".join(" ".join(line[region.x + 1 : region.right] for line in lines).split())


def offline(stage: Situation, *hosts: str) -> None:
    store = Store.open(stage.url)
    with store.writing() as conn:
        conn.execute(sa.update(t.host).where(t.host.c.name.in_(hosts)).values(state="offline"))
    store.close()


@pytest.mark.parametrize("kind", ["restart", "offline", "online"])
async def test_the_form_makes_an_order_of_the_kind_on_the_marked_hosts(tmp_path: Path, kind: str) -> None:
    stage = Situation(tmp_path, "fleet")
    if kind == "online":
        offline(stage, "hz-02")
    made = Made(stage)
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await opened(pilot)
        await choose(pilot, "kind", kind)
        await mark(pilot, "space")
        screen.query_one("#reason", Input).value = "it leaks"
        await settled(pilot)
        assert "1 host" in previewed(pilot)
        assert "→" not in previewed(pilot)
        await press(pilot, "ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, OrderScreen))
        await settled(pilot)
        assert made.specs == [
            chosen_hosts.spec_of(kind, ["trade-core"], hosts=("hz-02",), groups=None, reason="it leaks", seed=1)
        ]
        title = shown(pilot).splitlines()[0]
        assert f"order #1 {KINDS[kind].word}" in title
        assert "1.0.0" not in title
    (row,) = stage.api.orders("acme", "prod")
    assert row.kind == kind


async def test_all_hosts_that_a_kind_takes_need_no_marks_but_offline_never_means_all_by_itself(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    made = Made(stage)
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await opened(pilot)
        assert screen.query_one("#whose", Select).value is Whose.ALL
        assert "restart: 8 hosts" in previewed(pilot)
        await choose(pilot, "kind", "offline")
        assert screen.query_one("#whose", Select).value is Whose.MARKED
        assert screen.spec() is None
        assert "Mark hosts" in previewed(pilot)
        await press(pilot, "ctrl+s")
        assert pilot.app.screen is screen
        assert made.specs == []
        await choose(pilot, "kind", "restart")
        await press(pilot, "ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, OrderScreen))
        await settled(pilot)
    assert [chosen_hosts.asked(spec) for spec in made.specs] == [chosen_hosts.ChosenHosts(("trade-core",))]


async def test_a_mark_taken_away_leaves_nobody_rather_than_all(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await opened(pilot)
        await mark(pilot, "space")
        assert screen.query_one("#whose", Select).value is Whose.MARKED
        assert "restart: 1 host" in previewed(pilot)
        await mark(pilot, "home", "space")
        assert screen.query_one(HostMarks).marked == ()
        assert screen.spec() is None


async def test_what_the_engine_forbids_is_said_and_not_made(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    offline(stage, "hz-02")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await opened(pilot)
        await mark(pilot, "space")
        assert "Nothing runs there: hz-02." in previewed(pilot)
        await press(pilot, "ctrl+s")
        assert pilot.app.screen is screen
        assert "hz-02" in str(screen.query_one(Notice).render())
    assert stage.api.orders("acme", "prod") == ()


async def test_a_broken_floor_asks_for_a_reason_and_is_made_with_one(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    made = Made(stage)
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await opened(pilot)
        await choose(pilot, "strategy", "one_group")
        assert screen.query_one("#override-row").display
        await press(pilot, "ctrl+s")
        assert pilot.app.screen is screen
        assert stage.api.orders("acme", "prod") == ()
        screen.query_one("#override", Input).value = "planned outage"
        await settled(pilot)
        await press(pilot, "ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, OrderScreen))
        await settled(pilot)
    assert made.specs[-1].override_reason == "planned outage"


async def test_the_form_can_be_walked_on_a_terminal_of_40_by_12(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=(40, 12)) as pilot:
        screen = await opened(pilot)
        for _field in range(12):
            await press(pilot, "tab")
            focused = screen.focused
            assert focused is not None
            assert screen.query_one("#sheet").region.overlaps(focused.region)
            assert focused.region.width >= 7
        screen.query_one("#preview").focus()
        await settled(pilot)
        assert "restart: 8 hosts" in shown(pilot)


async def test_only_a_kind_that_chooses_a_version_has_it_in_its_name(tmp_path: Path) -> None:
    assert {kind for kind in KINDS if chooses_version(kind)} == {"release", "rollback"}
    assert chooses_version("of a newer version")
    stage = Situation(tmp_path, "ready", spec=chosen_hosts.spec_of("restart", ["trade-core"], groups=4, seed=1))
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        head = shown(pilot).splitlines()
        assert "order #1 restart" in head[0]
        assert "1.0.0" not in head[0] + head[1]
    assert stage.api.orders("acme", "prod")[0].created_at == CREATED


async def test_a_restart_that_halts_offers_no_way_back(tmp_path: Path) -> None:
    spec = chosen_hosts.spec_of("restart", ["trade-core"], beta=True, beta_hosts=("hz-01", "hz-05"), groups=2)
    stage = Situation(tmp_path, "halted", spec=spec)
    async with stage.app().run_test(size=(120, 40)) as pilot:
        await open_order(pilot, stage.order_id)
        assert "failed; retry or cancel" in shown(pilot)
        await press(pilot, "R")
        assert "An order of this kind changes nothing" in shown(pilot)


async def test_the_preview_ends_with_as_many_in_service_as_there_are_then(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await choose(pilot, "kind", "offline")
        await mark(pilot, "space", "space")
        bars = [line[39:] for line in shown(pilot).splitlines() if "▆" in line]
        assert [(bar.split()[0], bar.split()[-1]) for bar in bars] == [
            ("initialise", "8"), ("group", "7"), ("group", "6"), ("finish", "6"),
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("hosts", "said"),
    [(("hz-01",), "1 host gets traffic once it is healthy"), (("hz-01", "hz-05"), "2 hosts get traffic once they are")],
)
async def test_starting_an_online_order_says_that_traffic_comes(
    tmp_path: Path, hosts: tuple[str, ...], said: str
) -> None:
    spec = chosen_hosts.spec_of("online", ["trade-core"], hosts=hosts, groups=1, seed=1)
    stage = Situation(tmp_path, "fleet")
    offline(stage, *hosts)
    store = Store.open(stage.url)
    stage.order_id = seed_order(store, "ready", spec)
    with store.writing() as conn:
        conn.execute(sa.update(t.weight).where(t.weight.c.host.in_(hosts)).values(recorded=0, confirmed=0))
    store.close()
    async with stage.app().run_test(size=(120, 40)) as pilot:
        await open_order(pilot, stage.order_id)
        await press(pilot, "c")
        assert said in " ".join(shown(pilot).split())
        assert "no traffic moves" not in shown(pilot)


async def test_an_app_that_is_not_here_says_at_once_what_is_missing_and_its_button_is_dead(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    with Store.open(stage.url).writing() as conn:
        conn.execute(sa.delete(t.service_instance_host).where(t.service_instance_host.c.host_id == _of_ledger(conn)))
        conn.execute(sa.delete(t.service_instance).where(t.service_instance.c.current_version == ""))
    for key in "ra":
        async with stage.app().run_test(size=SIZE) as pilot:
            await settled(pilot)
            await press(pilot, "home", key)
            form = pilot.app.screen
            assert isinstance(form, OrderForm)
            assert form.query_one("#app", Select).value == "ledger"
            assert "ledger  (not here)" in shown(pilot)
            assert "! ledger has no service instance" in shown(pilot)
            assert form.query_one("#submit", Button).disabled
            assert "create" not in shown(pilot).splitlines()[-1]
            await press(pilot, "ctrl+s")
            assert pilot.app.screen is form
            form.query_one("#app", Select).value = "trade-core"
            await until(pilot, lambda: not pilot.app.screen.query_one("#submit", Button).disabled)
            assert not form.query_one("#blocked").display
            assert "▸ ^S create" in shown(pilot).splitlines()[-1]


def _of_ledger(conn: sa.Connection) -> int:
    return int(conn.execute(sa.select(t.host.c.id).where(t.host.c.name == "hz-9999")).scalar_one())


async def test_other_beta_hosts_are_offered_while_there_are_any(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app().run_test(size=SIZE) as pilot:
        await settled(pilot)
        await press(pilot, "r")
        assert "B other hosts" not in shown(pilot)
        await press(pilot, "b")
        assert "B other hosts" in shown(pilot)
        bar = shown(pilot).splitlines()[-1]
        assert all(words in bar for words in ("^S create", "b Beta", "g traffic", "esc back", "? help"))
        await press(pilot, "b")
        assert "B other hosts" not in shown(pilot)


async def test_the_usual_gray_release_is_three_keys_from_its_form(tmp_path: Path) -> None:
    """r on the app, b, g, and the order is created."""
    stage = Situation(tmp_path, "fleet")
    made = Made(stage)
    async with stage.app().run_test(size=SIZE) as pilot:
        await settled(pilot)
        await press(pilot, "r", "b", "g", "ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, OrderScreen))
        await settled(pilot)
    (spec,) = made.specs
    assert (traffic_of(spec), spec.grouping.beta) == (TrafficMode.GRAY, True)


@pytest.mark.parametrize("language", ["en", "zh_CN"])
async def test_an_open_list_names_its_keys_in_our_words(tmp_path: Path, language: str) -> None:
    stage = Situation(tmp_path, "fleet")
    async with stage.app(language).run_test(size=SIZE) as pilot:
        await settled(pilot)
        await press(pilot, "r", "enter")
        bar = shown(pilot).splitlines()[-1]
        assert "menu" not in bar
        assert ("esc 收起列表" if language == "zh_CN" else "esc close the list") in bar
        await press(pilot, "escape")
        assert ("esc 返回" if language == "zh_CN" else "esc back") in shown(pilot).splitlines()[-1]
