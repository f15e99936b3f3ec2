"""Logs of 100 MB: shown from their end at once, read in pieces, and never held."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Region

from screens.widgets import log_file
from screens.widgets.log_file import KEPT, LogFile
from screens.widgets.log_search import READ_AT_ONCE
from screens.widgets.log_view import LogView

LINE = "INFO  {:09} component started, everything is as it should be\n"
SIZE = 100_000_000
COUNT = SIZE // len(LINE.format(0))


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("logs") / "big.log"
    with path.open("w") as file:
        for at in range(0, COUNT, 10_000):
            file.write("".join(map(LINE.format, range(at, min(COUNT, at + 10_000)))))
    yield path
    path.unlink()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of all reads."""
    sizes: list[int] = []
    real = os.pread

    def counted(file: int, count: int, offset: int) -> bytes:
        data = real(file, count, offset)
        sizes.append(len(data))
        return data

    monkeypatch.setattr(log_file.os, "pread", counted)
    return sizes


def number(line: str) -> int:
    return int(line.split()[1])


def test_the_end_of_a_big_log_is_there_after_one_piece(big: Path, reads: list[int]) -> None:
    log = LogFile(str(big))
    assert log.grow()
    assert log.end == big.stat().st_size
    assert number(log.read(log.lines - 1, 1)[0]) == COUNT - 1
    assert sum(reads) < 2 * READ_AT_ONCE
    assert log.lines < 50_000


def test_reading_back_to_the_beginning_knows_a_bounded_piece_and_leaves_no_line_out(
    big: Path, reads: list[int]
) -> None:
    log = LogFile(str(big))
    log.grow()
    first = number(log.read(0, 1)[0])
    while not log.at_begin:
        came = log.earlier()
        assert number(log.read(0, 1)[0]) == first - came
        assert number(log.read(came, 1)[0]) == first  # no gap between the pieces
        first -= came
        assert log.end - log.begin <= KEPT + READ_AT_ONCE
        assert max(reads) <= READ_AT_ONCE
    assert first == 0
    assert log.earlier() == 0
    assert [number(line) for line in log.read(0, 3)] == [0, 1, 2]
    assert not log.grow(keep=True)  # whoever reads the beginning is not pushed on
    log.grow()
    assert number(log.read(log.lines - 1, 1)[0]) == COUNT - 1


def test_a_log_that_grows_by_100_mb_while_it_is_followed_stays_bounded(
    tmp_path: Path, big: Path, reads: list[int]
) -> None:
    path = tmp_path / "host.log"
    path.write_text("first\n")
    log = LogFile(str(path))
    log.grow()
    with big.open("rb") as source, path.open("ab") as target:
        while data := source.read(READ_AT_ONCE):
            target.write(data)
            target.flush()
            log.grow()
            assert log.end - log.begin <= KEPT + READ_AT_ONCE
    while log.grow():
        pass
    assert number(log.read(log.lines - 1, 1)[0]) == COUNT - 1
    assert max(reads) <= READ_AT_ONCE


def test_lines_of_one_byte_stay_bounded_too(tmp_path: Path) -> None:
    path = tmp_path / "host.log"
    path.write_bytes(b"")
    log = LogFile(str(path))
    with path.open("ab") as file:
        for _ in range(4):
            file.write(b"\n" * READ_AT_ONCE)
            file.flush()
            log.grow()
    assert log.lines <= log_file.KEPT_LINES + READ_AT_ONCE


class Viewer(App[None]):
    CSS = "LogView { height: 1fr; overflow-x: hidden; }"  # as in the cockpit

    def compose(self) -> ComposeResult:
        yield LogView()


async def test_home_and_end_reach_both_ends_of_a_big_log(big: Path) -> None:
    app = Viewer()
    async with app.run_test(size=(80, 24)) as pilot:
        view = app.query_one(LogView)
        view.focus()
        view.open(str(big))
        await pilot.pause()
        assert view.following
        assert view.scroll_offset.y == view.max_scroll_y
        assert view.hidden_mb > 90
        known = view.lines
        await pilot.press("home")
        assert view.scroll_offset.y == 0
        assert not view.following
        await pilot.press("home")  # a piece further back
        assert view.lines > known
        assert view.hidden_mb < 99
        top = view.lines - known
        await pilot.press("home", "up")
        assert view.lines - known >= top
        await pilot.press("end")
        await pilot.pause()
        assert view.following
        assert view.scroll_offset.y == view.max_scroll_y


async def test_a_log_that_grows_is_followed_without_laying_out_the_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "host.log"
    path.write_text("".join(map(LINE.format, range(100))))
    app = Viewer()
    async with app.run_test(size=(40, 10)) as pilot:  # narrower than a line
        view = app.query_one(LogView)
        view.open(str(path))
        view.action_wrap()
        await pilot.pause()
        assert not view.wraps
        layouts, refresh = [], view.refresh

        def counted(*regions: Region, layout: bool = False, **more: bool) -> LogView:
            layouts.extend([1] * layout)
            return refresh(*regions, layout=layout, **more)

        monkeypatch.setattr(view, "refresh", counted)
        for last in range(100, 103):
            with path.open("a") as file:
                file.write(LINE.format(last))
            view.read_more()
            await pilot.pause()
            assert view.following
            assert view.scroll_offset.y == view.max_scroll_y == view.lines - view.size.height
            assert view.vertical_scrollbar.window_virtual_size == view.lines
            assert f"{last:09}" in view.render_line(view.size.height - 1).text
        assert not layouts


async def test_the_scrollbar_comes_with_the_line_that_does_not_fit_and_goes_with_the_next_log(tmp_path: Path) -> None:
    path, other = tmp_path / "host.log", tmp_path / "other.log"
    path.write_text("".join(map(LINE.format, range(9))))
    other.write_text("short\n")
    app = Viewer()
    async with app.run_test(size=(80, 10)) as pilot:
        view = app.query_one(LogView)
        view.open(str(path))
        await pilot.pause()
        assert not view.show_vertical_scrollbar
        with path.open("a") as file:
            file.write(LINE.format(9) + LINE.format(10))
        view.read_more()
        await pilot.pause()
        assert view.show_vertical_scrollbar
        assert view.scroll_offset.y == view.max_scroll_y == 1
        view.open(str(other))
        await pilot.pause()
        assert not view.show_vertical_scrollbar
        assert view.scroll_offset.y == 0
        assert view.render_line(0).text.startswith("short")
