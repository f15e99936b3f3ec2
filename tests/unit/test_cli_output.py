"""What the command line says reaches any terminal: other encodings, a reader that has gone, a full disk, closed streams.

Each command is a process of its own, as the encoding and the streams are the process's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.unit.test_cli import CATALOGUE

ROOT = Path(__file__).parents[2]
CHINESE = CATALOGUE.replace("name: trade-core\n", "name: trade-core\n        description: 核心✓\n")
# What a locale makes of Python's streams: GBK and Latin-1 as those locales do, and the C locale with its UTF-8 mode switched off.
LOCALES: dict[str, dict[str, str]] = {
    "gbk": {"PYTHONIOENCODING": "gbk:strict"},
    "latin-1": {"PYTHONIOENCODING": "latin-1:strict"},
    "ascii": {"PYTHONIOENCODING": "ascii:strict"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    file = tmp_path / "catalogue.yaml"
    file.write_text(CHINESE, encoding="utf-8")
    return file


@pytest.fixture
def store(tmp_path: Path, catalogue: Path) -> str:
    assert cockpit(tmp_path, {}, "apply", str(catalogue)).returncode == 0
    return str(tmp_path / "cockpit.db")


def environment(folder: Path, locale: Mapping[str, str], language: str = "en") -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COCKPIT_", "PYTHON", "LC_"))}
    own = {"COCKPIT_STORE": str(folder / "cockpit.db"), "COCKPIT_CONFIG": os.devnull, "COCKPIT_LANGUAGE": language}
    return kept | own | {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder / "state")} | dict(locale)


def cockpit(
    folder: Path, locale: Mapping[str, str], *arguments: str | bytes, language: str = "en"
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "cockpit", *arguments],
        env=environment(folder, locale, language), stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("locale", LOCALES)
def test_names_that_the_encoding_lacks_are_replaced_and_nothing_fails(locale: str, store: str, tmp_path: Path) -> None:
    listed = cockpit(tmp_path, LOCALES[locale], "app", "list")
    assert (listed.returncode, listed.stderr) == (0, b"")
    name = "交易核心".encode("gbk") if locale == "gbk" else b"????"
    assert name in listed.stdout
    helped = cockpit(tmp_path, LOCALES[locale], "apply", "--help")
    assert helped.returncode == 0
    assert b"Catalogue files" in helped.stdout


@pytest.mark.parametrize("locale", LOCALES)
def test_an_act_that_was_done_says_so_by_its_exit_code(locale: str, tmp_path: Path, catalogue: Path) -> None:
    applied = cockpit(tmp_path, LOCALES[locale], "apply", str(catalogue), language="zh_CN")
    assert (applied.returncode, applied.stderr) == (0, b"")
    again = cockpit(tmp_path, LOCALES[locale], "apply", str(catalogue), "--dry-run")
    assert b"Nothing to change." in again.stdout


@pytest.mark.parametrize("locale", LOCALES)
def test_json_and_exported_yaml_lose_nothing(locale: str, store: str, tmp_path: Path) -> None:
    listed = cockpit(tmp_path, LOCALES[locale], "app", "list", "--json")
    assert json.loads(listed.stdout)[0]["alias"] == "交易核心"
    exported = tmp_path / "exported.yaml"
    exported.write_bytes(cockpit(tmp_path, LOCALES[locale], "export").stdout)
    again = cockpit(tmp_path, {}, "apply", str(exported), "--dry-run")
    assert (again.returncode, again.stdout.strip()) == (0, b"Nothing to change.")


@pytest.mark.parametrize("locale", LOCALES)
def test_a_refusal_is_a_sentence_in_every_encoding(locale: str, store: str, tmp_path: Path) -> None:
    shown = cockpit(tmp_path, LOCALES[locale], "order", "show", "99", language="zh_CN")
    assert (shown.returncode, shown.stdout) == (2, b"")
    assert b"#99" in shown.stderr
    assert b"Error" not in shown.stderr


def test_what_is_typed_in_utf_8_under_the_c_locale_is_read_as_it_was_meant(store: str, tmp_path: Path) -> None:
    asked = ("--json", "release", "preview", "--version", "1.0.0", "--app")
    refused = cockpit(tmp_path, LOCALES["C"], *asked, "核心".encode())
    assert "核心" in json.loads(refused.stdout)["error"]["what"]
    wrong = cockpit(tmp_path, LOCALES["C"], *asked, b"\xb7\xa2")
    assert (wrong.returncode, json.loads(wrong.stdout)["error"]["code"]) == (2, "wrong_use")


def test_a_reader_that_goes_away_changes_no_exit_code(store: str, tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as gone:
        ran = subprocess.run(
            [sys.executable, "-m", "cockpit", "app", "list"],
            env=environment(tmp_path, {}), stdin=subprocess.DEVNULL, stdout=gone, stderr=subprocess.PIPE, timeout=60,
        )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_an_export_onto_a_full_disk_has_failed_and_an_apply_has_not(
    store: str, tmp_path: Path, catalogue: Path
) -> None:
    codes = {}
    for command in (("export",), ("apply", str(catalogue))):
        with open("/dev/full", "wb") as full:
            ran = subprocess.run(
                [sys.executable, "-m", "cockpit", *command],
                env=environment(tmp_path, {}), stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, timeout=60,
            )  # fmt: skip
        codes[command[0]] = ran.returncode
        assert ran.stderr.decode() == "The output could not be written: No space left on device.\n"
    assert codes == {"export": 1, "apply": 0}


def test_closed_streams_are_no_reason_to_fail(store: str, tmp_path: Path) -> None:
    line = f'exec "{sys.executable}" -m cockpit app list >&- 2>&- <&-'
    ran = subprocess.run(["sh", "-c", line], env=environment(tmp_path, {}), timeout=60, check=False)
    assert ran.returncode == 0


@pytest.mark.parametrize(("encoding", "ascii_only"), [("utf-8", False), ("latin-1", True), ("ascii", True)])
def test_the_screens_draw_with_ascii_where_the_encoding_has_no_box_drawing(
    encoding: str, ascii_only: bool, tmp_path: Path
) -> None:
    asked = [sys.executable, "-c", "from cockpit.settings import load_settings; print(load_settings().ascii)"]
    ran = subprocess.run(
        asked, env=environment(tmp_path, {"PYTHONIOENCODING": encoding}), capture_output=True, timeout=60, check=True
    )
    assert ran.stdout.decode().strip() == str(ascii_only)
