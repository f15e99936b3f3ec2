"""What of an OpenSSH client configuration is honoured, what is only told, and what it can't do. The oracle is `ssh -G`."""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from engine.ports import RemoteError
from engine.remote.hops import Hop
from engine.remote.ssh_config import HopOptions, SshConfig

HOP = Hop("hz-01", "10.1.0.7", 2222, "admin", "", False)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def config(home: Path, text: str) -> SshConfig:
    (home / "config").write_text(text)
    return SshConfig.load(home / "config")


def told(found: SshConfig, hop: Hop = HOP) -> list[tuple[str, str, bool]]:
    return [(option.keyword, option.value, option.honoured) for option in found.found(hop)]


# ------------------------------------------------------------------------------------------------------------- the oracle


def ssh_g(file: Path, hop: Hop) -> dict[str, list[str]] | None:
    """keyword → values as `ssh` understands the file for the hop; None when it refuses the file."""
    command = [
        "ssh",
        "-F",
        str(file),
        "-G",
        "-o",
        f"HostName={hop.address}",
        "-p",
        str(hop.port),
        "-l",
        hop.user,
        hop.name,
    ]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=20)
    if ran.returncode != 0:
        return None
    found: dict[str, list[str]] = {}
    for line in ran.stdout.splitlines():
        keyword, _, value = line.partition(" ")
        found.setdefault(keyword, []).append(value)
    return found


def honoured(file: Path, hop: Hop) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for option in SshConfig.load(file).found(hop):
        if option.honoured:
            found.setdefault(option.keyword.lower(), []).append(option.value)
    return found


# What `ssh -G` says when nobody has said anything.
DEFAULTS = {
    "identityfile": [
        f"~/.ssh/id_{kind}" for kind in ("rsa", "ecdsa", "ecdsa_sk", "ed25519", "ed25519_sk", "xmss", "dsa")
    ],
    "identitiesonly": ["no"],
}

NAMES = ("foo", "Foo", "bar.example", "10.1.0.7", "x[1]")
name_patterns = st.sampled_from(
    [*NAMES, "*", "f*", "?oo", "!foo", "!Foo", "!*", "*.example", "f[o]o", "x[*", "FOO", "other"]
)
lists = st.lists(st.sampled_from([*NAMES, "*", "!foo", "F*", "!bar.*", "10.1.*"]), min_size=1, max_size=3).map(",".join)
users = st.lists(st.sampled_from(["admin", "Admin", "root", "*", "!admin", "a*"]), min_size=1, max_size=2).map(",".join)
words = st.text(alphabet="ab/~%hd\\#'\"[]=$-_. \t", min_size=1, max_size=8)
quoted = st.one_of(
    words,
    words.map(lambda word: f'"{word}"'),
    words.map(lambda word: f"'{word}'"),
    st.sampled_from(
        ["none", "NONE", "~/.ssh/%r@%h", "/k/a#b", "/k/a # why", '"/k/a b" # why', "a\\ b", "/k/[1]", "%d/%n"]
    ),
)
keywords = st.sampled_from(
    [
        "IdentityFile",
        "identityfile",
        "IDENTITYFILE",
        "IdentityFile",
        "HostKeyAlias",
        "UserKnownHostsFile",
        "IdentitiesOnly",
    ]
)


@st.composite
def option_line(draw: st.DrawFn) -> str:
    keyword = draw(keywords)
    value = draw(st.sampled_from(["yes", "no", "True", "false"])) if keyword == "IdentitiesOnly" else draw(quoted)
    if keyword == "UserKnownHostsFile" and draw(st.booleans()):
        value = f"{value} {draw(quoted)}"
    between = draw(st.sampled_from([" ", " ", "=", " = ", "\t", "  "]))
    indent, end = draw(st.sampled_from(["", "  ", "\t"])), draw(st.sampled_from(["", "", "", " # comment", "  ", "\r"]))
    return f"{indent}{keyword}{between}{value}{end}"


@st.composite
def criterion(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["host", "originalhost", "user", "localuser", "final", "canonical"]))
    sign = draw(st.sampled_from(["", "", "!"]))
    if kind in ("final", "canonical"):
        return f"{sign}{kind}"
    value = draw(users if kind in ("user", "localuser") else lists)
    return f"{sign}{kind}{draw(st.sampled_from([' ', ' ', '=']))}{draw(st.sampled_from([value, value, chr(34) + value + chr(34)]))}"


block_line = st.one_of(
    st.lists(name_patterns, min_size=1, max_size=3).map(lambda patterns: "Host " + " ".join(patterns)),
    st.lists(criterion(), min_size=1, max_size=3).map(lambda criteria: "Match " + " ".join(criteria)),
    st.sampled_from(
        ["Match all", "Match all # everybody", "Match !all", "Host * # all", "Host=foo", 'Host "foo" bar.example']
    ),
)
config_lines = st.lists(
    st.one_of(option_line(), option_line(), block_line, st.sampled_from(["", "# a comment", "  # another", "Port 1"])),
    max_size=10,
)


