"""The runner's records among a step's output: found wherever they stand, and never made of output."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.domain import step_names
from engine.ports import JobEvent, LogBytes, StepEnded, StepStarted
from engine.remote.log_events import LastWord, LogEvents

NONCE = "0123456789abcdef"
MARK = b"\x1e" + NONCE.encode() + b" "


def read(log: bytes, cuts: list[int], offset: int = 0) -> list[JobEvent | LastWord]:
    events = LogEvents(NONCE, offset)
    edges = [0, *sorted(min(cut, len(log)) for cut in cuts), len(log)]
    return [event for a, b in pairwise(edges) for event in events.feed(log[a:b])]


def joined(events: list[JobEvent | LastWord]) -> list[object]:
    found: list[object] = []
    for event in events:
        if isinstance(event, LogBytes) and found and isinstance(found[-1], LogBytes):
            event = LogBytes(found.pop().data + event.data, event.offset)
        found.append(event)
    return found


OUTPUT = st.lists(st.one_of(st.binary(max_size=20), st.sampled_from([b"\x1e", MARK[:5], MARK, MARK + b"no\n"]))).map(
    b"".join
)


@given(OUTPUT, OUTPUT, st.lists(st.integers(0, 400), max_size=8))
def test_records_and_output_are_told_apart_however_the_log_is_cut(
    before: bytes, within: bytes, cuts: list[int]
) -> None:
    log = before + MARK + b"start deploy 12\n" + within + MARK + b"done deploy 3 1 14\n" + MARK + b"end failed 15\n"
    events = joined(read(log, cuts))
    assert [e for e in events if isinstance(e, StepStarted)] == [
        StepStarted(step_names.DEPLOY, 12.0, len(before) + len(MARK + b"start deploy 12\n"))
    ]
    assert [(e.exit_status, e.timed_out) for e in events if isinstance(e, StepEnded)] == [(3, True)]
    assert events[-1] == LastWord("failed", len(log))
    assert b"".join(e.data for e in events if isinstance(e, LogBytes)) == before + within


def test_offsets_go_on_from_where_reading_began() -> None:
    events = read(b"abc" + MARK + b"end ok 1\n", [], offset=1000)
    assert events == [LogBytes(b"abc", 1003), LastWord("ok", 1003 + len(MARK) + 9)]


def test_a_record_cut_short_by_a_full_disk_does_not_hide_the_next() -> None:
    log = MARK + b"done dep" + MARK + b"done deploy 0 0 5\n" + MARK[:4] + MARK + b"end full 5\n"
    events = joined(read(log, list(range(len(log)))))
    assert [type(e) for e in events] == [LogBytes, StepEnded, LogBytes, LastWord]


def test_output_is_given_out_at_once_and_not_held_for_a_newline() -> None:
    events = LogEvents(NONCE, 0)
    assert list(events.feed(b"Password? ")) == [LogBytes(b"Password? ", 10)]
