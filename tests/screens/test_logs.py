"""The logs of a host on the order screen: all attempts, wrapped, searched and saved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.app import App, ComposeResult

from engine.domain.states import Direction, RunState
from screens.attempts import first_to_read, in_reading_order
from screens.widgets.log_file import LogFile
from screens.widgets.log_pane import LogPane
from screens.widgets.log_search import READ_AT_ONCE, find_before, find_behind
from screens.widgets.log_view import LogView
from screens.widgets.notice import Notice
from screens.widgets.rows import rows_of
from screens.widgets.search_line import SearchLine
from tests.support.cockpit_screens import Situation, open_order, press, settled, until

NARROW, WIDE = (80, 24), (160, 45)


class Viewer(App[None]):
    CSS = "LogView { height: 1fr; overflow-x: hidden; }"  # as in the cockpit

    def compose(self) -> ComposeResult:
        yield LogView()


def in_sight(view: LogView) -> list[str]:
    return [view.render_line(y).text.rstrip() for y in range(view.size.height)]


def heading(screen_pane: LogPane) -> str:
    return screen_pane.query("Lines").first().render().plain  # type: ignore[attr-defined, no-any-return]


# ---------------------------------------------------------------------------------------------------------------- attempts


async def test_a_retry_leaves_the_log_of_the_failed_attempt_one_key_away(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "retrying")
    failed = stage.log_path("hz-03").with_name("hz-03.forward-group-1-1.log")
    failed.write_text("deploy\nBUILD FAILED: no such class\n")
    failed.with_name("hz-03.forward-group-1-2.log").write_text("deploy\nsecond time\n")
    async with stage.app().run_test(size=WIDE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        pane = screen.query_one(LogPane)
        host = next(h for h in stage.api.order("acme", "prod", stage.order_id).hosts if h.attempt == 2)
        assert host.name == "hz-03"
        await press(pilot, "n", "l")
        screen.query_one("#hosts").move_to("hz-03")  # type: ignore[attr-defined]
        await until(pilot, lambda: "second time" in "\n".join(in_sight(pane.view)))
        await until(pilot, lambda: "2 of 2" in heading(pane))
        assert "attempt 2" in heading(pane)
        await press(pilot, "a")
        assert "BUILD FAILED: no such class" in "\n".join(in_sight(pane.view))
        assert "attempt 1" in heading(pane)
        assert "failed" in heading(pane)
        await press(pilot, "a")
        assert "second time" in "\n".join(in_sight(pane.view))


async def test_after_a_rollback_both_ways_are_there(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "rolled_back")
    stage.log_path("hz-03").with_name("hz-03.back-back-1-1.log").write_text("going back\n")
    stage.api.open()
    attempts = stage.api.attempts("acme", "prod", stage.order_id, host="hz-03")
    assert [(one.direction, one.number, one.state) for one in attempts] == [
        (Direction.FORWARD, 1, RunState.FAILED),
        (Direction.BACK, 1, RunState.SUCCEEDED),
    ]
    assert attempts[0].problem is not None
    assert attempts[0].problem.code == "health_not_passed"
    async with stage.app().run_test(size=WIDE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        pane = screen.query_one(LogPane)
        screen.query_one("#hosts").move_to("hz-03")  # type: ignore[attr-defined]
        await until(pilot, lambda: "hz-03" in heading(pane) and "2 of 2" in heading(pane))
        assert "going back" in "\n".join(in_sight(pane.view))
        await press(pilot, "l", "a")
        assert "passed:false" in "\n".join(in_sight(pane.view))


def test_the_attempt_that_says_why_a_host_failed_is_read_first(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "rolled_back")
    stage.api.open()
    failed, back = stage.api.attempts("acme", "prod", stage.order_id, host="hz-03")
    assert first_to_read((failed, back)) is back
    assert first_to_read((failed,)) is failed
    given_up = replace(back, state=RunState.CANCELLED)
    assert first_to_read((failed, given_up)) is failed
    assert in_reading_order((given_up, failed, given_up))[0] is failed
    assert in_reading_order((failed, back)) == (failed, back)
    assert first_to_read(()) is None


# ---------------------------------------------------------------------------------------------------------------- wrapping


async def test_lines_are_wrapped_below_100_columns_and_w_says_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "host.log"
    path.write_text("a short one\n" + "ERROR " + "x" * 100 + " the port 8080 is in use\n")
    app = Viewer()
    async with app.run_test(size=(80, 10)) as pilot:
        view = app.query_one(LogView)
        view.focus()
        view.open(str(path))
        await pilot.pause()
        assert view.wraps
        assert in_sight(view)[:3] == ["a short one", ("ERROR " + "x" * 74), "x" * 26 + " the port 8080 is in use"]
        await pilot.press("w")
        await pilot.pause()
        assert not view.wraps
        assert "8080" not in "\n".join(in_sight(view))
    app = Viewer()
    async with app.run_test(size=(100, 10)) as pilot:
        await pilot.pause()
        assert not app.query_one(LogView).wraps


async def test_the_end_of_wrapped_lines_is_in_sight_and_every_row_can_be_reached(tmp_path: Path) -> None:
    path = tmp_path / "host.log"
    path.write_text("".join(f"{number:03} " + "y" * 150 + f" end-{number:03}\n" for number in range(50)))
    app = Viewer()
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.query_one(LogView)
        view.focus()
        view.open(str(path))
        await pilot.pause()
        assert view.following
        assert in_sight(view)[-1].endswith("end-049")
        await pilot.press("home")
        assert in_sight(view)[0].startswith("000 ")
        assert not view.following
        seen = [in_sight(view)[0]]
        for _ in range(8):
            await pilot.press("down")
            seen.append(in_sight(view)[0])
        assert "".join(seen) == "".join(f"{n:03} " + "y" * 150 + f" end-{n:03}" for n in range(3))
        for _ in range(8):
            await pilot.press("up")
        assert in_sight(view)[0].startswith("000 ")
        for _ in range(40):
            await pilot.press("pagedown")
        assert view.following
        assert in_sight(view)[-1].endswith("end-049")
        with path.open("a") as file:
            file.write("z" * 100 + " last\n")
        view.read_more()
        await pilot.pause()
        assert in_sight(view)[-1].endswith("last")


async def test_one_line_longer_than_the_view_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "host.log"
    path.write_text("k" * 900 + " decides\n")
    app = Viewer()
    async with app.run_test(size=(40, 10)) as pilot:
        view = app.query_one(LogView)
        view.focus()
        view.open(str(path))
        await pilot.pause()
        assert in_sight(view)[-1].endswith("decides")
        await pilot.press("home")
        await pilot.press("end")
        assert in_sight(view)[-1].endswith("decides")


async def test_no_letter_is_lost_where_a_wrapped_line_breaks_beside_a_scrollbar(tmp_path: Path) -> None:
    """What can be seen on the screen, not what the widget hands over."""
    stage = Situation(tmp_path, "halted")
    long = "".join(f"{number:04}" for number in range(60))
    stage.log_path("hz-03").write_text("first\n" * 40 + long + "\n")
    async with stage.app().run_test(size=NARROW) as pilot:
        screen = await open_order(pilot, stage.order_id)
        screen.query_one("#hosts").move_to("hz-03")  # type: ignore[attr-defined]
        await press(pilot, "l")
        strips = pilot.app.screen._compositor.render_strips()
        drawn = ["".join(segment.text for segment in strip) for strip in strips]
        digits = "".join(
            "".join(char for char in row if char.isdigit()) for row in drawn if "0" in row[:6] or "5" in row[:6]
        )
        assert long in digits


@pytest.mark.parametrize("width", [1, 7, 40])
def test_a_folded_line_says_what_it_said(width: int) -> None:
    from rich.text import Text

    line = "启动失败：端口 8080 已被占用 port in use" * 3
    rows = rows_of(Text(line), width)
    assert "".join(row.plain for row in rows) == line
    assert all(row.cell_len <= max(2, width) for row in rows)


# --------------------------------------------------------------------------------------------------------------- searching


def test_a_find_may_lie_across_two_pieces(tmp_path: Path) -> None:
    path = tmp_path / "host.log"
    at = READ_AT_ONCE - 3
    path.write_bytes(b"." * at + b"NEEDLE" + b"." * READ_AT_ONCE + b"needle" + b"." * 10)
    size = path.stat().st_size
    second = at + 6 + READ_AT_ONCE
    assert find_before(str(path), "needle", size) == second
    assert find_before(str(path), "needle", second) == at
    assert find_before(str(path), "needle", at) is None
    assert find_behind(str(path), "needle", 0) == at
    assert find_behind(str(path), "needle", at + 1) == second
    assert find_behind(str(path), "needle", second + 1) is None
    assert find_behind(str(path), "NEEDLE", at + 1) is None  # a capital letter makes the case count


def test_a_find_outside_of_what_is_known_is_made_known(tmp_path: Path) -> None:
    path = tmp_path / "host.log"
    line = b"INFO nothing to see here\n"
    count = 4 * READ_AT_ONCE // len(line)
    path.write_bytes(line * 100 + b"the needle\n" + line * count)
    log = LogFile(str(path))
    log.grow()
    assert log.begin > 0
    found = find_before(str(path), "needle", path.stat().st_size)
    assert found is not None
    assert log.read(log.line_at(found), 1) == ["the needle"]


async def test_a_slash_searches_and_its_text_is_no_act(tmp_path: Path) -> None:
    """Every letter of the search is a key of the order screen."""
    stage = Situation(tmp_path, "halted")
    for size in (NARROW, WIDE):
        async with stage.app().run_test(size=size) as pilot:
            screen = await open_order(pilot, stage.order_id)
            pane = screen.query_one(LogPane)
            screen.query_one("#hosts").move_to("hz-03")  # type: ignore[attr-defined]
            await settled(pilot)
            await press(pilot, "slash")
            assert screen.query_one(SearchLine).has_focus
            await press(pilot, *"component 03", "enter")
            await until(pilot, lambda view=pane.view: "component 03 started" in "\n".join(in_sight(view)))  # type: ignore[misc]
            assert pilot.app.screen is screen
            assert stage.api.sent == []
            assert pane.view.has_focus
            assert "/component 03" in heading(pane)


async def test_n_finds_older_ones_and_goes_round(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    stage.log_path("hz-03").write_text("".join(f"{'GC' if n % 100 == 7 else 'line'} {n}\n" for n in range(500)))
    async with stage.app().run_test(size=WIDE) as pilot:
        screen = await open_order(pilot, stage.order_id)
        pane = screen.query_one(LogPane)
        screen.query_one("#hosts").move_to("hz-03")  # type: ignore[attr-defined]
        await settled(pilot)
        await press(pilot, "slash", *"gc", "enter")
        for key, expected in (
            ("n", 407),
            ("n", 307),
            ("N", 207),
            ("n", 307),
            ("n", 207),
            ("n", 107),
            ("n", 7),
            ("n", 407),
        ):
            await until(pilot, lambda e=expected: f"GC {e}" in in_sight(pane.view))  # type: ignore[misc]
            await press(pilot, key)
        await press(pilot, "slash", *"nowhere", "enter")
        await until(pilot, lambda: "is not in the log" in screen.query_one(Notice).render().plain)  # type: ignore[attr-defined]


async def test_s_saves_the_log_for_its_owner_alone_and_writes_over_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    stage = Situation(tmp_path, "halted")
    async with stage.app().run_test(size=NARROW) as pilot:
        screen = await open_order(pilot, stage.order_id)
        screen.query_one("#hosts").move_to("hz-03")  # type: ignore[attr-defined]
        await press(pilot, "l", "s", "s")
        await until(pilot, lambda: len(list(home.iterdir())) == 2)
    saved = sorted(home.iterdir())
    assert [file.name for file in saved] == [
        f"cockpit-{stage.order_id}-hz-03.forward-group-1-1-2.log",
        f"cockpit-{stage.order_id}-hz-03.forward-group-1-1.log",
    ]
    assert {oct(file.stat().st_mode & 0o777) for file in saved} == {"0o600"}
    assert {file.read_bytes() for file in saved} == {stage.log_path("hz-03").read_bytes()}
    assert stage.api.sent == []


async def test_what_the_engine_wrote_into_a_log_is_told_in_the_operators_language(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "halted")
    path = stage.log_path("hz-03")
    said = [
        "── 12:11:20 check_health",
        "The health check of trade-core on hz-03 got no answer",
        "── 12:12:05 trade-core on hz-03 did not pass its health check.",
        "── 12:12:05 Read sofa-healthcheck.log and common-error.log of trade-core on hz-03, then retry the host.",
        "── 12:12:06 trade-core on hz-03 did not pass its health check. It is tried again.",
        "── 12:12:07 nobody wrote this",
    ]
    path.write_text("\n".join(said) + "\n", encoding="utf-8")
    async with stage.app("zh_CN").run_test(size=(160, 45)) as pilot:
        screen = await open_order(pilot, stage.order_id)
        view = screen.query_one(LogPane).view
        await until(pilot, lambda: view.lines == len(said))
        shown = [view._styled(at).plain for at in range(len(said))]
        assert shown == [
            "── 12:11:20 检查服务",
            said[1],
            "── 12:12:05 hz-03 上的 trade-core 没有通过健康检查。",
            "── 12:12:05 请查看 hz-03 上 trade-core 的 sofa-healthcheck.log 和 common-error.log，然后重试该服务器。",
            "── 12:12:06 hz-03 上的 trade-core 没有通过健康检查。将再次尝试。",
            said[5],
        ]
