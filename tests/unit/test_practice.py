"""Which lab and which store is meant by somebody who names none, and what a new demo does with an old one's folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cockpit import practice
from cockpit.demo import on_screens
from cockpit.demo.leaving import leave, presence
from cockpit.lab import process as lab
from cockpit.lab import running as labs
from cockpit.lab.process import own_record
from cockpit.practice import PracticeError, WhichLab, lab_meant, stand_in
from cockpit.settings import load_settings
from engine.store.store import Store


@pytest.fixture(autouse=True)
def somebody_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("COCKPIT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def lab_in(folder: Path) -> Path:
    """What a running lab leaves for others to find; this very process is it."""
    folder = folder.resolve()
    folder.mkdir(parents=True)
    info = {
        "dir": str(folder), "catalogue": "", "store": f"sqlite:///{folder}/cockpit.db", "config": "", "environment": {},
        "endpoints": {}, "tenant": "acme", "workspace": "prod", "app": "a", "versions": [], "hosts": [],
    }  # fmt: skip
    (folder / "lab.json").write_text(json.dumps({**own_record(), "token": "", "info": info}))
    labs.remember(folder)
    return folder


def test_the_one_lab_that_runs_is_meant_wherever_it_lies(tmp_path: Path) -> None:
    assert lab_meant() == lab.default_dir()
    elsewhere = lab_in(tmp_path / "elsewhere")
    assert lab_meant() == elsewhere
    assert lab_meant(tmp_path / "named") == tmp_path / "named"


def test_the_demo_is_meant_before_a_lab_elsewhere(tmp_path: Path) -> None:
    lab_in(tmp_path / "elsewhere")
    lab_in(practice.demo_folder())
    assert lab_meant() == practice.demo_folder()


def test_of_two_labs_none_is_guessed(tmp_path: Path) -> None:
    lab_in(practice.demo_folder())
    lab_in(lab.default_dir())
    with pytest.raises(WhichLab, match=r"demo.*--dir"):
        lab_meant()


def test_a_lab_that_died_is_not_meant_and_forgotten(tmp_path: Path) -> None:
    gone = lab_in(tmp_path / "gone")
    record = json.loads((gone / "lab.json").read_text())
    (gone / "lab.json").write_text(json.dumps({**record, "started": "another time"}))
    assert labs.running() == ()
    assert list((tmp_path / "data" / "cockpit" / "labs").iterdir()) == []


def test_a_running_lab_stands_in_for_a_store_that_is_not_there_or_was_never_used(tmp_path: Path) -> None:
    assert stand_in(load_settings()) is None
    demo = lab_in(practice.demo_folder())
    found = stand_in(load_settings())
    assert found is not None
    assert found.dir == str(demo)
    Store.open(load_settings().store).close()
    assert stand_in(load_settings()) is not None


def test_a_store_that_is_named_or_used_is_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab_in(practice.demo_folder())
    assert stand_in(load_settings(str(tmp_path / "mine.db"))) is None
    with monkeypatch.context() as set_:
        set_.setenv("COCKPIT_STORE", str(tmp_path / "mine.db"))
        assert stand_in(load_settings()) is None
    store = Store.open(load_settings().store)
    with store.writing() as conn:
        conn.exec_driver_sql("INSERT INTO tenant (name) VALUES ('mine')")
    store.close()
    assert stand_in(load_settings()) is None


def test_a_folder_that_is_no_practice_fleet_is_never_emptied(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(PracticeError, match="other than a practice fleet"):
        on_screens.run_on_screens(hosts=None, folder=tmp_path / "mine", fresh=True)
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_a_fleet_of_another_size_is_not_mixed_with_the_old_one(tmp_path: Path) -> None:
    from cockpit.lab.layout import layout_of

    layout_of(tmp_path, 4)
    assert on_screens._hosts(tmp_path, None) == 4
    with pytest.raises(PracticeError, match=r"has 4 hosts.*--fresh --hosts 6"):
        on_screens._hosts(tmp_path, 6)


def test_whoever_leaves_a_fleet_at_which_somebody_else_is_leaves_it_up(tmp_path: Path) -> None:
    with presence(tmp_path):
        left = leave(tmp_path)
    assert left.others
    assert not leave(tmp_path).others
