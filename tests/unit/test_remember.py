"""What is chosen in the screens goes into the user's file, and nothing else in it moves."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from cockpit.remember import remember, with_setting
from cockpit.settings import load_settings
from engine.domain.problem import ProblemError

FILE = '# ours\ntheme = "light"  # at night\nstore = "a.db"\n\n[ssh]\nagent = false\n'


def test_a_choice_replaces_its_line_and_leaves_the_others() -> None:
    after = with_setting(FILE, "theme", "dark")
    assert after.splitlines()[0] == "# ours"
    assert tomllib.loads(after) == {"theme": "dark", "store": "a.db", "ssh": {"agent": False}}


def test_a_new_choice_stands_before_the_first_table() -> None:
    after = with_setting(FILE, "language", "zh_CN")
    assert tomllib.loads(after) == tomllib.loads(FILE) | {"language": "zh_CN"}
    assert with_setting("", "language", "en") == 'language = "en"\n'


def test_a_file_that_can_not_be_changed_line_by_line_is_left_alone() -> None:
    with pytest.raises(ValueError, match="line by line"):
        with_setting('store = """\ntheme = 1\n"""\n', "theme", "dark")


def test_what_was_kept_is_what_the_next_cockpit_starts_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config" / "config.toml"
    file.parent.mkdir()
    file.write_text(FILE)
    monkeypatch.setenv("COCKPIT_CONFIG", str(file))
    remember("theme", "high-contrast")
    remember("language", "zh_CN")
    settings = load_settings(str(tmp_path / "other.db"))
    assert (settings.theme, settings.language) == ("high-contrast", "zh_CN")
    assert list(file.parent.iterdir()) == [file]


def test_a_choice_that_can_not_be_kept_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COCKPIT_CONFIG", str(tmp_path / "file" / "config.toml"))
    with pytest.raises(ProblemError, match="can't be saved"):
        remember("theme", "dark")
