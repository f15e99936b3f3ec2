"""The report of an order as two files that an operator keeps: Markdown and a page for a browser. None is written over."""

from __future__ import annotations

from pathlib import Path

from engine.api import Api
from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError
from engine.private_files import PRIVATE
from screens.log_files import MOST_COPIES
from screens.report import html, markdown, read_report


def save_report(api: Api, place: tuple[str, str], order_id: int, folder: Path, *, now: float) -> tuple[Path, Path]:
    """Into the folder as `cockpit-order-<number>.md` and `.html`, both numbered when one is taken. Raises ProblemError."""
    try:
        return _saved(api, place, order_id, folder, now)
    except OSError as error:
        raise ProblemError(
            Problem(
                "report_not_saved",
                message("The report could not be saved: {error}.", error=str(error)),
                message("`cockpit order report {id}` prints it.", id=order_id),
            )
        ) from error


def _saved(api: Api, place: tuple[str, str], order_id: int, folder: Path, now: float) -> tuple[Path, Path]:
    report = read_report(api, place, order_id, now=now)
    texts = {".md": markdown(report), ".html": html(report)}
    for number in range(1, MOST_COPIES):
        name = f"cockpit-order-{order_id}" + (f"-{number}" if number > 1 else "")
        paths = {suffix: folder / f"{name}{suffix}" for suffix in texts}
        if any(path.exists() for path in paths.values()):
            continue
        for suffix, path in paths.items():
            path.touch(mode=PRIVATE, exist_ok=False)
            path.write_text(texts[suffix], encoding="utf-8")
        return paths[".md"], paths[".html"]
    raise FileExistsError(f"{folder} has {MOST_COPIES} reports of order {order_id} already")
