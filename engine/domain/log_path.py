"""Where the cleaned log of one host's attempt lies: written by the engine, read by the screens with `pread`."""

from __future__ import annotations

from pathlib import Path

from engine.domain.states import Direction


def log_path(log_dir: Path, order_id: int, host: str, direction: Direction, attempt: int) -> Path:
    """`<log_dir>/<order>/<host>.<direction>-<attempt>.log`; host names hold no path separator (the catalogue checks them)."""
    return log_dir / str(order_id) / f"{host}.{direction}-{attempt}.log"
