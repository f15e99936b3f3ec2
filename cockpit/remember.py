"""What an operator has chosen in the screens, kept in the user's `config.toml`. Everything else in that file stays as it is."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path

from cockpit.settings import user_config_file
from engine.domain.message import message
from engine.domain.problem import Problem, ProblemError

_TABLE = re.compile(r"^\s*\[", re.MULTILINE)


def remember(key: str, value: str) -> None:
    """Raises ProblemError `settings_unwritable`: the choice holds for this run only."""
    path = user_config_file()
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        after = with_setting(before, key, value)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.{os.getpid()}")
        beside.write_text(after, encoding="utf-8")
        if path.exists():
            beside.chmod(path.stat().st_mode)
        beside.replace(path)
    except (OSError, ValueError) as error:
        raise ProblemError(_unwritable(path, str(error))) from error


def with_setting(text: str, key: str, value: str) -> str:
    """The file's text with the key set at its top level. Raises ValueError where that can't be done line by line."""
    line = f"{key} = {json.dumps(value)}"
    first_table = _TABLE.search(text)
    top, rest = (text[: first_table.start()], text[first_table.start() :]) if first_table else (text, "")
    found = re.compile(rf"^{re.escape(key)}\s*=.*$", re.MULTILINE)
    if found.search(top):
        top = found.sub(lambda _match: line, top, count=1)
    else:
        top = (top.rstrip("\n") + "\n" if top.strip() else "") + line + "\n" + ("\n" if rest else "")
    if tomllib.loads(top + rest) != tomllib.loads(text) | {key: value}:
        raise ValueError(f"{key} can't be set line by line")
    return top + rest


def _unwritable(path: Path, why: str) -> Problem:
    return Problem(
        "settings_unwritable",
        message("Your choice can't be saved in {file}: {why}.", file=str(path), why=why),
        message("It holds until you leave; write it into the file yourself to keep it."),
    )
