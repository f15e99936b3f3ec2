"""What of an OpenSSH client configuration is honoured, what is only told, and what it can't do."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.ports import RemoteError
from engine.remote.hops import Hop
from engine.remote.ssh_config import HopOptions, SshConfig

HOP = Hop("hz-01", "10.1.0.7", 2222, "admin", "", False)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def config(home: Path, text: str) -> SshConfig:
    (home / "config").write_text(text)
    return SshConfig.load(home / "config")


def told(found: SshConfig, hop: Hop = HOP) -> list[tuple[str, str, bool]]:
    return [(option.keyword, option.value, option.honoured) for option in found.found(hop)]


def test_keys_names_and_known_hosts_count_and_the_way_is_the_catalogues(home: Path) -> None:
    found = config(
        home,
        """
# mine
Host hz-* !hz-02
    HostName evil.example
    User root
    Port 22
    ProxyJump other
    IdentityFile ~/.ssh/%r@%h:%p
    IdentityFile "%d/a b"
    identityfile=/keys/100%%
    HostKeyAlias hz-01.real
    UserKnownHostsFile ~/.ssh/known_one ~/.ssh/known_two
    StrictHostKeyChecking no
""",
    )
    assert found.options(HOP) == HopOptions(
        (home / ".ssh" / "admin@10.1.0.7:2222", home / "a b", Path("/keys/100%")),
        "hz-01.real",
        (home / ".ssh" / "known_one", home / ".ssh" / "known_two"),
    )
    ignored = [keyword for keyword, _, honoured in told(found) if not honoured]
    assert ignored == ["HostName", "User", "Port", "ProxyJump", "StrictHostKeyChecking"]


def test_hosts_are_meant_by_name_or_address_and_a_negation_wins(home: Path) -> None:
    found = config(
        home, "Host * !10.1.0.*\nIdentityFile /a\nHost 10.1.?.7\nIdentityFile /b\nHost other\nIdentityFile /c\n"
    )
    assert found.options(HOP).identity_files == (Path("/b"),)


def test_the_first_of_a_keyword_counts_also_across_included_files(home: Path) -> None:
    (home / "more").mkdir()
    (home / "more" / "1").write_text("HostKeyAlias included\nInclude ../config\n")  # a loop ends
    found = config(home, "Include more/*\nHostKeyAlias later\n")
    assert found.options(HOP).host_key_alias == "included"
    assert [value for keyword, value, _ in told(found)] == ["included"]


def test_a_match_that_cannot_be_judged_is_told_and_never_run(home: Path) -> None:
    found = config(
        home,
        f'Match exec "touch {home}/ran"\nIdentityFile /secret\nMatch host hz-01\nIdentityFile /mine\n'
        "Match all\nHostKeyAlias everybody\n",
    )
    assert told(found) == [
        ("IdentityFile", "/secret", False),
        ("IdentityFile", "/mine", True),
        ("HostKeyAlias", "everybody", True),
    ]
    assert found.options(HOP).identity_files == (Path("/mine"),)
    assert not (home / "ran").exists()


def test_no_file_and_no_wish_for_one_mean_nothing(home: Path) -> None:
    assert SshConfig.load(None).options(HOP) == HopOptions()
    assert SshConfig.load(home / "missing").options(HOP) == HopOptions()


def test_a_file_that_cannot_be_read_is_said(home: Path) -> None:
    (home / "config").mkdir()
    with pytest.raises(RemoteError) as unreadable:
        SshConfig.load(home / "config").options(HOP)
    assert unreadable.value.problem.code == "ssh_config_unreadable"
    assert str(home / "config") in str(unreadable.value)


def test_broken_lines_count_for_nothing(home: Path) -> None:
    found = config(home, 'IdentityFile "/no end\nHostKeyAlias fine\n\n=\nHost\nUser nobody\n')
    assert found.options(HOP) == HopOptions((), "fine", ())
