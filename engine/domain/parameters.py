"""Which variables a host or a tech stack may set, and what the built-in steps make of them. Pure: the catalogue, the check and the
builders of the steps ask here, so that none of them takes what another refuses.
"""

from __future__ import annotations

import math

from engine.domain.message import Message, message

# Set by each step: they start at its $HOME.
PATH_NAMES = ("STACK_DIR", "SDK_DIR", "PACKAGE_FILE", "APP_HOME", "LOG_DIR")
_OURS = frozenset(
    {"APP_NAME", "APP_VERSION", "HOST_NAME", "DATA_CENTRE", "CELL", "INSTALL_LIST", "WEB_SERVER", *PATH_NAMES}
)
_THE_SHELLS = frozenset(
    {"HOME", "PATH", "IFS", "ENV", "BASH_ENV", "PWD", "OLDPWD", "SHELL", "USER", "LOGNAME", "TMPDIR"}
)
_THE_SHELLS |= frozenset({"UID", "EUID", "PPID", "SHELLOPTS", "BASHOPTS", "OPTIND", "RANDOM", "LINENO", "SECONDS"})
_OUR_BEGINNINGS = ("LD_", "SECRET_", "CK_")

_PORTS = frozenset({"HEALTH_PORT", "STARAGENT_PORT", "APP_PORT"})
_SECONDS = frozenset({"HEALTH_INTERVAL_S", "HEALTH_DEADLINE_S"})
_SECONDS_OR_NONE = frozenset({"DRAIN_S"})


def reserved(name: str) -> bool:
    """Whether the variable would replace one that every step needs. Scripts see names in capitals."""
    upper = name.upper()
    return upper in _OURS or upper in _THE_SHELLS or upper.startswith(_OUR_BEGINNINGS)


def unusable(name: str, value: str) -> Message | None:
    """What is wrong with the value, when a built-in step reads the variable and could not use it. Empty counts as not given."""
    upper, shown = name.upper(), value[:80]
    if not value:
        return None
    if upper in _PORTS and not is_port(value):
        return message("{name} is {value}; it must be a port of 1–65535", name=name, value=shown)
    if upper in _SECONDS_OR_NONE and value.strip() != "0" and seconds_of(value) is None:
        return message("{name} is {value}; it must be a number of seconds, or 0", name=name, value=shown)
    if (upper in _SECONDS or upper.endswith("_DEADLINE_S")) and seconds_of(value) is None:
        return message("{name} is {value}; it must be a number of seconds above 0", name=name, value=shown)
    return None


def is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535


def seconds_of(text: str) -> float | None:
    """Finite and above zero, else None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
