"""Clears away the logs of orders that ended long ago, a few at a time.

Never touches the logs of an open order, nor a folder that is not named as an order's.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from engine.private_files import PRIVATE_FOLDER, correct
from engine.store.orders import ended_before
from engine.store.store import Store

CLEAR_EVERY_S = 600.0
AT_ONCE = 5  # orders: their hosts may be many, and the engine has more to do
_DAY_S = 86_400.0
log = logging.getLogger(__name__)


def clear_old_logs(store: Store, log_dir: Path, keep_days: int, now: float, *, at_once: int = AT_ONCE) -> int:
    """Remove up to `at_once` log folders of orders that ended more than `keep_days` days before `now`; returns how many.
    Raises StoreError."""
    present = _order_folders(log_dir)
    if not present:
        return 0
    cleared = 0
    with store.reading() as conn:
        old = [order_id for order_id in ended_before(conn, now - keep_days * _DAY_S) if order_id in present]
    for order_id in old[:at_once]:
        try:
            shutil.rmtree(present[order_id])
        except OSError as error:
            # Somebody else's file in it, or another engine was faster: said, and tried again later.
            log.warning("the logs of order %d stay: %s", order_id, error)
            continue
        cleared += 1
    if cleared:
        log.info("cleared the logs of %d orders that ended more than %d days ago", cleared, keep_days)
    return cleared


def keep_logs_private(log_dir: Path) -> None:
    """Correct what an earlier version, or a copy, left readable for others. What can't be corrected is said, never fatal."""
    for folder in _order_folders(log_dir).values():
        try:
            correct([folder], mode=PRIVATE_FOLDER)
            correct(path for path in folder.iterdir() if path.suffix in (".log", ".offset", ".times"))
        except OSError as error:
            log.warning("the logs in %s may be readable for others: %s", folder, error)


def _order_folders(log_dir: Path) -> dict[int, Path]:
    try:
        entries = list(log_dir.iterdir())
    except FileNotFoundError:
        return {}
    return {
        int(e.name): e for e in entries if e.name.isascii() and e.name.isdigit() and e.is_dir() and not e.is_symlink()
    }
