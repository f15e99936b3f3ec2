"""The log of one host's attempt and the mark beside it: what a successor goes on from, whatever became of the one before."""

from __future__ import annotations

import os
from pathlib import Path

from engine.run.logs import HostLog


def leave(log: HostLog) -> None:
    """As a killed engine does: what it wrote is there, its last mark as well, and nothing is put in order."""
    log._file.flush()


async def test_a_successor_goes_on_behind_the_last_mark(tmp_path: Path) -> None:
    path = tmp_path / "1" / "h1.log"
    log = HostLog(path)
    log.output(b"one\n", 4)
    log.mark()
    log._write("two, not marked\n")
    leave(log)
    heir = HostLog(path)
    assert (heir.offset, path.read_text()) == (4, "one\n")
    heir.output(b"two\n", 8)
    heir.close()
    assert path.read_text() == "one\ntwo\n"
    assert HostLog(path).offset == 8


async def test_a_mark_never_gets_shorter_nor_leaves_a_file_behind(tmp_path: Path) -> None:
    log = HostLog(tmp_path / "h1.log")
    sizes = set()
    for offset in (0, 9, 10**15, 7):
        log.offset = offset
        log.mark()
        sizes.add((tmp_path / "h1.offset").stat().st_size)
    log.close()
    assert len(sizes) == 1
    assert sorted(os.listdir(tmp_path)) == ["h1.log", "h1.offset", "h1.times"]
    assert HostLog(tmp_path / "h1.log").offset == 7


async def test_a_log_that_lost_what_its_mark_promises_is_read_again_from_the_beginning(tmp_path: Path) -> None:
    path = tmp_path / "h1.log"
    log = HostLog(path)
    log.output(b"one\ntwo\n", 8)
    log.close()
    path.write_text("one\n")  # the machine went down before the rest was on its disk
    heir = HostLog(path)
    assert heir.offset == 0
    heir.output(b"one\ntwo\n", 8)
    heir.close()
    assert path.read_text() == "one\ntwo\n"


async def test_garbage_in_a_mark_is_no_mark(tmp_path: Path) -> None:
    path = tmp_path / "h1.log"
    log = HostLog(path)
    log.output(b"one\n", 4)
    log.close()
    (tmp_path / "h1.offset").write_bytes(b"\x00" * 42)
    assert HostLog(path).offset == 0


async def test_a_new_attempt_takes_nothing_over_from_an_order_of_another_store(tmp_path: Path) -> None:
    path = tmp_path / "h1.log"
    log = HostLog(path)
    log.output(b"of another order\n", 17)
    log.close()
    leave(HostLog(path, new=True))  # and killed at once
    heir = HostLog(path)
    assert (heir.offset, path.read_text()) == (0, "")
