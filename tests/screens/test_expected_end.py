"""When an order will be done, and what a running step may take: on its screen, before an act, and on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cockpit.cli.run import run
from engine.domain.acts import Confirm, Start
from engine.store.store import Store
from screens.widgets.host_table import HostTable
from screens.widgets.order_head import OrderHead
from tests.support import seeds
from tests.support.cockpit_screens import Situation, open_order, press
from tests.support.seeds import OrderStory, release_spec


def with_a_release_before(folder: Path, situation: str) -> Situation:
    """Two orders of the app: one that succeeded, and one in the situation."""
    stage = Situation(folder, "succeeded")
    store = Store.open(stage.url, create=False)
    with store.writing() as conn:
        story = OrderStory(conn, release_spec(version="3.0.0"))
        seeds.SITUATIONS[situation](story)
        stage.order_id = story.id
    store.close()
    return stage


def test_the_first_order_of_an_app_has_no_expected_end_and_says_which_steps_are_not_known(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "ready")
    stage.api.open()
    expected = stage.api.order("acme", "prod", stage.order_id).expected
    assert expected is not None
    assert (expected.left_p50_s, expected.left_p90_s) == (None, None)
    assert "trade-core: deploy" in expected.unknown
    lines = [str(line) for line in stage.api.consequence("acme", "prod", stage.order_id, Start()).lines]
    assert "expected time unknown: these steps have not been recorded here yet" in lines


def test_the_steps_of_earlier_orders_say_when_the_next_one_ends_and_people_are_counted_apart(tmp_path: Path) -> None:
    stage = with_a_release_before(tmp_path, "ready")
    stage.api.open()
    expected = stage.api.order("acme", "prod", stage.order_id).expected
    assert expected is not None
    # Beta and two groups, nine steps each
    assert (expected.left_p50_s, expected.left_p90_s) == (27 * seeds.STEP_S, 27 * seeds.STEP_S)
    assert (expected.people, expected.unknown) == (1, ())
    lines = [str(line) for line in stage.api.consequence("acme", "prod", stage.order_id, Start()).lines]
    assert any(line.startswith("expected time of these hosts 00:45") for line in lines)


def test_waiting_for_a_person_is_no_working_time(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "waiting_at_beta_gate")
    stage.api.open()
    view = stage.api.order("acme", "prod", stage.order_id)
    assert view.expected is not None
    assert view.started_at is not None
    assert view.expected.waited_s > 60
    assert view.expected.worked_s + view.expected.waited_s == seeds.NOW - view.started_at


def test_an_act_that_is_refused_says_no_time(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "ready")
    stage.api.open()
    assert stage.api.consequence("acme", "prod", stage.order_id, Confirm()).lines == ()


def test_an_order_that_has_ended_expects_nothing(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "succeeded")
    stage.api.open()
    assert stage.api.order("acme", "prod", stage.order_id).expected is None


async def test_the_head_says_when_it_ends_and_a_running_step_what_it_may_take(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "group_running")
    async with stage.app().run_test(size=(80, 24)) as pilot:
        screen = await open_order(pilot, stage.order_id)
        head = screen.query_one(OrderHead)._drawn
        assert head is not None
        assert "ends 12:21" in head.plain
        rows = {row.key: row.cells["took"].plain for row in screen.query_one(HostTable).rows}
        assert rows["hz-04"].endswith("/15:00")


async def test_a_wide_list_says_the_deadline_in_words_and_how_long_people_took(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "group_running")
    async with stage.app().run_test(size=(200, 40)) as pilot:
        screen = await open_order(pilot, stage.order_id)
        head = screen.query_one(OrderHead)._drawn
        assert head is not None
        assert "(00:30 of it waiting)" in head.plain
        rows = {row.key: row.cells["took"].plain for row in screen.query_one(HostTable).rows}
        assert rows["hz-04"].endswith(" of 15:00")


async def test_f_shows_the_hosts_of_one_kind_and_says_that_failed_ones_are_hidden(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=(80, 24)) as pilot:
        screen = await open_order(pilot, stage.order_id)
        table = screen.query_one(HostTable)
        failed, every = [row.key for row in table.rows if "failed" in row.cells["state"].plain], len(table.rows)
        await press(pilot, "f")
        assert [row.key for row in table.rows] == failed
        assert table.heading_text() is not None
        assert f"only failed: {len(failed)} of {every}" in str(table.heading_text())
        assert "not shown" not in str(table.heading_text())
        await press(pilot, "f")
        assert not set(failed) & {row.key for row in table.rows}
        assert f"{len(failed)} failed" in str(table.heading_text())
        assert "not shown" in str(table.heading_text())
        while table.heading_text() is not None:
            await press(pilot, "f")
        assert len(table.rows) == every


async def test_the_next_trouble_is_seen_whatever_is_filtered(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=(80, 24)) as pilot:
        screen = await open_order(pilot, stage.order_id)
        await press(pilot, "f", "f", "n")
        assert screen.query_one(HostTable).heading_text() is None


def test_order_show_says_it_in_words_and_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage = Situation(tmp_path, "waiting_at_beta_gate")
    at = ["order", "show", str(stage.order_id), "--store", stage.url, "--tenant", "acme", "--workspace", "prod"]
    assert run(at) == 0
    said = capsys.readouterr().out
    assert "waited for people" in said
    assert "expected: left 01:30 + 1 wait" in said
    assert run([*at, "--json"]) == 0
    view = json.loads(capsys.readouterr().out)
    assert (view["expected"]["left_p50_s"], view["expected"]["people"]) == (90.0, 1)
