"""Which lines of known_hosts count for a hop: what `ssh-keygen -F` finds, for names, ports, hashes, wildcards and markers."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

import asyncssh
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine.remote.hops import Hop
from engine.remote.known_keys import KnownKeys, TrustedKeys

KEYS = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(6)]
LINES = [key.export_public_key("openssh").decode().strip() for key in KEYS]
PRINTS = [key.get_fingerprint() for key in KEYS]
NAMES = ["foo", "Foo", "foo.example", "FOO.Example", "a.b", "10.1.0.7", "::1", "fe80::1%eth0", "[foo]", "x[1]"]


def hop(address: str, port: int = 22, host_key: str = "") -> Hop:
    return Hop("h", address, port, "op", host_key, False)


def found(known: TrustedKeys) -> list[tuple[str, str]]:
    """(marker, fingerprint) of everything that counts."""
    return sorted(
        (marker, key.get_fingerprint())
        for marker, keys in (("", known.keys), ("CA", known.authorities), ("REVOKED", known.revoked))
        for key in keys
    )


def keygen(file: Path, name: str) -> list[tuple[str, str]]:
    ran = subprocess.run(
        ["ssh-keygen", "-l", "-F", name, "-f", str(file)], capture_output=True, text=True, check=False, timeout=20
    )
    answers = re.findall(r"^# Host .* found: line \d+ ?(\w*)\s*\n(.*)$", ran.stdout, re.MULTILINE)
    return sorted((marker, re.search(r"SHA256:\S+", key).group(0)) for marker, key in answers)  # type: ignore[union-attr]


patterns = st.one_of(
    st.sampled_from(NAMES),
    st.builds("[{}]:{}".format, st.sampled_from(NAMES), st.sampled_from([22, 2222])),
    st.sampled_from(["*", "?oo", "*.example", "f*o", "10.1.*", "[f*]:*", "[*]:2222", "*:*", "f[o]o", "10.1.0.0/16"]),
).flatmap(lambda name: st.sampled_from([name, name, name, f"!{name}", name.upper()]))


@st.composite
def line(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["", "", "", "@revoked ", "@cert-authority ", "@strange ", "#"]))
    names = ",".join(draw(st.lists(patterns, min_size=1, max_size=3)))
    key = draw(st.sampled_from([*LINES, *LINES, "ssh-ed25519 AAAAnonsense", "", "ssh-ed25519"]))
    blank = draw(st.sampled_from([" ", "\t", "  "]))
    return f"{kind}{names}{blank}{key}{draw(st.sampled_from(['', ' a comment', chr(9)]))}"


@given(
    lines=st.lists(line(), max_size=6),
    name=st.sampled_from(NAMES),
    port=st.sampled_from([22, 2222]),
    hashed=st.booleans(),
)
@example(lines=[f"Foo.EXAMPLE {LINES[0]}"], name="fOO.example", port=22, hashed=True)
@example(lines=[f"[foo]:2222,!foo {LINES[0]}"], name="foo", port=2222, hashed=False)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_same_lines_count_as_for_ssh_keygen(lines: list[str], name: str, port: int, hashed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "known_hosts"
        file.write_text("\n".join(lines) + "\n")
        if hashed:
            before = file.read_text()
            subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(file)], capture_output=True, check=False, timeout=20)
            assert file.read_text() or not before.strip()
        known = KnownKeys(file).trusted(hop(name, port))
        lowered = name.lower()  # as `ssh` does before it looks
        assert found(known) == keygen(file, lowered if port == 22 else f"[{lowered}]:{port}")
        if port != 22 and not known.keys and not known.authorities:
            beside = found(known.portless) if known.portless else []
            assert [each for each in beside if each[0] != "REVOKED"] == [
                each for each in keygen(file, lowered) if each[0] != "REVOKED"
            ]


def test_a_name_of_the_dns_is_looked_up_as_a_name(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"hz-01.example.com,10.1.0.7 {LINES[0]}\n")
    for name in ("hz-01.example.com", "HZ-01.Example.COM", "10.1.0.7"):
        assert KnownKeys(file).trusted(hop(name)).keys == (KEYS[0].convert_to_public(),)
    assert not KnownKeys(file).trusted(hop("hz-02.example.com"))


def test_an_alias_stands_for_address_and_port(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"real {LINES[0]}\n[10.1.0.7]:2222 {LINES[1]}\n")
    assert found(KnownKeys(file).trusted(hop("10.1.0.7", 2222), alias="Real")) == [("", PRINTS[0])]


def test_a_key_of_the_catalogue_is_the_only_one_and_can_still_be_revoked(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"10.1.0.7 {LINES[0]}\n@revoked * {LINES[1]}\n")
    known = KnownKeys(file).trusted(hop("10.1.0.7", host_key=LINES[2]))
    assert found(known) == sorted([("", PRINTS[2]), ("REVOKED", PRINTS[1])])


@pytest.mark.parametrize("kind", ["a folder", "a pipe", "not readable"])
def test_a_file_that_cannot_be_read_is_skipped_and_named(tmp_path: Path, kind: str) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text(f"10.1.0.7 {LINES[0]}\n")
    if kind == "a folder":
        bad.mkdir()
    elif kind == "a pipe":
        os.mkfifo(bad)
    else:
        bad.symlink_to(bad)
    known = KnownKeys(None).trusted(hop("10.1.0.7"), files=(bad, good))
    assert found(known) == [("", PRINTS[0])]
    assert [skipped.file for skipped in known.skipped] == [bad]
    assert known.skipped[0].why


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    keys = KnownKeys(file)
    assert not keys.trusted(hop("a"))
    file.write_text(f"a {LINES[0]}\n")
    assert found(keys.trusted(hop("a"))) == [("", PRINTS[0])]
    file.unlink()
    assert not keys.trusted(hop("a"))
