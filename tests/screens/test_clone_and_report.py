"""An order once more, and its report as files: by key and by command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from textual.pilot import Pilot

from cockpit.cli.run import run
from engine.store import tables as t
from engine.store.store import Store
from screens.clone import CloneScreen
from screens.order import OrderScreen
from screens.orders import OrdersScreen
from screens.widgets.notice import Notice
from screens.widgets.prose import Prose
from tests.support.cockpit_screens import Situation, open_order, settled, until

SIZE = (80, 24)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    config = tmp_path / "config.toml"
    config.write_text(f'language = "en"\nlog_dir = "{tmp_path}/logs"\n')
    config.chmod(0o600)
    monkeypatch.setenv("COCKPIT_CONFIG", str(config))
    return folder


async def press_when_ready(pilot: Pilot[None], key: str) -> None:
    screen = pilot.app.screen
    if isinstance(screen, CloneScreen):
        await until(pilot, lambda: screen.ready)
    await pilot.press(key)
    await settled(pilot)


def newest(stage: Situation) -> int:
    return stage.api.orders("acme", "prod")[0].id


async def test_capital_c_shows_what_it_would_be_and_enter_creates_it(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "succeeded")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press_when_ready(pilot, "C")
        dialog = pilot.app.screen
        assert isinstance(dialog, CloneScreen)
        assert "Nothing that it names has changed" in str(dialog.query_one("#would", Prose).render())
        assert newest(stage) == stage.order_id
        await press_when_ready(pilot, "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, OrderScreen) and newest(stage) != stage.order_id)
        made = stage.api.order("acme", "prod", newest(stage))
        first = stage.api.order("acme", "prod", stage.order_id)
        assert (made.kind, made.subject, made.versions) == (first.kind, first.subject, first.versions)
        assert str(made.state) == "initialising"


async def test_escape_creates_nothing_and_the_list_of_orders_has_the_key_too(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "succeeded")
    async with stage.app().run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.app.push_screen(OrdersScreen())
        await settled(pilot)
        await press_when_ready(pilot, "C")
        assert isinstance(pilot.app.screen, CloneScreen)
        await press_when_ready(pilot, "escape")
        assert isinstance(pilot.app.screen, OrdersScreen)
        assert newest(stage) == stage.order_id


async def test_an_order_whose_app_has_another_one_open_is_not_created_and_says_so(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "group_running")
    async with stage.app().run_test(size=SIZE) as pilot:
        await open_order(pilot, stage.order_id)
        await press_when_ready(pilot, "C")
        dialog = pilot.app.screen
        assert isinstance(dialog, CloneScreen)
        await until(pilot, lambda: dialog._found is not None)
        assert not dialog.query_one("#do").display
        await press_when_ready(pilot, "enter")
        assert pilot.app.screen is dialog
        assert newest(stage) == stage.order_id


async def test_capital_w_saves_the_report_twice_and_writes_over_nothing(tmp_path: Path, home: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        for number in (1, 2):
            await press_when_ready(pilot, "W")
            name = f"cockpit-order-{stage.order_id}" + ("-2" if number == 2 else "")
            await until(pilot, lambda name=name: f"{name}.html" in str(screen.query_one(Notice)._drawn))  # type: ignore[misc]
            assert (home / f"{name}.md").read_text().startswith("# ")
            assert "<html" in (home / f"{name}.html").read_text()
            assert (home / f"{name}.md").stat().st_mode & 0o077 == 0


async def test_a_report_that_can_t_be_saved_says_what_prints_it(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Situation(tmp_path, "halted")
    monkeypatch.setenv("HOME", str(home / "gone"))
    async with stage.app().run_test(size=SIZE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        await press_when_ready(pilot, "W")
        await until(pilot, lambda: "could not be saved" in str(screen.query_one(Notice)._drawn))


def test_order_clone_previews_creates_and_says_what_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cockpit.cli.session.Session.ensure_engine", lambda _session: None)
    stage = Situation(tmp_path, "succeeded")
    at = [str(stage.order_id), "--store", stage.url, "--tenant", "acme", "--workspace", "prod"]
    assert run(["order", "clone", *at, "--preview"]) == 0
    assert "group-1" in capsys.readouterr().out
    assert run(["order", "clone", *at, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["order"] == stage.order_id + 1
    assert run(["order", "clone", *at]) == 1, "another order of the app is open"
    capsys.readouterr()
    store = Store.open(stage.url, create=False)
    with store.writing() as conn:
        conn.execute(sa.delete(t.package).where(t.package.c.version == "2.0.0"))
    store.close()
    assert run(["order", "clone", *at, "--preview"]) in (1, 2)
    assert "the package of trade-core 2.0.0 is gone" in capsys.readouterr().err
