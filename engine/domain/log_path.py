"""Where the cleaned log of one host's attempt lies: written by the engine, read by the screens with `pread`."""

from __future__ import annotations

from pathlib import Path


def log_path(log_dir: Path, order_id: int, host: str, job: str, attempt: int) -> Path:
    """`<log_dir>/<order>/<host>.<job>-<attempt>.log`. Names of hosts and nodes hold no path separator (the catalogue and the plan's
    check see to it)."""
    return log_dir / str(order_id) / f"{host}.{job_key(job, attempt)}.log"


def times_path(log: Path) -> Path:
    """Beside a log: when what of it was written (`<size before> <epoch seconds>`, a line now and then)."""
    return log.with_suffix(".times")


def job_key(job: str, attempt: int) -> str:
    """The name of an attempt: its folder on the host, and the end of its log's name."""
    return f"{job}-{attempt}"


def remedy_log(log_dir: Path, order_id: int, host: str, command_id: int) -> Path:
    """What a remedy printed on a host that had no attempt yet: the check of the order had told of it."""
    return log_path(log_dir, order_id, host, "remedy", command_id)
