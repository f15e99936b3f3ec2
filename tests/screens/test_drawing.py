"""The pure parts of drawing: flowchart layouts, wrapping, weights, and the wall against hostile text."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from rich.text import Text
from textual.color import Color

from screens.filters import AsciiOnly, HostileText, in_ascii, without_hostile_text
from screens.flowchart import in_order, lanes, layers
from screens.weights import Pending, next_stop
from screens.widgets.filter_line import matches
from screens.widgets.log_view import LogFile
from screens.widgets.prose import wrapped


@dataclass(frozen=True)
class Node:
    key: str
    needs: tuple[str, ...] = ()


DIAMOND = (Node("a"), Node("b", ("a",)), Node("c", ("a",)), Node("d", ("b", "c")))


@st.composite
def graphs(draw: st.DrawFn) -> list[Node]:
    count = draw(st.integers(1, 9))
    nodes = [
        Node(str(at), tuple(str(n) for n in sorted(draw(st.sets(st.integers(0, at - 1), max_size=3)))))
        if at
        else Node("0")
        for at in range(count)
    ]
    return draw(st.permutations(nodes))


def test_a_chain_stays_in_one_lane_and_one_row() -> None:
    chain = [Node("a"), Node("b", ("a",)), Node("c", ("b",))]
    assert [(row.key, row.lane, row.joins, row.forks) for row in lanes(chain)] == [
        ("a", 0, (), ()), ("b", 0, (), ()), ("c", 0, (), ())
    ]  # fmt: skip
    assert layers(chain).rows == 1


def test_a_diamond_forks_and_joins() -> None:
    rows = {row.key: row for row in lanes(DIAMOND)}
    assert rows["a"].forks == (1,)
    assert rows["d"].joins == (1,)
    assert rows["b"].passing == (1,)
    drawn = layers(DIAMOND)
    assert [set(stops.values()) for stops in drawn.stops] == [{"a"}, {"b", "c"}, {"d"}]


def test_ways_that_are_not_connected_keep_rows_of_their_own() -> None:
    drawn = layers([Node("back-1"), Node("back-2", ("back-1",)), Node("a"), Node("b", ("a",)), Node("c", ("b",))])
    row = {key: at for stops in drawn.stops for at, key in stops.items()}
    assert row == {"back-1": 0, "back-2": 0, "a": 1, "b": 1, "c": 1}


def test_a_cycle_is_refused() -> None:
    with pytest.raises(ValueError, match="cycle"):
        in_order([Node("a", ("b",)), Node("b", ("a",))])


@given(graphs())
def test_no_two_nodes_share_a_place_and_every_edge_leads_to_the_next_layer(nodes: list[Node]) -> None:
    drawn = layers(nodes)
    assert sorted(key for stops in drawn.stops for key in stops.values() if key) == sorted(node.key for node in nodes)
    for layer, links in enumerate(drawn.links):
        for here, there in links:
            assert here in drawn.stops[layer]
            assert there in drawn.stops[layer + 1]


@given(graphs())
def test_a_lane_leads_to_one_node_at_a_time(nodes: list[Node]) -> None:
    for row in lanes(nodes):
        taken = [row.lane, *row.joins, *list(row.passing)]
        assert len(set(taken)) == len(taken)
        assert not set(row.forks) & set(row.passing)


# --------------------------------------------------------------------------------------------------------------- wrapping


@given(st.text(alphabet="ab 切除流量，。（）1", max_size=80), st.integers(4, 30))
def test_wrapped_lines_fit_and_lose_nothing_but_spaces(text: str, width: int) -> None:
    lines = wrapped(Text(text), width).plain.split("\n")
    assert all(cell_len(line) <= width + 2 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_a_chinese_sentence_breaks_between_characters_and_not_before_a_comma() -> None:
    assert wrapped(Text("· 切除流量只停止外部流量，消息照常"), 20).plain.split("\n") == [
        "· 切除流量只停止外部",
        "流量，消息照常",
    ]


# ----------------------------------------------------------------------------------------------------------- hostile text

HOSTILE = [
    "\x1b]52;c;aGk=\x07",
    "\x1b]0;title\x07",
    "\x1b[21t",
    "\x9b31m",
    "a\x00b\x7f",
    "\u202eevil\u202c",
    "\u2066x\u2069",
    "\r\n",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_control_character_passes_the_filter_and_no_width_changes(text: str) -> None:
    (segment,) = HostileText().apply([Segment(text)], Color(0, 0, 0))
    assert not any(
        ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u202a\u202b\u202c\u202d\u202e\u2066\u2069" for c in segment.text
    )
    assert cell_len(segment.text) == cell_len(text)


def test_ordinary_text_passes_unchanged() -> None:
    assert without_hostile_text("切除SLB流量 ✔ [/x]") == "切除SLB流量 ✔ [/x]"


def test_ascii_keeps_every_width_and_leaves_letters_alone() -> None:
    line = "╭──╮ ✔ 第1组 ▶ 6/8 █▆▁ …"
    assert in_ascii(line) == "+--+ v 第1组 > 6/8 ##- ~"
    (segment,) = AsciiOnly().apply([Segment(line)], Color(0, 0, 0))
    assert cell_len(segment.text) == cell_len(line)


# ---------------------------------------------------------------------------------------------------------------- weights


def test_stops_go_up_and_down_through_the_usual_weights() -> None:
    up = list(itertools.accumulate(range(6), lambda weight, _: next_stop(weight, up=True), initial=0))
    assert up == [0, 1, 5, 10, 25, 50, 100]
    assert [next_stop(weight, up=False) for weight in (100, 52, 1, 0)] == [50, 50, 0, 0]


@given(st.integers(-500, 500))
def test_a_pending_weight_is_always_one_a_balancer_takes(weight: int) -> None:
    assert 0 <= Pending().with_weight(["hz-01"], weight).weights["hz-01"] <= 100


# ------------------------------------------------------------------------------------------------------------ log, filter


def test_a_log_is_read_by_lines_while_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "host.log"
    log = LogFile(str(path))
    assert not log.grow()
    assert log.lines == 0
    path.write_text("一\ntwo\nthr", encoding="utf-8")
    assert log.grow()
    assert log.lines == 3
    assert log.read(0, 9) == ["一", "two", "thr"]
    with path.open("a") as file:
        file.write("ee\nfour\n")
    assert log.grow()
    assert log.read(2, 2) == ["three", "four"]


def test_a_log_that_was_cut_off_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "host.log"
    path.write_text("one\ntwo\nthree\n")
    log = LogFile(str(path))
    log.grow()
    path.write_text("new\n")
    log.grow()
    assert log.lines == 1
    assert log.read(0, 5) == ["new"]


def test_a_filter_wants_every_word_and_an_exclamation_mark_inverts_it() -> None:
    texts = ("trade-core", "交易核心", "alice")
    assert matches("TRADE alice", texts)
    assert matches("交易", texts)
    assert not matches("bob", texts)
    assert matches("!bob", texts)
    assert not matches("!alice", texts)
    assert matches("", texts)
    assert matches("!", texts)