@given(
    lines=config_lines,
    included=config_lines,
    at=st.integers(0, 10),
    name=st.sampled_from(NAMES),
    user=st.sampled_from(["admin", "root"]),
)
@example(
    lines=["Host foo", "INCLUDE", "IdentityFile /after"],
    included=["Host other", "IdentityFile /in"],
    at=1,
    name="foo",
    user="root",
)
@example(
    lines=["IdentityFile none", "IdentityFile /a # b", "IdentityFile /a"], included=[], at=0, name="foo", user="root"
)
@example(
    lines=["Match final", "HostKeyAlias late", "Match all", "HostKeyAlias soon"],
    included=[],
    at=0,
    name="foo",
    user="root",
)
@example(lines=["Match !user root host f*", "IdentityFile /a"], included=[], at=0, name="foo", user="admin")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_a_configuration_means_what_it_means_to_ssh(
    lines: list[str], included: list[str], at: int, name: str, user: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file, more = Path(folder) / "config", Path(folder) / "more"
        more.write_text("\n".join(included) + "\n")
        whole = [f"Include {more}" if line == "INCLUDE" else line for line in lines]
        if included and "INCLUDE" not in lines:
            whole.insert(min(at, len(whole)), f"Include {more}")
        file.write_text("\n".join(whole) + "\n")
        hop = Hop(name, name, 2222, user, "", False)
        expected = ssh_g(file, hop)
        event("refused by ssh" if expected is None else "taken by ssh")
        ours = honoured(file, hop)
        if expected is None:
            return  # what ssh refuses as a whole counts line by line here, and raises nothing
        for keyword in ("identityfile", "hostkeyalias", "identitiesonly"):
            mine = ours.get(keyword, DEFAULTS.get(keyword, []))
            if keyword == "identitiesonly":
                mine = [{"true": "yes", "false": "no"}.get(value.lower(), value) for value in mine]
            if keyword == "hostkeyalias":
                mine = [value.lower() for value in mine]
            assert mine == expected.get(keyword, []), (keyword, whole, included)
        with patch.dict(os.environ, {"HOME": pwd.getpwuid(os.getuid()).pw_dir}):  # whose home `ssh` means
            options = SshConfig.load(file).options(hop)
        if options.known_hosts is not None:  # these `ssh -G` shows filled in, with blanks between them
            theirs = [str(Path(path)) for path in expected["userknownhostsfile"] if path.lower() != "none"]
            assert [" ".join(str(path) for path in options.known_hosts)] == (theirs or [""]), (whole, included)


# ------------------------------------------------------------------------------------------------------- what it adds to it


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
    IdentityFile ~/.ssh/%r@%h:%p   # by account
    IdentityFile "%d/a b"
    identityfile=/keys/100%%
    IdentitiesOnly yes
    IdentityAgent %d/agent.sock
    HostKeyAlias hz-01.real
    UserKnownHostsFile ~/.ssh/known_one ~/.ssh/known_two
    StrictHostKeyChecking no
""",
    )
    assert found.options(HOP) == HopOptions(
        identity_files=(home / ".ssh" / "admin@10.1.0.7:2222", home / "a b", Path("/keys/100%")),
        usual_identities=False,
        identities_only=True,
        identity_agent=f"{home}/agent.sock",
        host_key_alias="hz-01.real",
        known_hosts=(home / ".ssh" / "known_one", home / ".ssh" / "known_two"),
    )
    ignored = [keyword for keyword, _, honoured in told(found) if not honoured]
    assert ignored == ["HostName", "User", "Port", "ProxyJump", "StrictHostKeyChecking"]


def test_none_means_that_none_is_wanted(home: Path) -> None:
    found = config(home, "IdentityFile none\nUserKnownHostsFile none\nIdentityAgent none\n").options(HOP)
    assert found == HopOptions(usual_identities=False, identity_agent="none", known_hosts=())


@pytest.mark.parametrize(("value", "agent"), [("$MINE", "/run/mine"), ("${MINE}/a", "/run/mine/a"), ("$GONE", "none")])
def test_an_agent_may_be_named_by_a_variable(
    home: Path, monkeypatch: pytest.MonkeyPatch, value: str, agent: str
) -> None:
    monkeypatch.setenv("MINE", "/run/mine")
    assert config(home, f"IdentityAgent {value}\n").options(HOP).identity_agent == agent


def test_hosts_are_meant_by_name_or_address_and_a_negation_wins(home: Path) -> None:
    found = config(
        home, "Host * !10.1.0.*\nIdentityFile /a\nHost 10.1.?.7\nIdentityFile /b\nHost other\nIdentityFile /c\n"
    )
    assert found.options(HOP).identity_files == (Path("/b"),)


def test_the_first_of_a_keyword_counts_also_across_included_files(home: Path) -> None:
    (home / ".ssh" / "more").mkdir()
    (home / ".ssh" / "more" / "1").write_text(f"HostKeyAlias included\nInclude {home}/config\n")  # a loop ends
    found = config(home, "Include more/*\nHostKeyAlias later\n")
    assert found.options(HOP).host_key_alias == "included"
    assert [value for keyword, value, _ in told(found)] == ["included"]


def test_a_match_that_cannot_be_judged_is_told_and_never_run(home: Path) -> None:
    found = config(
        home,
        f'Match exec "touch {home}/ran"\nIdentityFile /secret\nMatch host 10.1.0.7\nIdentityFile /mine\n'
        f'Match all\nHostKeyAlias everybody\nMatch user root exec "touch {home}/ran"\nIdentityFile /roots\n',
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
    assert found.options(HOP) == HopOptions(host_key_alias="fine")
