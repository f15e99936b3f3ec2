"""The merged log of a group: by time, on the order screen and on the command line; and a search that is a program of its own."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from cockpit.cli.run import run
from engine.domain.log_path import times_path
from engine.domain.problem import ProblemError
from engine.domain.states import Direction, RunState
from engine.run.logs import HostLog
from engine.views.orders import AttemptView
from screens import log_finding
from screens.log_finding import find
from screens.merged_log import CHUNK, LONGEST_LINE, MergedLog, TimedTail, merged
from screens.widgets.flow_view import FlowView
from screens.widgets.log_pane import LogPane
from screens.widgets.notice import Notice
from tests.support.cockpit_screens import Situation, open_order, press, until

NOON = time.mktime((2026, 11, 23, 12, 0, 0, 0, 0, -1))


def attempt(path: Path, host: str, started_at: float = NOON) -> AttemptView:
    return AttemptView(host, "group-1", Direction.FORWARD, 1, RunState.RUNNING, None, started_at, None, str(path))


def written(folder: Path, host: str, *parts: tuple[float, str]) -> AttemptView:
    """A log whose parts were written at these seconds behind noon."""
    path = folder / f"{host}.log"
    times, text = "", ""
    for at, part in parts:
        times += f"{len(text.encode())} {NOON + at:.3f}\n"
        text += part
    path.write_text(text)
    times_path(path).write_text(times)
    return attempt(path, host)


def texts(*tails: TimedTail, last: bool = True) -> list[tuple[str, str]]:
    return [(line.host, line.text) for line in merged(tails, last=last)]


def test_lines_stand_in_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    first = written(tmp_path, "hz-01", (0, "a\n"), (5, "b\nc\n"))
    second = written(tmp_path, "hz-02", (3, "x\n"), (6, "y"))
    lines = texts(TimedTail(first), TimedTail(second))
    assert lines == [("hz-01", "a"), ("hz-02", "x"), ("hz-01", "b"), ("hz-01", "c"), ("hz-02", "y")]


def test_without_times_the_engines_own_lines_say_when_and_midnight_is_no_way_back(tmp_path: Path) -> None:
    late = time.mktime((2026, 11, 23, 23, 59, 0, 0, 0, -1))
    for host, text in (
        ("a", "── 23:59:30 one\nA\n── 00:00:10 two\nB\n"),
        ("b", "── 23:59:50 one\nC\n── 00:00:05 two\nD\n"),
    ):
        (tmp_path / f"{host}.log").write_text(text)
    tails = [TimedTail(attempt(tmp_path / f"{host}.log", host, late)) for host in "ab"]
    assert [text for _, text in texts(*tails) if not text.startswith("──")] == ["A", "C", "D", "B"]


def test_a_line_that_is_not_whole_is_held_back_and_nothing_comes_twice(tmp_path: Path) -> None:
    path = tmp_path / "hz-01.log"
    path.write_text("one\ntw")
    tail = TimedTail(attempt(path, "hz-01"))
    assert texts(tail, last=False) == [("hz-01", "one")]
    with path.open("a") as file:
        file.write("o\nthree\n")
    assert texts(tail, last=False) == [("hz-01", "two"), ("hz-01", "three")]
    assert texts(tail) == []


def test_a_line_without_an_end_is_given_in_pieces_and_no_byte_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "hz-01.log"
    size = 3 * CHUNK + LONGEST_LINE
    path.write_text("x" * size + "\nend\n")
    lines = [text for _, text in texts(TimedTail(attempt(path, "hz-01")))]
    assert "".join(lines[:-1]) == "x" * size
    assert lines[-1] == "end"


def test_of_long_logs_the_ends_are_merged_and_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "hz-01.log"
    path.write_text("".join(f"line {number}\n" for number in range(100_000)))
    log = MergedLog(tmp_path / "merged" / "group.log", [attempt(path, "hz-01")], most=CHUNK, note="only the ends")
    log.more([attempt(path, "hz-01")], last=True)
    lines = log.target.read_text().splitlines()
    assert lines[0] == "only the ends"
    assert lines[-1].endswith("line 99999")
    assert len(log.target.read_text()) < 4 * CHUNK
    assert log.target.stat().st_mode & 0o077 == 0


async def test_the_engine_notes_when_it_wrote_what(tmp_path: Path) -> None:
    path = tmp_path / "12" / "hz-01.forward-group-1-1.log"
    began = time.time()
    log = HostLog(path, new=True)
    log.output(b"first\n", 6)
    await asyncio.sleep(0.15)  # the notes are at least a tenth of a second apart
    log.output(b"second\n", 13)
    log.close()
    lines = list(TimedTail(attempt(path, "hz-01", 0.0)).lines(last=True))
    assert [line.text for line in lines] == ["first", "second"]
    assert began - 0.01 <= lines[0].at < lines[1].at <= time.time() + 0.01
    assert times_path(path).stat().st_mode & 0o077 == 0


GONE = ""


def text_of(path: str) -> str:
    return Path(path).read_text() if Path(path).exists() else GONE


async def test_capital_l_merges_the_logs_of_the_group_and_again_shows_one_hosts(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "group_running")
    async with stage.app().run_test(size=(160, 45)) as pilot:
        screen = await open_order(pilot, stage.order_id)
        pane = screen.query_one(LogPane)
        assert screen.query_one(FlowView).selected == "group-1"
        await press(pilot, "L")
        await until(pilot, lambda: "forward-group-1" in pane.view.path)
        merged_log = pane.view.path
        assert {line[9:14] for line in text_of(merged_log).splitlines()} == {"hz-02", "hz-03", "hz-04"}
        heading = pane._heading._drawn
        assert heading is not None
        assert "group 1, 3 hosts" in heading.plain
        with stage.log_path("hz-02").open("a") as file:
            file.write("one more line\n")
        await until(pilot, lambda: "one more line" in text_of(merged_log))
        await press(pilot, "L")
        await until(pilot, lambda: str(stage.log_dir) in pane.view.path)
    assert text_of(merged_log) == GONE


async def test_a_node_without_hosts_has_no_merged_log(tmp_path: Path) -> None:
    stage = Situation(tmp_path, "ready")
    async with stage.app().run_test(size=(80, 24)) as pilot:
        screen = await open_order(pilot, stage.order_id)
        screen.query_one(FlowView).select("initialise")
        await press(pilot, "L")
        said = screen.query_one(Notice)._drawn
        assert said is not None
        assert "choose a group first" in said.plain


async def test_a_search_that_takes_too_long_or_breaks_is_said_and_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "big.log"
    with path.open("wb") as file:
        file.truncate(4_000_000_000)  # a hole: no disk is used
    monkeypatch.setattr(log_finding, "DEADLINE_S", 0.3)
    with pytest.raises(ProblemError, match="could not be searched"):
        await find(str(path), "needle", older=True, at=1 << 62)
    with pytest.raises(ProblemError, match="could not be searched"):
        await find(str(tmp_path), "needle", older=True, at=1 << 62)
    assert await find(str(tmp_path / "none.log"), "needle", older=False, at=0) is None


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    config = tmp_path / "config.toml"
    config.write_text(f'language = "en"\nlog_dir = "{tmp_path}/logs"\n')
    config.chmod(0o600)
    monkeypatch.setenv("COCKPIT_CONFIG", str(config))
    return ["--store", f"sqlite:///{tmp_path}/store.db", "--tenant", "acme", "--workspace", "prod"]


def test_order_log_of_a_group(tmp_path: Path, here: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    stage = Situation(tmp_path, "group_running")
    log = ["order", "log", str(stage.order_id), *here]
    assert run([*log, "--group", "group-1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line[9:14] for line in lines} == {"hz-02", "hz-03", "hz-04"}
    assert run([*log, "--group", "group-1", "--host", "hz-02", "--json"]) == 0
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {each["host"] for each in objects} == {"hz-02"}
    assert objects[1]["line"] == "installing trade-core-2.0.0.tar.gz"


def test_a_group_that_is_not_there_is_wrong_use_and_those_that_are_are_named(
    tmp_path: Path, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    stage = Situation(tmp_path, "group_running")
    assert run(["order", "log", str(stage.order_id), *here, "--group", "group-9"]) == 2
    assert "beta, group-1, group-2" in capsys.readouterr().err
