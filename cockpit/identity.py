"""Who acts: the user of the operating system under which this process runs. Never a setting, never the environment."""

from __future__ import annotations

import os
import pwd


def operating_system_user() -> str:
    """The name of the real user id; `uid-1234` where it has none (a container)."""
    uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"
