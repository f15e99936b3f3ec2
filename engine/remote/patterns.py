"""OpenSSH's patterns, as known_hosts and client configurations hold them: `*`, `?`, `!`. Brackets mean themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate
from functools import lru_cache


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern.replace("[", "[[]")))


def fits(name: str, pattern: str) -> bool:
    return _compiled(pattern).fullmatch(name) is not None


def any_fits(name: str, patterns: Sequence[str]) -> bool:
    """Whether one of the patterns without `!` fits."""
    return any(fits(name, pattern) for pattern in patterns if not pattern.startswith("!"))


def any_forbids(name: str, patterns: Sequence[str]) -> bool:
    """Whether one of the patterns with `!` fits: then the whole list does not."""
    return any(fits(name, pattern[1:]) for pattern in patterns if pattern.startswith("!"))


def listed(name: str, patterns: Sequence[str]) -> bool:
    return any_fits(name, patterns) and not any_forbids(name, patterns)
