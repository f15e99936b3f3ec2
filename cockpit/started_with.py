"""What an engine was started with, as far as it matters to what it can do: its row says so, and whoever starts another compares.

No secret is written: what is compared is a mark, keyed with a number of its own, that only whoever has the same values can make
again (a proxy's address may hold a password).
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cockpit
from cockpit.settings import PREFIX, Settings

# Of these an engine makes use; how the screens look does not concern it.
_SETTINGS = ("CREDENTIALS_FILE", "LOG_DIR", "LOG_KEEP_DAYS", "ENGINE_IDLE_S", "SSH__")
_ACCESS_KEY = "ALIBABA_CLOUD_ACCESS_KEY_ID"
_PROXY = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def started_with(settings: Settings, *, embedded: bool) -> dict[str, Any]:
    """JSON-able: `user`, `program`, `version`, `embedded`, `agent` (socket), `credentials` (where an access key was named),
    `settings`, and `marks` of what is compared."""
    salt = secrets.token_hex(16)
    return {
        "user": user_name(),
        "program": _program(),
        "version": version("cockpit"),
        "embedded": embedded,
        "agent": _agent(settings),
        "credentials": "environment" if os.environ.get(_ACCESS_KEY) else str(settings.credentials_file or ""),
        "salt": salt,
        "marks": _marks(settings, salt),
    }


def changed(theirs: Mapping[str, Any] | None, settings: Settings) -> tuple[str, ...]:
    """In what an engine that would be started now differs: of `proxy`, `settings`, `program`. An SSH agent and an access key are
    lent to the engine that runs (`engine.lending`), so they are none of it."""
    if not theirs or "salt" not in theirs:
        return ()
    ours, known = _marks(settings, str(theirs["salt"])), theirs.get("marks", {})
    return tuple(name for name, mark in ours.items() if mark and mark != known.get(name, ""))


def _marks(settings: Settings, salt: str) -> dict[str, str]:
    compared = {
        "proxy": [os.environ.get(name) or os.environ.get(name.lower(), "") for name in _PROXY],
        "settings": [f"{name}={value}" for name, value in sorted(settings.as_environment().items()) if _concerns(name)],
        "program": [_program(), version("cockpit")],
    }
    return {name: _mark(values, salt) for name, values in compared.items()}


def _mark(values: list[str], salt: str) -> str:
    if not any(values):
        return ""
    return hashlib.blake2b(json.dumps(values).encode(), key=salt.encode(), digest_size=16).hexdigest()


def _concerns(name: str) -> bool:
    return name.removeprefix(PREFIX).startswith(_SETTINGS)


def _agent(settings: Settings) -> str:
    return os.environ.get("SSH_AUTH_SOCK", "") if settings.ssh.agent else ""


def _program() -> str:
    return f"{sys.prefix} {Path(cockpit.__file__).parent}"


def user_name() -> str:
    """The operating system's name of who runs this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"
