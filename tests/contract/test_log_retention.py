"""Logs on the engine's side: those of orders that ended long ago are cleared, everything else stays."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from engine.kinds.release import release_spec
from engine.run.log_retention import clear_old_logs
from engine.store import tables as t
from engine.store.store import Store
from tests.support.fleet_rows import insert_fleet
from tests.support.orders import make_order

DAY_S = 86_400.0
NOW = 1_000 * DAY_S


@pytest.fixture
def logs(tmp_path: Path) -> tuple[Store, Path]:
    """Orders 1–5 ended 200, 100, 91, 89 days ago and never; each has a log folder, and there is more beside them."""
    store = Store.open(f"sqlite:///{tmp_path}/cockpit.db")
    with store.writing() as conn:
        fleet = insert_fleet(conn)
        for age in (200, 100, 91, 89, None):
            order_id = make_order(conn, fleet.workspace_id, release_spec("shop", "2.0.0"))
            ended = None if age is None else NOW - age * DAY_S
            conn.execute(sa.update(t.order).where(t.order.c.id == order_id).values(ended_at=ended))
    for name in ("1", "2", "3", "4", "5", "99", "notes"):
        (tmp_path / "logs" / name).mkdir(parents=True)
        (tmp_path / "logs" / name / "h1.forward-1.log").write_text("a line\n")
    return store, tmp_path / "logs"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_logs_of_orders_that_ended_long_ago_go_and_all_others_stay(logs: tuple[Store, Path]) -> None:
    store, folder = logs
    assert clear_old_logs(store, folder, 90, NOW) == 3
    assert names(folder) == ["4", "5", "99", "notes"]
    assert clear_old_logs(store, folder, 90, NOW) == 0
    store.close()


def test_a_few_at_a_time_the_oldest_first(logs: tuple[Store, Path]) -> None:
    store, folder = logs
    assert clear_old_logs(store, folder, 90, NOW, at_once=2) == 2
    assert names(folder) == ["3", "4", "5", "99", "notes"]
    store.close()


def test_no_logs_yet_are_nothing_to_clear(tmp_path: Path, logs: tuple[Store, Path]) -> None:
    assert clear_old_logs(logs[0], tmp_path / "elsewhere", 90, NOW) == 0
    logs[0].close()


def test_a_folder_that_leads_elsewhere_is_left_alone(tmp_path: Path, logs: tuple[Store, Path]) -> None:
    store, folder = logs
    (tmp_path / "mine").mkdir()
    (folder / "1" / "h1.forward-1.log").unlink()
    (folder / "1").rmdir()
    (folder / "1").symlink_to(tmp_path / "mine")
    assert clear_old_logs(store, folder, 90, NOW) == 2
    assert (tmp_path / "mine").is_dir()
    store.close()
