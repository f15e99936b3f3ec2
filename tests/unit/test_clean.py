"""Cleaning: nothing that acts on a terminal gets through, ordinary text stays as it is, however it is cut into pieces."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.clean import MAX_LINE, WRAP_NOTE, LogCleaner, clean_text, redact


def cleaned(*pieces: bytes) -> str:
    cleaner = LogCleaner()
    return "".join([*map(cleaner.feed, pieces), cleaner.flush()])


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain text\twith a tab\n", "plain text\twith a tab\n"),
        ("启动完成 ✓ é\n".encode(), "启动完成 ✓ é\n"),
        (b"\x1b[1;31mred\x1b[0m\n", "red\n"),
        (b"\x1b]0;title\x07after\n", "after\n"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\\n", "link\n"),
        (b"\x1bPsixel\x1b\\after\n", "after\n"),
        (b"\x1b]never ended\nnext line\n", "\nnext line\n"),
        (b"\x1b(Bx\x1bMy\x1b7z\n", "xyz\n"),
        ("a\u009b31mb\u202ec\u2066d\u0085e\n".encode(), "ab·c·de\n"),
        ("zero\u200bwidth\u200c \u200djoin\u2060er\ufeff soft\u00ad\n".encode(), "zero·width· ·join·er· soft·\n"),
        ("tag\U000e0041\U000e007f \u180e\u3164filler\n".encode(), "tag·· ··filler\n"),
        ("👍🏽 ⚠️ naïve café नमस्ते\n".encode(), "👍🏽 ⚠️ naïve café नमस्ते\n"),
        (b"a\x00b\x07c\x08d\x7fe\n", "abcde\n"),
        (b"bad \xff\xfe utf-8\n", "bad \ufffd\ufffd utf-8\n"),
        (b"windows\r\nlines\r\n", "windows\nlines\n"),
        (b" 10%\r 50%\r100%\ndone\n", "100%\ndone\n"),
        (b" 10%\r 50%\r\n", " 50%\n"),
        ("one\u2028two\n".encode(), "one two\n"),
        (b"no newline", "no newline"),
        (b"cut \x1b[31", "cut "),
        (b"", ""),
    ],
)
def test_what_comes_out(raw: bytes, text: str) -> None:
    assert cleaned(raw) == text
    assert cleaned(*(raw[i : i + 1] for i in range(len(raw)))) == text


TERMINAL_NOISE = st.lists(
    st.one_of(
        st.binary(max_size=8),
        st.text(max_size=8).map(str.encode),
        st.sampled_from(
            [b"\x1b[", b"\x1b]", b"\x1b", b"\x07", b"\x1b\\", b"\r", b"\n", b"31m", b"\xc2\x9b", b"\xe2\x80\xae"]
        ),
    ),
    max_size=30,
).map(b"".join)


@given(TERMINAL_NOISE, st.lists(st.integers(0, 200), max_size=6))
def test_the_same_comes_out_however_it_is_cut(raw: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    assert cleaned(*(raw[a:b] for a, b in pairwise(edges))) == cleaned(raw)


@given(TERMINAL_NOISE)
def test_nothing_comes_out_that_acts_on_a_terminal(raw: bytes) -> None:
    for text in (cleaned(raw), clean_text(raw)):
        assert not [
            c for c in text if (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 or "\u202a" <= c <= "\u202e"
        ]


def test_a_line_without_end_is_wrapped_and_loses_nothing() -> None:
    cleaner = LogCleaner()
    lines = "".join([*(cleaner.feed(b"x" * 4096) for _ in range(100)), cleaner.feed(b"\n")]).splitlines()
    assert all(len(line) <= MAX_LINE + len(WRAP_NOTE) for line in lines)
    assert sum(line.count("x") for line in lines) == 409_600
    assert all(line.endswith(WRAP_NOTE) for line in lines[:-1])
    whole = cleaned(b"y" * 200_000 + b"\n")
    assert whole.count("y") == 200_000
    assert max(map(len, whole.splitlines())) <= MAX_LINE + len(WRAP_NOTE)


def test_a_sequence_that_never_ends_does_not_swallow_the_log() -> None:
    assert "important" in cleaned(b"\x1b]" + b"a" * 10_000 + b" important\n")
    assert "important" in cleaned(b"\x1b]" + b"a" * 300_000, b" important\n")


def test_a_progress_line_flushed_half_way_goes_on_in_a_line_of_its_own() -> None:
    cleaner = LogCleaner()
    assert cleaner.feed(b" 10%\r 20%") == ""
    assert cleaner.flush() == " 20%"
    assert cleaner.feed(b"\r100%\n") == "\n100%\n"
    assert cleaner.feed(b"next\n") == "next\n"


URL = (
    "https://b.oss-cn-hangzhou.aliyuncs.com/k.tgz?x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-credential=AKID%2F20261123"
    "&x-oss-signature=deadbeef&x-oss-security-token=tok&x-oss-expires=600"
)


def test_signed_urls_lose_their_secrets_and_nothing_else() -> None:
    text = redact(f"GET '{URL}' failed")
    for secret in ("AKID", "deadbeef", "tok&"):
        assert secret not in text
    assert "x-oss-expires=600' failed" in text
    assert "x-oss-signature-version=OSS4-HMAC-SHA256" in text
    old = redact("http://b/k?OSSAccessKeyId=AK&Expires=1&Signature=abc%3D&security-token=T end AccessKeyId=AK2")
    assert old == "http://b/k?OSSAccessKeyId=***&Expires=1&Signature=***&security-token=*** end AccessKeyId=***"
    assert redact("signature of a=b") == "signature of a=b"


def test_a_url_torn_between_two_pieces_is_redacted() -> None:
    raw = f"curl: {URL}\n".encode()
    for cut in range(len(raw)):
        assert "deadbeef" not in cleaned(raw[:cut], raw[cut:])


def test_a_url_at_the_edge_of_a_wrapped_line_is_redacted() -> None:
    for filled in range(MAX_LINE - 200, MAX_LINE + 10, 7):
        cleaner = LogCleaner()
        raw = b"x" * (filled - 10) + b" " + URL.encode()
        text = "".join([cleaner.feed(raw[:MAX_LINE]), cleaner.feed(raw[MAX_LINE:]), cleaner.feed(b" end\n")])
        assert "deadbeef" not in text
        assert "AKID" not in text


def test_plain_logs_are_cleaned_at_more_than_30_mb_a_second() -> None:
    block = b"2026-11-23 20:00:00 INFO [main] com.acme.trade.Core - request id=12345 took 12 ms ok\n" * 750
    cleaner, started = LogCleaner(), time.process_time()
    for _ in range(300):
        cleaner.feed(block)
    assert 300 * len(block) / (time.process_time() - started) > 30e6
